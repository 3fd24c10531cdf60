"""Django's own static files in development: of every installed application, as `runserver` finds them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HANDLERS = {"WSGIHandler": "StaticFilesHandler", "ASGIHandler": "ASGIStaticFilesHandler"}


def with_static_files(app: Any) -> Any:
    """Return a Django application that serves the files of its applications; anything else as it is.

    As `runserver` does, only with DEBUG and `django.contrib.staticfiles`. Those of the admin are nowhere else
    until `collectstatic` has run.
    """
    kind = type(app)
    if not kind.__module__.startswith("django.core.handlers.") or kind.__name__ not in _HANDLERS:
        return app
    settings, apps = import_module("django.conf").settings, import_module("django.apps").apps
    if not settings.DEBUG or not apps.is_installed("django.contrib.staticfiles"):
        return app
    handlers = import_module("django.contrib.staticfiles.handlers")
    return getattr(handlers, _HANDLERS[kind.__name__])(app)
