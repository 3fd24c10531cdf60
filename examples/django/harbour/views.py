"""The page and its JSON twin."""

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from harbour.models import Boat


def find_boats(words: str) -> QuerySet[Boat]:
    """Return the boats whose name, kind or home port contains `words`, all of them for an empty string."""
    words = words.strip()
    return Boat.objects.filter(Q(name__icontains=words) | Q(kind__icontains=words) | Q(home__icontains=words))


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show the page; after the form was sent, with the boats that it asked for."""
    if request.method != "POST":
        return render(request, "page.html")
    words = request.POST.get("words", "")
    return render(request, "page.html", {"searched": True, "words": words, "boats": find_boats(words)})


@require_safe
def boats_json(request: HttpRequest) -> HttpResponse:
    """Answer the same search to a program: /boats.json?words=bergen."""
    boats = find_boats(request.GET.get("words", "")).values("name", "kind", "home", "length_m", "berth")
    return JsonResponse({"count": len(boats), "boats": list(boats)})
