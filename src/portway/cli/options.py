"""The flags of a command, made from the declarations in `portway.config`, and what was given of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import click
from click.core import ParameterSource

from portway.cli.session import Session
from portway.config import Loaded, resolve
from portway.config.amounts import Size, spell_size
from portway.config.declared import BY_NAME, DECLARED
from portway.config.kinds import Switch
from portway.config.option import Declared

_PYTHON_NAMES = {declared.option.name.replace("-", "_"): declared for declared in DECLARED}


def setting_parameters(names: Collection[str] = BY_NAME) -> list[click.Parameter]:
    """Return a parameter for every declared option, in their order, and `--config`.

    Values stay text: `portway.config` reads them, as it reads the environment's.

    Args:
        names: The options that the command takes.
    """
    parameters = [_parameter(declared) for declared in DECLARED if declared.option.name in names]
    config = click.Option(
        ["-c", "--config", "config"],
        metavar="FILE",
        help="Read options from this file instead of portway.toml or pyproject.toml.",
    )
    return [*parameters, config]


def _parameter(declared: Declared) -> click.Parameter:
    option = declared.option
    python_name = option.name.replace("-", "_")
    if not option.flag.startswith("-"):
        return click.Argument([python_name], metavar=f"[{option.flag}]", required=False)
    if isinstance(option.kind, Switch):
        spelling = f"{option.flag}/--no-{option.name}"
        return click.Option([spelling, python_name], default=None, help=_help(declared))
    return click.Option(
        [*option.flags, python_name],
        metavar=option.kind.metavar,
        multiple=option.kind.many,
        help=_help(declared),
    )


def _help(declared: Declared) -> str:
    default, kind = declared.default, declared.option.kind
    if default in ("", (), None):
        return declared.option.help
    shown = spell_size(default) if isinstance(kind, Size) else kind.to_toml(default).strip('[]"')
    return f"{declared.option.help} [{shown}]"


def given(context: click.Context) -> dict[str, object]:
    """Return the settings that stand on the command line, by option name."""
    return {
        declared.option.name: context.params[name]
        for name, declared in _PYTHON_NAMES.items()
        if name in context.params and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def load_settings(context: click.Context, session: Session, default_stage: str = "") -> Loaded:
    """Return the settings that the command line, the environment and the files add up to.

    Args:
        context: The command's.
        session: The surroundings.
        default_stage: The stage that counts where nothing asks for one and the file has it.

    Raises:
        ConfigError: See `portway.config.resolve`.
    """
    return resolve(given(context), session.environ, session.cwd, context.params["config"], default_stage)


def spellings(parameters: Iterable[click.Parameter]) -> list[str]:
    """Return every long flag that some parameters have."""
    flags = [flag for parameter in parameters for flag in (*parameter.opts, *parameter.secondary_opts)]
    return [flag for flag in flags if flag.startswith("--")]
