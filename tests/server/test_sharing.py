"""What is guessed of an application before the fork is a guess: a wrong one serves all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from portway.config import App, Process, Settings
from portway.server.sharing import may_be_asgi
from tests.support.client import get
from tests.support.processes import Portway

PLAIN = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'plain']\n"
HIDDEN = "from hidden_inside import app\n"
INSIDE = """async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hidden"})
"""


def settings(app: str, interface: Literal["auto", "asgi", "wsgi"] = "auto", user: str = "") -> Settings:
    """Return settings with these."""
    return msgspec.structs.replace(
        Settings(), app=App(app=app, interface=interface), process=Process(user=user)
    )


def test_the_text_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain.py").write_text(PLAIN)
    Path("hidden_inside.py").write_text(INSIDE)
    assert not may_be_asgi(settings("plain:app"))
    assert not may_be_asgi(settings("plain.py"))
    assert may_be_asgi(settings("hidden_inside:app"))
    assert may_be_asgi(settings("no_such_module:app"))
    assert may_be_asgi(settings("plain:app", "asgi"))
    assert not may_be_asgi(settings("hidden_inside:app", "wsgi"))
    assert may_be_asgi(settings("plain:app", user="nobody"))


def test_a_wrong_guess_serves(tmp_path: Path) -> None:
    (tmp_path / "hidden.py").write_text(HIDDEN)
    (tmp_path / "hidden_inside.py").write_text(INSIDE)
    with Portway("hidden:app", "--workers", "2", "--chdir", str(tmp_path)) as server:
        assert get(server.ready().address, "/").body == b"hidden"
