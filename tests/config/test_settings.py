"""The declarations: complete, unique, and with the defaults that everybody relies on."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from portway.awslambda.options import FIELDS
from portway.config import Settings, load
from portway.config.declared import BY_NAME, DECLARED, ELSEWHERE, ENVIRONMENT_ONLY, FALLBACKS
from portway.config.kinds import Choice, Kind, Text
from portway.config.option import Declared
from portway.config.show import value_of
from portway.config.worker_range import WorkerRange

DEFAULTS = {
    "bind": ("127.0.0.1:8000",),
    "backlog": 2048,
    "workers": WorkerRange(1, 1),
    "threads": 4,
    "lifespan": "auto",
    "limit-request-line": 8190,
    "limit-request-field-size": 8190,
    "limit-request-head": 65_536,
    "limit-request-fields": 100,
    "limit-request-body": 104_857_600,
    "body-memory": 1_048_576,
    "response-spool": 1_073_741_824,
    "limit-connections": 10_000,
    "limit-concurrency": 0,
    "header-timeout": 15.0,
    "body-timeout": 30.0,
    "keep-alive": 75.0,
    "write-timeout": 60.0,
    "graceful-timeout": 30.0,
    "server-header": True,
    "date-header": True,
    "underscore-headers": (),
    "access-log": "off",
    "access-log-format": "combined",
    "error-log": "-",
}


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_default(name: str, value: object) -> None:
    default = value_of(Settings(), BY_NAME[name])
    assert (default, type(default)) == (value, type(value))


def test_every_field_is_declared() -> None:
    fields = [
        (group.name, field.name)
        for group in msgspec.structs.fields(Settings)
        for field in msgspec.structs.fields(type(group.default))
    ]
    assert fields == [(declared.group, declared.field) for declared in DECLARED]


def test_names_and_flags_are_unique() -> None:
    names = Counter(flag for declared in DECLARED for flag in declared.option.flags)
    names.update(["-c", "--config", "--print-config", "-h", "--help"])
    assert [name for name, count in names.items() if count > 1] == []
    assert not set(ENVIRONMENT_ONLY) & {declared.option.variable for declared in DECLARED}
    assert set(FALLBACKS) <= set(BY_NAME)


def test_variables_of_the_lambda_handler_pass() -> None:
    variables = {variable for variable, _, _ in FIELDS.values()}
    known = {declared.option.variable for declared in DECLARED}
    assert variables - known - ELSEWHERE == set()
    load({}, dict.fromkeys(ELSEWHERE, "x"))


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.option.name)
def test_declaration(declared: Declared) -> None:
    option = declared.option
    assert type(option.kind) is not Kind
    assert (option.help.endswith(".") and option.help[0].isupper()) or option.help.startswith("ASGI")
    assert option.name == option.name.lower() and "_" not in option.name
    # A default is a value like any other: it passes its own checks, unless it means "not set".
    if declared.default not in ("", None, ()):
        assert option.kind.from_toml(_as_toml(declared.default)) == declared.default


def _as_toml(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def test_choices_are_the_annotated_ones() -> None:
    for declared in DECLARED:
        if isinstance(declared.option.kind, Choice):
            settings = msgspec.convert({declared.group: {}}, Settings)
            for word in declared.option.kind.words:
                changed = msgspec.convert({declared.group: {declared.field: word}}, Settings)
                assert value_of(changed, declared) == word
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert({declared.group: {declared.field: "other"}}, Settings)
            assert value_of(settings, declared) in declared.option.kind.words
        elif isinstance(declared.option.kind, Text):
            assert isinstance(declared.default, str)


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Settings().process.threads = 2  # type: ignore[misc]
