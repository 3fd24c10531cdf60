"""A command whose help is grouped by topic, and the group that holds the commands."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from portway.config.declared import DECLARED
from portway.config.settings import App
from portway.errors import UnknownOption

WIDTH = 100
"""Columns of help text at most; a narrower terminal is followed."""

SETTINGS = {"max_content_width": WIDTH, "help_option_names": ["-h", "--help"]}
OTHER_TOPIC = "Other"

_TOPICS = {declared.option.name.replace("-", "_"): declared.topic for declared in DECLARED}


class TopicCommand(click.Command):
    """Shows its options under the headings of their declarations."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per topic, in the order of declaration; the command's own options last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            topic = _TOPICS.get(parameter.name or "", OTHER_TOPIC)
            record = _argument_record(parameter) or parameter.get_help_record(ctx)
            if record:
                sections.setdefault(topic, []).append(record)
        sections[OTHER_TOPIC] = sections.pop(OTHER_TOPIC, [])
        for topic, records in sections.items():
            with formatter.section(topic):
                formatter.write_dl(records, col_max=34)


def _argument_record(parameter: click.Parameter) -> tuple[str, str] | None:
    declared = next(declared for declared in DECLARED if declared.topic == App.topic)
    if not isinstance(parameter, click.Argument) or parameter.name != declared.option.name:
        return None
    return declared.option.flag, declared.option.help


class Commands(click.Group):
    """The top of the command line; an unknown command names the nearest one.

    Args:
        later: Command name → "module:function", imported when the command is asked for: a server should
            not load what the tools beside it need.
        settings: What click's own group takes.
    """

    def __init__(self, *, later: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._later = dict(later)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*self.commands, *self._later})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing it when that has waited."""
        if cmd_name in self._later:
            module, _, function = self._later.pop(cmd_name).partition(":")
            self.add_command(getattr(importlib.import_module(module), function)())
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names.

        Raises:
            UnknownOption: There is none.
        """
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            raise UnknownOption(
                args[0], kind="command", known=known, otherwise=f"`{ctx.command_path} --help` lists them all."
            )
        return super().resolve_command(ctx, args)
