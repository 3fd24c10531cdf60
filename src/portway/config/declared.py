"""All options in the order of their declaration, found by walking `Settings`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, get_args, get_origin, get_type_hints

import msgspec

from portway.config.option import Declared, Option
from portway.config.settings import Settings

ENVIRONMENT_ONLY = {
    "PORTWAY_CONFIG": "The configuration file, as --config.",
    "PORTWAY_POLLER": "poll makes the engine use poll() where it would use epoll.",
}
"""PORTWAY_ variables that are no option of `Settings`, with what each one does."""

ELSEWHERE = frozenset(
    {
        "PORTWAY_BIN",
        "PORTWAY_COMPRESS",
        "PORTWAY_DEADLINE_MARGIN",
        "PORTWAY_ID_HEADERS",
        "PORTWAY_RESPONSE_MODE",
        "PORTWAY_RIE",
        "PORTWAY_SIGTERM",
        "PORTWAY_SNAPSTART_LIFESPAN",
        "PORTWAY_WEBSOCKET_PATH",
    }
)
"""PORTWAY_ variables that mean something to another part (the Lambda handler, the tests): the same
environment file may serve both, so the server lets them pass."""

FALLBACKS = {
    "bind": ("AWS_LAMBDA_HTTP_ENDPOINT", "PORT"),
    "workers": ("WEB_CONCURRENCY",),
    "forwarded-allow-ips": ("FORWARDED_ALLOW_IPS",),
}
"""Variables that platforms set, taken where nothing else sets the option; the first that is set counts."""


def _walk() -> Iterator[Declared]:
    for group_name, group in get_type_hints(Settings).items():
        hints = get_type_hints(group, include_extras=True)
        for field in msgspec.structs.fields(group):
            hint = hints[field.name]
            assert get_origin(hint) is Annotated
            option = next(item for item in get_args(hint) if isinstance(item, Option))
            yield Declared(option, group_name, field.name, group.topic, field.default)


DECLARED: tuple[Declared, ...] = tuple(_walk())
BY_NAME = {declared.option.name: declared for declared in DECLARED}
BY_VARIABLE = {declared.option.variable: declared for declared in DECLARED}
