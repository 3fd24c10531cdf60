"""What a developer's browser is answered in the application's place, as status, fields and body.

Everything that comes from outside the template is escaped. The page allows its own script and style by their
hashes and nothing else, so even a mistake in the escaping could run nothing.
"""

from __future__ import annotations

import html
import re
from functools import cache
from urllib.parse import quote

from msgspec import Struct, json

from portway.server.developing.bulletin import Development, Notice, Problem
from portway.server.developing.frames import frames
from portway.server.developing.visitors import COOKIE, LAST_GOOD_PATH, STATE_PATH, Visitor, way_back
from portway.server.own_pages import own_page

_SAFE = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)


class Answer(Struct, frozen=True):
    """A whole response.

    Attributes:
        status: As WSGI spells it: "500 Internal Server Error".
        fields: Its header fields, Content-Length included.
        body: For HEAD, too.
    """

    status: str
    fields: list[tuple[str, str]]
    body: bytes


def own_answer(visitor: Visitor, development: Development, generation: int) -> Answer | None:
    """Return what a local visitor is answered instead of the application's word, or None for that.

    Args:
        visitor: Who asks; one who is local.
        development: The worker's.
        generation: The worker's.
    """
    notice = development.bulletin.read()
    if visitor.path == STATE_PATH:
        current = notice.generation == generation
        body = json.encode(
            {"edition": notice.edition, "broken": notice.problem is not None, "current": current}
        )
        return _answer("200 OK", "application/json", body)
    if visitor.path == LAST_GOOD_PATH:
        cookie = f"{COOKIE}={notice.edition}; Path=/; HttpOnly; SameSite=Strict"
        more = [("Set-Cookie", cookie), ("Location", way_back(visitor.query))]
        return _answer("303 See Other", "text/plain; charset=utf-8", b"", more)
    if notice.problem and visitor.wants_page and visitor.edition != notice.edition:
        return broken_page(visitor, notice, development)
    return None


def broken_page(visitor: Visitor, notice: Notice, development: Development) -> Answer:
    """Return the page that says why the newest version does not serve."""
    problem, edition = notice.problem, notice.edition
    if problem is None:  # mended since: the page is to go as soon as the new version answers
        problem, edition = Problem("the application is starting"), -1
    if notice.generation and not development.stand_in:
        link = quote(visitor.path + (f"?{visitor.query}" if visitor.query else ""), safe="/")
        state = (
            "The last good version goes on answering everything but pages: "
            f'<a href="{LAST_GOOD_PATH}?to={html.escape(link)}">show its pages as well</a>.'
        )
    else:
        state = "No version has started yet."
    return page("The newest version has an error", problem, edition, state)


def failed_answer(visitor: Visitor, error: BaseException, text: str, development: Development) -> Answer:
    """Return what says that the application raised: a page, or plain text for what is no browser.

    Args:
        visitor: Who asked; one who is local.
        error: What was raised.
        text: Its traceback.
        development: The worker's.
    """
    status = "500 Internal Server Error"
    if not visitor.wants_page:
        return _answer(status, "text/plain; charset=utf-8", text.encode("utf-8", "backslashreplace"))
    problem = Problem(summary_of(error), "", text, frames(text, development.folder))
    edition = development.bulletin.read().edition
    return page(f"{visitor.request} raised", problem, edition, "")


def summary_of(error: BaseException) -> str:
    """Return the type and the text of an exception, its own `__str__` failing or not."""
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be shown"
    return f"{type(error).__qualname__}: {text}" if text else type(error).__qualname__


def page(title: str, problem: Problem, edition: int, state: str) -> Answer:
    """Return an error page.

    Args:
        title: What is wrong.
        problem: The details.
        edition: The page loads itself again when another version serves.
        state: Further HTML.
    """
    template, policy = _template("developing.html")
    parts = {
        "title": html.escape(title),
        "text": html.escape(problem.text),
        "hint": f"<p class=hint>{html.escape(problem.hint)}</p>" if problem.hint else "",
        "state": f"<p>{state}</p>" if state else "",
        "frames": problem.frames,
        "details": html.escape(problem.details),
        "edition": str(edition),
        "path": STATE_PATH,
    }
    text = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
    body = text.encode("utf-8", "backslashreplace")
    more = [("Content-Security-Policy", policy)]
    return _answer("500 Internal Server Error", "text/html; charset=utf-8", body, more)


def _answer(status: str, kind: str, body: bytes, more: list[tuple[str, str]] | None = None) -> Answer:
    fields = [("Content-Type", kind), ("Content-Length", str(len(body))), *_SAFE, *(more or ())]
    return Answer(status, fields, body)


_template = cache(own_page)
