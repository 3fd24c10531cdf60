"""`portway emulate`: the runtime interface emulator's own HTTP call, for container images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
import msgspec

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.function import SETTINGS as NAMES
from portway.cli.function import function_of, function_parameters
from portway.cli.invoke import log_line
from portway.cli.options import load_settings, setting_parameters
from portway.cli.session import Session
from portway.config import Settings

_ADDRESS = "127.0.0.1:8080"
_MIB = 1 << 20

_HELP = """Run APP as a Lambda function behind the call of AWS's runtime interface emulator:

\b
    curl -d '{"key": "value"}' http://127.0.0.1:8080/2015-03-31/functions/function/invocations

For container images, and for tools that know the emulator. Without --bind it listens on 127.0.0.1:8080;
inside a container say --bind 0.0.0.0:8080."""


def emulate_command() -> click.Command:
    """Return the command."""
    names = (*NAMES, "bind", "access-log", "log-level")
    return TopicCommand(
        "emulate",
        callback=_emulate,
        params=[*setting_parameters(names), *function_parameters()],
        help=_HELP,
        short_help="Answer the runtime interface emulator's HTTP call.",
        context_settings=SETTINGS,
    )


def _emulate(**_: Any) -> int:
    context = click.get_current_context()
    session: Session = context.obj
    loaded = load_settings(context, session)
    function = function_of(context, loaded, session.environ)
    session.require_unix()

    from portway.awslambda.emulator.invocations import PATH, Invocations
    from portway.awslambda.emulator.pool import Pool
    from portway.server.single import serve_single

    settings = loaded.settings
    if loaded.origins["bind"].source == "default":
        settings = msgspec.structs.replace(
            settings, listen=msgspec.structs.replace(settings.listen, bind=(_ADDRESS,))
        )

    def started(addresses: Iterable[str]) -> None:
        for address in addresses:
            log_line(f"listening for events on {address}{PATH}")

    pool = Pool(function, log_line, limit=1)
    try:
        serve_single(Invocations(pool), with_room(settings, function.concurrency + 4, 7 * _MIB), started)
    finally:
        pool.close()
    return 0


def with_room(settings: Settings, threads: int, body: int) -> Settings:
    """Return settings with as many threads, and request bodies up to so many bytes."""
    return msgspec.structs.replace(
        settings,
        process=msgspec.structs.replace(settings.process, threads=threads),
        limits=msgspec.structs.replace(settings.limits, request_body=body),
    )
