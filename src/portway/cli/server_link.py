"""Talking to a running server: finding its control socket, asking, and telling why that fails."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click

from portway.cli.session import Session
from portway.config import resolve
from portway.errors import PortwayError, UsageError, shown

CONNECT_S = 5.0
ANSWER_S = 620.0
"""Seconds that an answer may take; a reload waits for the new generation."""


class ServerError(PortwayError):
    """The server cannot be reached, or refuses."""


def finding_options() -> list[click.Parameter]:
    """Return the options that say which server is meant."""
    return [
        click.Option(["--control", "control"], metavar="PATH", help="The server's control socket."),
        click.Option(
            ["--pid", "pid"], metavar="FILE", help="The server's pid file; enough for reload and stop."
        ),
        click.Option(
            ["-c", "--config", "config"],
            metavar="FILE",
            help="Take control and pid from this file instead of portway.toml or pyproject.toml.",
        ),
        click.Option(["--chdir", "chdir"], metavar="DIRECTORY", help="Where the server was started."),
    ]


def find(context: click.Context) -> tuple[str, str]:
    """Return the paths of the control socket and of the pid file; "" for one that nobody names.

    Flags go before the environment, the environment before the file, as for `portway serve`.
    """
    session: Session = context.obj
    params: Mapping[str, Any] = context.params
    if os.path.isabs(params.get("control") or ""):  # what is wrong with a file is no reason not to ask
        return params["control"], params.get("pid") or ""
    flags = {name: params[name] for name in ("control", "pid", "chdir") if params.get(name)}
    settings = resolve(flags, session.environ, session.cwd, params.get("config")).settings
    directory = Path(settings.app.chdir or session.cwd)
    control, pid = settings.inspect.control, settings.process.pid
    return str(directory / control) if control else "", str(directory / pid) if pid else ""


def signal_target(path: str) -> int:
    """Return the process id in a pid file.

    Raises:
        ServerError: There is none, or nobody has that id.
    """
    try:
        pid = int(Path(path).read_text("ascii").strip())
        os.kill(pid, 0)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds no process id"
        raise ServerError(f"no server by the pid file {shown(path)}: {reason}") from error
    return pid


class ServerLink:
    """A connection to the control socket. A context manager.

    Args:
        path: The socket.

    Raises:
        ServerError: On entry, when nobody answers there.
    """

    def __init__(self, path: str) -> None:
        if not path:
            raise UsageError(
                "no control socket is named",
                'start the server with --control PATH (or control = "PATH" in portway.toml), '
                "and name it here alike.",
            )
        self._path = path

    def __enter__(self) -> Self:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(CONNECT_S)
        try:
            self._sock.connect(self._path)
        except (OSError, ValueError) as error:
            self._sock.close()
            reason = getattr(error, "strerror", None) or str(error)
            raise ServerError(
                f"no server answers at {shown(self._path)}: {reason}",
                "is it running, and started with --control?",
            ) from error
        self._sock.settimeout(ANSWER_S)
        self._lines = self._sock.makefile("rb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._sock.close()

    def ask(self, command: str, argument: str = "") -> dict[str, Any]:
        """Return what the server answers.

        Raises:
            ServerError: It refuses, or the connection ends.
        """
        request = {"command": command, "argument": argument}
        try:
            with contextlib.suppress(BrokenPipeError):  # what it said before it closed can be read
                self._sock.sendall(json.dumps(request).encode() + b"\n")
            line = self._lines.readline()
            answer = json.loads(line) if line else None
        except ConnectionError:
            answer = None
        except (OSError, ValueError) as error:
            raise ServerError(f"the server at {shown(self._path)} does not answer: {error}") from error
        if not isinstance(answer, dict):
            raise ServerError(f"the server at {shown(self._path)} ended the conversation", "has it stopped?")
        if not answer.get("ok"):
            raise ServerError(f"{command}: {answer.get('error')}")
        result: dict[str, Any] = answer["result"]
        return result

    def wait_for_end(self) -> None:
        """Return when the server is gone, however long it takes."""
        self._sock.settimeout(None)
        with contextlib.suppress(ConnectionError):
            while self._lines.readline():
                pass
