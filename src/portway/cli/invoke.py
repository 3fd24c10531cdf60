"""`portway invoke`: one event through a Lambda function, and what comes of it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.function import DOORS, door_of, function_of, function_parameters
from portway.cli.function import SETTINGS as NAMES
from portway.cli.options import load_settings, setting_parameters
from portway.cli.session import Session
from portway.errors import BadValue, ConfigFileError, Conflict, UsageError

_HELP = """Run one event through APP as a Lambda function, and print what the function answers.

The event comes from a file (--event), or is made from a request (--path and the options beside it) as
a front door would make it. The answer goes to standard output as JSON; the function's log, with the
time it took, to standard error. Exits 1 when the function failed."""


def invoke_command() -> click.Command:
    """Return the command."""
    own = [
        click.Option(["--event", "event_file"], metavar="FILE", help="The event, JSON; - is standard input."),
        click.Option(
            ["--path"], metavar="PATH", help="Make the event of a request for this path (and ?query)."
        ),
        click.Option(["-X", "--method"], metavar="METHOD", help="Its method. [GET, or POST with --data]"),
        click.Option(["-d", "--data"], metavar="TEXT", help="Its body; @FILE reads a file, @- stdin."),
        click.Option(
            ["-H", "--header"], metavar="FIELD", multiple=True, help="A header field, 'Name: value'."
        ),
        click.Option(
            ["--door"],
            type=click.Choice(DOORS),
            help="The front door it came through. [url; rest for Chalice]",
        ),
        *function_parameters(),
    ]
    return TopicCommand(
        "invoke",
        callback=_invoke,
        params=[*setting_parameters(NAMES), *own],
        help=_HELP,
        short_help="Run one event through the application as a Lambda function.",
        context_settings=SETTINGS,
    )


def _invoke(**given: Any) -> int:
    context = click.get_current_context()
    session: Session = context.obj
    loaded = load_settings(context, session)
    event = _event(given)
    function = function_of(context, loaded, session.environ)
    session.require_unix()
    if event is None:
        given["door"], declared = door_of(function, given["door"] or "auto", "--door")
        event = _made(given, declared["routes"] if declared else {})

    from portway.awslambda.emulator.invocation import BrokenStream
    from portway.awslambda.emulator.pool import Pool

    pool = Pool(function, log_line, limit=1)
    try:
        started = time.monotonic()
        invocation = pool.submit(event)
        answer = invocation.wait()
        assert answer is not None
        try:
            body, error = answer.whole(), answer.error
        except BrokenStream as broken:
            body, error = b"", str(broken)
        seconds = time.monotonic() - started
        invocation.finished.wait()
    finally:
        pool.close()
    _print(body)
    click.echo(f"{'failed' if error else 'answered'} after {seconds * 1000:.0f} ms", err=True)
    return 1 if error else 0


def log_line(line: str) -> None:
    """Write a line of the function's log, or lose it: nobody may be reading any longer."""
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode())


def _print(body: bytes) -> None:
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        click.echo(body, nl=False)  # bytes, or a streamed answer with its prelude
        return
    click.echo(text)


def _event(given: dict[str, Any]) -> bytes | None:
    """Return the event's bytes, or None when it is to be made of a request.

    Raises:
        UsageError: There is none, or there are two.
    """
    if (given["event_file"] is None) == (given["path"] is None):
        raise UsageError(
            "one event is needed", "--event FILE, or --path /x for the event of a request; not both."
        )
    if given["event_file"] is not None:
        for flag in ("method", "data", "header"):
            if given[flag]:
                raise Conflict(f"--{flag}", "--event", "it belongs to the event of a request", "use --path.")
        return _read(given["event_file"])
    if not given["path"].startswith("/"):
        raise BadValue("--path", given["path"], 'must begin with "/"')
    return None


def _made(given: dict[str, Any], resources: Mapping[str, object]) -> bytes:
    from portway.awslambda.front import Door, HTTPRequest, build_event
    from portway.awslambda.front.routes import Routes
    from portway.awslambda.front.wsgi import new_stamp

    path, _, query = given["path"].partition("?")
    match = Routes(resources).match(path)
    if resources and match is None:
        hint = f"it has {', '.join(list(resources)[:5])}."
        problem = "must be a path that a route of the application takes"
        raise BadValue("--path", given["path"], problem, hint=hint)
    data = given["data"] or ""
    body = _read(data[1:]) if data.startswith("@") else data.encode("utf-8", "surrogateescape")
    door = Door(given["door"])
    fields = [_field(text) for text in given["header"]]
    names = {name.lower() for name, _ in fields}
    if "host" not in names:
        fields.insert(0, ("Host", door.domain))
    if body and "content-type" not in names:
        kind = "application/json" if _is_json(body) else "application/x-www-form-urlencoded"
        fields.append(("Content-Type", kind))
    method = given["method"] or ("POST" if body else "GET")
    request = HTTPRequest(method, path, query, fields, body)
    event = build_event(door, request, new_stamp(), match)
    return json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), (dict, list))
    except ValueError:
        return False


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isprintable():
        raise BadValue("--header", text, "must be 'Name: value'")
    return name.strip(), value.strip()


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ConfigFileError(name, (error.strerror or str(error)).lower()) from None
