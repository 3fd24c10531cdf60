"""Which view answers which path."""

from django.conf import settings
from django.urls import path
from django.views.static import serve

from harbour import views

urlpatterns = [
    path("", views.page),
    path("boats.json", views.boats_json),
    # Good enough for three files. A busy site leaves its static files to a web server or a CDN.
    path("static/<path:path>", serve, {"document_root": settings.SITE / "static"}),
]
