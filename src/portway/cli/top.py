"""`portway top`: the state of a running server in the terminal, again and again."""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from portway.cli.command import SETTINGS
from portway.cli.server_link import ServerLink, find, finding_options

_HELP = """Show the state of a running server, live, until q or ^C.

The server is found as `portway ctl` finds it. Off a terminal it prints one picture after the other."""

# ECMA-48: the alternate screen, the cursor's home, the rest of a line, the rest of the screen.
ENTER, LEAVE, HOME, REST, BELOW = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H", "\x1b[K", "\x1b[J"


def _top(every: float, count: int, **_: object) -> int:
    control, _pid = find(click.get_current_context())
    screen = sys.stdout.isatty()
    with ServerLink(control) as link, _screen(screen), _keys():
        try:
            _watch(link, every, count, screen)
        except KeyboardInterrupt:
            pass
    return 0


@contextmanager
def _screen(wanted: bool) -> Iterator[None]:
    """Use the terminal's other screen, and bring back what was there."""
    if not wanted:
        yield
        return
    click.echo(ENTER, nl=False)
    try:
        yield
    finally:
        click.echo(LEAVE, nl=False)


@contextmanager
def _keys() -> Iterator[None]:
    """Get every key at once, and show none."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _watch(link: ServerLink, every: float, count: int, screen: bool) -> None:
    from portway.cli.tables import summary  # late: it needs the compiled engine

    before: dict[str, Any] | None = None
    shown = 0
    while True:
        now = link.ask("status")
        _show(summary(now, before), screen)
        before = now
        shown += 1
        if shown == count or _left(every, screen):
            return


def _show(lines: list[str], screen: bool) -> None:
    if not screen:
        click.echo("\n".join([*lines, ""]))
        return
    size = shutil.get_terminal_size()
    picture = [line[: size.columns] + REST for line in lines[: size.lines - 1]]
    click.echo(HOME + "\r\n".join(picture) + "\r\n" + BELOW, nl=False)


def _left(every: float, screen: bool) -> bool:
    """Wait; return whether somebody typed q."""
    if not screen or not sys.stdin.isatty():
        time.sleep(every)
        return False
    until = time.monotonic() + every
    while select.select([sys.stdin], [], [], max(0.0, until - time.monotonic()))[0]:
        keys = os.read(sys.stdin.fileno(), 1024)
        if not keys or b"q" in keys.lower():  # without any, the terminal is gone
            return True
    return False


def top_command() -> click.Command:
    """Return the command."""
    every = click.Option(
        ["--every"], type=click.FloatRange(0.1, 3600), default=1.0, metavar="SECONDS", help="How often. [1]"
    )
    count = click.Option(
        ["--count"], type=click.IntRange(0), default=0, metavar="N", help="Stop after so many; 0: never. [0]"
    )
    return click.Command(
        "top",
        callback=_top,
        params=[every, count, *finding_options()],
        help=_HELP,
        short_help="Show the state of a running server, live.",
        context_settings=SETTINGS,
    )
