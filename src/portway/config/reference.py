"""The reference page of all options, docs/configuration.md, made from their declarations.

    python -m portway.config.reference > docs/configuration.md

A test fails when the page in the repository differs from what stands here.
"""

from __future__ import annotations

import sys

from portway.config.amounts import Size, spell_size
from portway.config.declared import DECLARED, ENVIRONMENT_ONLY
from portway.config.option import Declared
from portway.config.route_keys import KEYS, PATH, TARGETS, Key

_INTRODUCTION = """\
# Configuration

<!-- Written by `python -m portway.config.reference`; change the declarations in
     src/portway/config/settings.py instead. -->

Every option can be given in three ways. The first of these that has it gives the value:

1. a flag: `portway serve app:app --workers 4`;
2. an environment variable: `PORTWAY_WORKERS=4`;
3. a key of the configuration file: `workers = 4`; in a [stage](stages.md), its own key first.

The configuration file is `portway.toml`, or the `[tool.portway]` table of `pyproject.toml`, in the
directory of `--chdir` or else the one the command is started in; parents are not searched, and having
both is an error. `-c/--config FILE` (or `PORTWAY_CONFIG`) names another file.

Four variables that hosting platforms set are used where nothing above sets the option:
`AWS_LAMBDA_HTTP_ENDPOINT` (Lambda Web Functions) is an address to `bind`, else `PORT` makes `bind`
`0.0.0.0:$PORT`; `WEB_CONCURRENCY` is the number of `workers`; `FORWARDED_ALLOW_IPS` is
`forwarded-allow-ips`.

`portway serve --print-config` prints every value with its origin, as a file that would configure the
same. `portway check` validates the configuration and the application without starting anything. An
unknown flag, key or `PORTWAY_` variable is an error that names the nearest one that exists.

How values are written:

- Sizes are bytes: a number, or text with a power of 1,024: `"64k"`, `"16M"`, `"1G"`.
- Times are seconds, whole or not: `2.5`.
- A repeatable option is a repeated flag, an array in the file (`bind = ["127.0.0.1:8000",
  "unix:/run/site.sock"]`) and a comma list in the environment.
- A switch has a flag for each side (`--date-header`, `--no-date-header`) and is `true` or `false` in
  the file; in the environment `1`, `0`, `yes`, `no`, `on` and `off` do as well.
- Relative paths start at the working directory, after `--chdir`; `-c` and `--chdir` themselves at the
  directory the command is started in, and a `chdir` key at the directory of its file.

Tables of the file describe more than options can: which paths go where, [routes](routes.md), and what
differs from place to place, [stages](stages.md). Their keys stand [at the end of this page](#routes).

An environment file (`--env-file`) holds lines such as `NAME=value`, `NAME='as it stands'` and
`NAME="with \\n escapes"`; `$NAME` is not expanded. Its variables reach the application unless the real
environment has them already, and `PORTWAY_` variables in it and those of platforms configure the server
like real ones.
"""


_ROUTES = """\
## Routes

Each `[[routes]]` table of the file is a rule: which paths, and who answers. [Routes](routes.md) tells more.
"""

_STAGES = """\
## Stages and variables

These keys stand in the file itself and in each `[stages.NAME]`; [Stages](stages.md) tells more.

- `env`: a table from the name of a variable to its text, in which `${ssm:/name}`, `${secret:name}` and
  `${env:NAME}` may stand.
- `env-files`: environment files, as `--env-file` takes them; a relative one starts where the configuration
  file is.
- `extends`: in a stage, the name of the one that holds what it does not say; without it the file itself.

A stage also takes every option above but `stage`, and `[[stages.NAME.routes]]`.
"""


def reference() -> str:
    """Return the text of docs/configuration.md."""
    parts = [_INTRODUCTION]
    topic = ""
    for declared in DECLARED:
        if declared.topic != topic:
            topic = declared.topic
            parts.append(f"## {topic}\n")
        parts.append(_entry(declared))
    parts.append(_routes())
    parts.append(_STAGES)
    parts.append("## Variables without an option\n")
    parts.append("\n".join(f"- `{name}`: {text}" for name, text in ENVIRONMENT_ONLY.items()) + "\n")
    return "\n".join(parts)


def _routes() -> str:
    """Return what a `[[routes]]` table may hold."""
    parts = [_ROUTES, f"- `{PATH.name}`: {PATH.help}\n"]
    for name, target in TARGETS.items():
        parts.append(f"### `{name}`\n\n{target.help}\n")
        parts.append("\n".join(_key(key) for key in KEYS[name]) + "\n")
    return "\n".join(parts)


def _key(key: Key) -> str:
    values = key.kind.metavar or "true|false"
    default = "none" if key.default in (None, ()) else f"`{_spelled(key)}`"
    return f"- `{key.name}` ({values.replace('|', ', ')}): {key.help} Default {default}."


def _spelled(key: Key) -> str:
    return (
        str(key.default)
        if isinstance(key.default, int) and not isinstance(key.default, bool)
        else (key.kind.to_toml(key.default))
    )


def _entry(declared: Declared) -> str:
    option = declared.option
    facts = [f"Default `{_default(declared)}`"]
    if option.unit:
        facts.append(option.unit)
    if option.kind.limits():
        facts.append(option.kind.limits())
    names = f"Key `{option.name}`, variable `{option.variable}`."
    return f"### `{_usage(declared)}`\n\n{option.help}\n\n{', '.join(facts)}. {names}\n"


def _usage(declared: Declared) -> str:
    option = declared.option
    if not option.flags[-1].startswith("-"):
        return option.flag
    if not option.kind.metavar:
        return f"{option.flag} / --no-{option.name}"
    return f"{', '.join(option.flags)} {option.kind.metavar}"


def _default(declared: Declared) -> str:
    if isinstance(declared.option.kind, Size):
        return spell_size(declared.default)
    return declared.option.kind.to_toml(declared.default)


if __name__ == "__main__":
    sys.stdout.write(reference())
