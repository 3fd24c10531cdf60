"""`portway dev --as lambda`: the application as a Lambda function behind a front door, on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from portway.cli.emulate import with_room
from portway.cli.function import DOORS, door_of, function_of, function_parameters
from portway.cli.function import SETTINGS as NAMES
from portway.cli.invoke import log_line
from portway.cli.options import load_settings
from portway.cli.session import Session
from portway.config.amounts import Count
from portway.config.kinds import Refused
from portway.errors import BadValue, Conflict

_DOOR = ("api-stage", "binary-media-types", "multi-value-headers", "api-key", "user-pool-keys")
_MIB = 1 << 20
_THREADS_MOST = 500
_ANSWERING = 4
"""Threads beyond one for each event at once: they say that all environments are busy."""

LAMBDA_SETTINGS = (*NAMES, *_DOOR, "bind", "access-log", "log-level")
"""The declared options that it takes."""


def lambda_parameters() -> list[click.Parameter]:
    """Return the options of its own."""
    return [
        click.Option(
            ["--stream"],
            is_flag=True,
            help="Set door (url or rest) and handler up to stream, as the invoke mode RESPONSE_STREAM.",
        ),
        click.Option(
            ["--cors-origin"],
            metavar="ORIGIN",
            multiple=True,
            help="An origin, or *, that the CORS setting of an HTTP API or Function URL allows.",
        ),
        click.Option(
            ["--cors-credentials"], is_flag=True, help="That setting allows cookies and authorization."
        ),
        click.Option(
            ["--environments"],
            metavar="NUMBER",
            default="10",
            help="Most environments at once, as a new account has; further requests are throttled. [10]",
        ),
        *function_parameters(),
    ]


def run_as_lambda(context: click.Context, session: Session, given: dict[str, Any]) -> int:
    """Run it, and return the exit code."""
    wanted = _door(given["parity"])
    _check(wanted, given)
    limit = _environments(given["environments"])
    loaded = load_settings(context, session)
    function = function_of(context, loaded, session.environ, stream=given["stream"])
    session.require_unix()
    if wanted == "auto":
        wanted = loaded.settings.function.event
    kind, declared = door_of(function, wanted, "--as")
    _check(kind, given)

    from portway.awslambda.emulator.api import API, Authorizers
    from portway.awslambda.emulator.cors import CORS
    from portway.awslambda.emulator.front import FrontDoor
    from portway.awslambda.emulator.pool import Pool
    from portway.awslambda.front import Door
    from portway.awslambda.front.pools import UserPools
    from portway.server.single import serve_single

    setup = loaded.settings.function
    door = Door(
        kind,
        stage=setup.stage if kind in ("rest", "http") else "",
        binary_types=setup.binary_types or (tuple(declared["binary_types"]) if declared else ("*/*",)),
        multi_value=setup.multi_value,
        region=function.region,
    )
    cors = CORS(tuple(given["cors_origin"]), allow_credentials=given["cors_credentials"])

    def started(addresses: Iterable[str]) -> None:
        facts = f"{function.memory_mb} MB, {function.timeout_s:g} s, {function.command[2]}"
        for address in addresses:
            path = f"/{door.stage}/" if door.stage else "/"
            log_line(f"{door.kind}: {function.environ['PORTWAY_APP']} ({facts}) on {address}{path}")

    pool = Pool(function, log_line, limit=limit, reload=True)
    authorizers = Authorizers(function, log_line, limit)
    api = None
    if declared is not None:
        user_pools = UserPools(setup.user_pool_keys)
        api = API(declared, function, door, authorizers, setup.api_keys, user_pools, log_line)
    front = FrontDoor(door, pool, log_line, streams=given["stream"], cors=cors, api=api)
    try:
        threads = min(limit * max(1, function.concurrency), _THREADS_MOST) + _ANSWERING
        serve_single(front, with_room(loaded.settings, threads, 11 * _MIB), started)
    finally:
        pool.close()
        authorizers.close()
    return 0


def _door(parity: str) -> Any:
    """Return the front door that --as names.

    Raises:
        BadValue: It is not lambda, or no such door.
    """
    place, colon, door = parity.partition(":")
    if place != "lambda" or (colon and door not in DOORS):
        raise BadValue("--as", parity, f"must be lambda, or lambda: and one of {', '.join(DOORS)}")
    return door or "auto"


def _check(kind: str, given: dict[str, Any]) -> None:
    """Raise Conflict for a setting that this front door does not have."""
    doors = {
        "--stream": (given["stream"], ("url", "rest")),
        "--api-stage": (given["api_stage"], ("rest", "http")),
        "--cors-origin": (given["cors_origin"], ("url", "http")),
        "--binary-media-types": (given["binary_media_types"], ("rest",)),
        "--no-multi-value-headers": (given["multi_value_headers"] is False, ("alb",)),
    }
    for flag, (value, kinds) in doors.items():
        if value and kind not in (*kinds, "auto"):
            why = f"only {' and '.join(f'lambda:{one}' for one in kinds)} has it"
            raise Conflict(flag, f"--as lambda:{kind}", why)


def _environments(text: str) -> int:
    try:
        return Count(1, 500).from_text(text)
    except Refused as refusal:
        raise BadValue("--environments", text, str(refusal)) from None
