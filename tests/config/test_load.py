"""Loading: precedence, origins, fallbacks, and every way of being refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.config import ConfigFile, EnvFile, Settings, load
from portway.config.address import FORMS
from portway.config.declared import BY_VARIABLE, DECLARED
from portway.errors import BadValue, ConfigError, ConfigFileError, Conflict, UnknownOption

IN_ENV = "in the environment"
WORKERS = "must be a whole number from 1 to 512, a range such as 2:8, or auto"
A_PORT = "must be a port from 1 to 65535"
CLEAN = "must not contain control characters or bytes that are not UTF-8"
BYTES = 'must be a number of bytes such as 65536, "64k" or "16M"'
LEVEL = "must be debug, info, warning, error or critical"
NO_VARIABLE = "unknown environment variable"


def file(**keys: object) -> ConfigFile:
    return ConfigFile("portway.toml", {key.replace("_", "-"): value for key, value in keys.items()})


def test_nothing_given_is_every_default() -> None:
    loaded = load({}, {})
    assert loaded.settings == Settings()
    assert {origin.source for origin in loaded.origins.values()} == {"default"}
    assert set(loaded.origins) == {declared.option.name for declared in DECLARED}


@pytest.mark.parametrize(
    ("flags", "environ", "table", "workers", "comment"),
    [
        (
            {"workers": "5"},
            {"PORTWAY_WORKERS": "4", "WEB_CONCURRENCY": "2"},
            {"workers": 3},
            5,
            "flag --workers",
        ),
        (
            {},
            {"PORTWAY_WORKERS": "4", "WEB_CONCURRENCY": "2"},
            {"workers": 3},
            4,
            "environment PORTWAY_WORKERS",
        ),
        ({}, {"WEB_CONCURRENCY": "2"}, {"workers": 3}, 3, "portway.toml"),
        ({}, {"WEB_CONCURRENCY": "2"}, {}, 2, "environment WEB_CONCURRENCY"),
        ({}, {"WEB_CONCURRENCY": ""}, {}, 1, "default"),
    ],
)
def test_precedence(
    flags: dict[str, object], environ: dict[str, str], table: dict[str, object], workers: int, comment: str
) -> None:
    loaded = load(flags, environ, file(**table))
    assert loaded.settings.process.workers.minimum == workers
    assert loaded.origins["workers"].comment == comment


@pytest.mark.parametrize(
    ("flags", "environ", "table", "bind"),
    [
        ({}, {"PORT": "5000"}, {}, ("0.0.0.0:5000",)),
        ({}, {"PORT": ""}, {}, ("127.0.0.1:8000",)),
        ({}, {"AWS_LAMBDA_HTTP_ENDPOINT": "127.0.0.1:3000", "PORT": "5000"}, {}, ("127.0.0.1:3000",)),
        ({}, {"AWS_LAMBDA_HTTP_ENDPOINT": "[::]:3000"}, {}, ("[::]:3000",)),
        ({}, {"AWS_LAMBDA_HTTP_ENDPOINT": ""}, {}, ("127.0.0.1:8000",)),
        ({"bind": (":80",)}, {"AWS_LAMBDA_HTTP_ENDPOINT": ":3000"}, {}, ("0.0.0.0:80",)),
        ({"bind": (":80",)}, {"PORT": "5000"}, {}, ("0.0.0.0:80",)),
        ({}, {"PORT": "5000", "PORTWAY_BIND": "[::1]:80, unix:/a"}, {}, ("[::1]:80", "unix:/a")),
        ({}, {"PORT": "5000"}, {"bind": "unix:/a,b"}, ("unix:/a,b",)),
        ({}, {}, {"bind": [":1", "fd://3"]}, ("0.0.0.0:1", "fd://3")),
        ({"bind": (":1", ":2")}, {}, {"bind": [":3"]}, ("0.0.0.0:1", "0.0.0.0:2")),
    ],
)
def test_bind(
    flags: dict[str, object], environ: dict[str, str], table: dict[str, object], bind: tuple[str, ...]
) -> None:
    assert load(flags, environ, file(**table)).settings.listen.bind == bind


def test_switches() -> None:
    assert load({"date-header": False}, {"PORTWAY_DATE_HEADER": "on"}).settings.http.date_header is False
    assert load({}, {"PORTWAY_DATE_HEADER": "off"}).settings.http.date_header is False
    assert load({}, {}, file(date_header=False)).settings.http.date_header is False


@pytest.mark.parametrize(
    ("flags", "environ", "table", "text"),
    [
        ({"workers": "0"}, {}, {}, "--workers must be from 1 to 512, not '0'"),
        ({"app": "a\nb"}, {}, {}, f"APP {CLEAN}, not 'a\\nb'"),
        ({}, {"PORTWAY_WORKERS": "x"}, {}, f"PORTWAY_WORKERS {IN_ENV} {WORKERS}, not 'x'"),
        ({}, {"WEB_CONCURRENCY": "many"}, {}, f"WEB_CONCURRENCY {IN_ENV} {WORKERS}, not 'many'"),
        ({}, {"PORT": "http"}, {}, f"PORT {IN_ENV} {A_PORT}, not 'http'"),
        ({}, {"PORT": "0"}, {}, f"PORT {IN_ENV} {A_PORT}, not '0'"),
        (
            {},
            {"AWS_LAMBDA_HTTP_ENDPOINT": "3000"},
            {},
            f"AWS_LAMBDA_HTTP_ENDPOINT {IN_ENV} {FORMS}, not '3000'",
        ),
        ({}, {"PORT": "65536"}, {}, f"PORT {IN_ENV} {A_PORT}, not '65536'"),
        ({}, {"PORT": "tcp://10.0.0.1:80"}, {}, f"PORT {IN_ENV} {A_PORT}, not 'tcp://10.0.0.1:80'"),
        ({}, {}, {"workers": "4"}, f"workers in portway.toml {WORKERS}, not '4'"),
        ({}, {}, {"workers": True}, f"workers in portway.toml {WORKERS}, not True"),
        ({}, {}, {"server-header": "yes"}, "server-header in portway.toml must be true or false, not 'yes'"),
        ({}, {}, {"bind": [":1", 2]}, "bind in portway.toml must be a string, not 2"),
        ({}, {}, {"bind": [":1", ":1"]}, "bind in portway.toml must not hold a value twice, not '0.0.0.0:1'"),
        ({}, {}, {"app": {"name": "a"}}, "app in portway.toml must be a string, not {'name': 'a'}"),
        ({"limit-request-body": "1Q"}, {}, {}, f"--limit-request-body {BYTES}, not '1Q'"),
        ({"limit-request-line": "1"}, {}, {}, "--limit-request-line must be from 64 to 1M, not '1'"),
        ({"keep-alive": "0"}, {}, {}, "--keep-alive must be from 0.1 to 86400 seconds, not '0'"),
        ({"log-level": "loud"}, {}, {}, f"--log-level {LEVEL}, not 'loud'"),
    ],
)  # fmt: skip
def test_bad_value(
    flags: dict[str, object], environ: dict[str, str], table: dict[str, object], text: str
) -> None:
    with pytest.raises(BadValue) as caught:
        load(flags, environ, file(**table))
    assert str(caught.value) == text


def test_a_bad_value_explains_its_option() -> None:
    with pytest.raises(BadValue) as caught:
        load({"threads": "none"}, {})
    assert (caught.value.hint or "").startswith("threads: Threads in a WSGI worker")


@pytest.mark.parametrize(
    ("flags", "environ", "table", "text", "suggestion"),
    [
        ({"wrkers": "1"}, {}, {}, "unknown option 'wrkers'", "workers"),
        ({}, {"PORTWAY_WRKERS": "1"}, {}, f"{NO_VARIABLE} 'PORTWAY_WRKERS'", "PORTWAY_WORKERS"),
        ({}, {"PORTWAY_XYZ_ABC": "1"}, {}, f"{NO_VARIABLE} 'PORTWAY_XYZ_ABC'", None),
        ({}, {}, {"log_level": 1}, "unknown key 'log_level' in portway.toml", "log-level"),
        ({}, {}, {"Workers": 1}, "unknown key 'Workers' in portway.toml", "workers"),
        ({}, {}, {"": 1}, "unknown key '' in portway.toml", None),
    ],
)  # fmt: skip
def test_unknown_name(
    flags: dict[str, object],
    environ: dict[str, str],
    table: dict[str, object],
    text: str,
    suggestion: str | None,
) -> None:
    with pytest.raises(UnknownOption) as caught:
        load(flags, environ, ConfigFile("portway.toml", table))
    assert (str(caught.value), caught.value.suggestion) == (text, suggestion)


def test_other_programs_variables_are_left_alone() -> None:
    environ = {"GUNICORN_CMD_ARGS": "-w 4", "portway_workers": "9", "PORTWAYS": "1", "HTTP_PORTWAY_X": "1"}
    assert load({}, environ).settings == Settings()


def test_a_kubernetes_service_named_portway_is_no_configuration() -> None:
    environ = {
        "PORTWAY_SERVICE_HOST": "10.0.0.1",
        "PORTWAY_SERVICE_PORT": "80",
        "PORTWAY_SERVICE_PORT_HTTP": "80",
        "PORTWAY_PORT": "tcp://10.0.0.1:80",
        "PORTWAY_PORT_80_TCP": "tcp://10.0.0.1:80",
        "PORTWAY_PORT_80_TCP_PROTO": "tcp",
        "PORTWAY_PORT_80_TCP_PORT": "80",
        "PORTWAY_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert load({}, environ).settings == Settings()


def test_variables_that_are_no_option_are_known() -> None:
    assert load({}, {"PORTWAY_POLLER": "poll", "PORTWAY_CONFIG": "x.toml"}).settings == Settings()


def test_an_environment_file_stands_behind_the_environment_and_before_the_file() -> None:
    env_file = EnvFile(".env", {"PORTWAY_WORKERS": "3", "PORTWAY_THREADS": "2", "PORT": "99", "SECRET": "x"})
    loaded = load({}, {"PORTWAY_WORKERS": "5"}, file(threads=9), env_file)
    assert (loaded.settings.process.workers.minimum, loaded.settings.process.threads) == (5, 2)
    assert loaded.settings.listen.bind == ("0.0.0.0:99",)
    assert loaded.origins["threads"].comment == "environment PORTWAY_THREADS in .env"
    assert loaded.origins["workers"].comment == "environment PORTWAY_WORKERS"


def test_mistakes_in_an_environment_file_name_it() -> None:
    with pytest.raises(BadValue, match=r"^PORTWAY_WORKERS in \.env must"):
        load({}, {}, None, EnvFile(".env", {"PORTWAY_WORKERS": "x"}))
    with pytest.raises(UnknownOption, match=r"'PORTWAY_WORKER' in \.env$"):
        load({}, {}, None, EnvFile(".env", {"PORTWAY_WORKER": "x"}))
    with pytest.raises(ConfigFileError, match="PORTWAY_CONFIG has no effect"):
        load({}, {}, None, EnvFile(".env", {"PORTWAY_CONFIG": "x"}))


@pytest.mark.parametrize(
    ("flags", "table", "text"),
    [
        (
            {"limit-request-head": "4096"},
            {"limit-request-field-size": 8000},
            "limit-request-field-size in portway.toml conflicts with --limit-request-head: "
            "one field of 8000 bytes cannot fit into 4096 for all",
        ),
        (
            {"lifespan": "on"},
            {"interface": "wsgi"},
            "--lifespan conflicts with interface in portway.toml: WSGI has no lifespan",
        ),
        (
            {"app": "site:create()"},
            {"factory": True},
            "factory in portway.toml conflicts with APP: 'site:create()' is a call already",
        ),
    ],
)
def test_conflict_names_both_sides(flags: dict[str, object], table: dict[str, object], text: str) -> None:
    with pytest.raises(Conflict) as caught:
        load(flags, {}, ConfigFile("portway.toml", table))
    assert str(caught.value) == text


def test_a_default_never_conflicts() -> None:
    assert load({"limit-request-head": "4096"}, {}).settings.limits.request_head == 4096


TABLES = st.dictionaries(
    st.sampled_from([declared.option.name for declared in DECLARED]) | st.text(max_size=8),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.lists(st.text(max_size=9)),
    max_size=4,
)


@given(
    TABLES,
    st.dictionaries(
        st.sampled_from([*BY_VARIABLE, "PORT", "WEB_CONCURRENCY"]), st.text(max_size=9), max_size=3
    ),
)
def test_whatever_comes_is_loaded_or_refused_with_a_text(
    table: dict[str, Any], environ: dict[str, str]
) -> None:
    try:
        loaded = load({}, environ, ConfigFile("portway.toml", table))
    except ConfigError as error:
        assert str(error).isprintable() and len(str(error)) < 500
    else:
        assert isinstance(loaded.settings, Settings)
