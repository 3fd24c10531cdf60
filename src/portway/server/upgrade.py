"""SIGUSR2: the same command line started again on the same listening sockets, beside the running server.

The new arbiter inherits the descriptors of the listening sockets and learns of them from one environment
variable, which it removes before anything else sees it. Both serve until the operator ends one of them: the
old one (TERM), when the new one is right, or the new one, when it is not. A pid file is `FILE.2` for the new
one until the old one is gone.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, MutableMapping

from msgspec import Struct, field

from portway.server.assignment import Shared
from portway.server.invocation import Invocation
from portway.server.signals import held

VARIABLE = "_PORTWAY_UPGRADE"


class Inheritance(Struct):
    """What an arbiter got from the one that started it.

    Attributes:
        parent: The process id of the old arbiter; 0 when nobody upgrades.
        descriptors: Listening sockets, by the `bind` address they were opened for.
        neighbour: The pair of sockets between the two arbiters, this one's end last; None when the old
            one knows of no such thing.
        numbers: The listeners' numbers, by descriptor; see `portway.server.listening`.
        knows: The first number that is not taken.
    """

    parent: int = 0
    descriptors: dict[str, list[int]] = field(default_factory=dict)
    neighbour: tuple[int, int] | None = None
    numbers: dict[int, int] = field(default_factory=dict)
    knows: int = 0

    @property
    def parent_lives(self) -> bool:
        """Whether the old arbiter still runs; it is this process's parent as long as it does."""
        return self.parent != 0 and os.getppid() == self.parent


def inherit(environ: MutableMapping[str, str]) -> Inheritance:
    """Return what was inherited, and remove it from the environment.

    It counts only in the very process that the old arbiter started, not in one that merely has the variable.
    """
    try:
        value = json.loads(environ.pop(VARIABLE, "null"))
        if value is not None and value["parent"] == os.getppid():
            descriptors = {str(where): [int(fd) for fd in fds] for where, fds in value["sockets"].items()}
            pair = value.get("neighbour")
            neighbour = (int(pair[0]), int(pair[1])) if pair else None
            numbers = {int(fd): int(number) for fd, number in value.get("numbers", [])}
            return Inheritance(
                value["parent"], descriptors, neighbour, numbers, int(value.get("knows", 0))
            )
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return Inheritance()


def start_again(
    invocation: Invocation,
    shared: Shared,
    neighbour: tuple[int, int],
    before_exec: Callable[[], None],
) -> int:
    """Fork, and execute the command line of this server in the child.

    Args:
        invocation: How it was started.
        shared: What it has open; the new one is to listen there, too.
        neighbour: The pair of sockets between the two, the new one's end last.
        before_exec: Called in the child first.

    Returns:
        The child's process id. It ends with code 127 when there is nothing to execute.

    Raises:
        OSError: The system has no process left.
    """
    sockets: dict[str, list[int]] = {}
    for listener in shared.listeners:
        sockets.setdefault(str(listener.address), []).append(listener.sock.fileno())
    numbers = [(listener.sock.fileno(), listener.number) for listener in shared.listeners]
    told = {"parent": os.getpid(), "sockets": sockets, "neighbour": neighbour}
    value = json.dumps({**told, "numbers": numbers, "knows": shared.knows})
    with held():
        pid = os.fork()
    if pid == 0:
        try:
            before_exec()
            for descriptor in (*itertools.chain(*sockets.values()), *neighbour):
                os.set_inheritable(descriptor, True)
            os.chdir(invocation.cwd)
            # The interpreter by its path, whatever name it was called by.
            os.execve(sys.executable, invocation.argv, {**os.environ, VARIABLE: value})
        finally:
            os._exit(127)
    return pid
