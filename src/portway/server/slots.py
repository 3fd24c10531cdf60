"""The places that workers take: a line of the shared board and a hand-over queue each.

A worker hands a connection it accepted to a less loaded one by sending the descriptor to that one's
queue. All queues are made before the first fork, and the arbiter keeps both ends of each: what was
queued for a worker that died stays in the kernel, and the arbiter passes it on to a living one.

One more pair is for the server beside this one during an upgrade (`neighbour.py`), whose workers know
it as the slot behind the last one.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys

from portway.engine.counters import DEAD, DRAINING, FREE, READY, STARTING, Board, Slot
from portway.errors import StartupFailed

# macOS has no SEQPACKET between local sockets; its datagrams keep their order and are never lost either.
_KIND = socket.SOCK_SEQPACKET if sys.platform != "darwin" else socket.SOCK_DGRAM
MAX_MESSAGE = 64 * 1024
NOTICE = b"portway "
"""What an arbiter says to another begins so. A message with a connection begins with a small number."""

_MAX_DESCRIPTORS = 16
_NUMBER_SIZE = 4
"""Bytes of the listener's number, with which a message with a connection begins."""


def slots_for(workers: int) -> int:
    """Return how many slots to make for a number of workers.

    A reload needs twice the workers; the rest is room for TTIN, and for a second reload while
    workers of the first are still draining. Each slot costs two descriptors in every process.
    """
    return max(16, min(4 * workers, 2 * workers + 64))


class Slots:
    """All slots. Made by the arbiter, inherited by its workers.

    The arbiter alone takes and releases; a worker calls `keep_only` once and then uses its own slot.

    Attributes:
        count: How many there are.
        beside: The index behind the last one: the queue of the server beside this one.

    Args:
        count: How many to make.
        neighbour: The pair of the server that started this one, the end that is for this one last; None
            makes a pair.
    """

    def __init__(self, count: int, neighbour: tuple[socket.socket, socket.socket] | None = None) -> None:
        self.count = self.beside = count
        self.board = Board(count)
        self._queues: list[tuple[socket.socket, socket.socket]] = []
        try:
            for _ in range(count):
                self._queues.append(_queue())
            self._queues.append(neighbour or _queue())
        except OSError as error:
            self.close()
            raise StartupFailed(
                f"cannot make {count} hand-over queues: {error.strerror}",
                "raise the limit of open files (ulimit -n).",
            ) from error

    def __getitem__(self, index: int) -> Slot:
        return self.board.slot(index)

    def free(self) -> int:
        """Return how many slots nobody holds."""
        return sum(self[index].state == FREE for index in range(self.count))

    def take(self) -> int | None:
        """Return the lowest free slot, zeroed and now STARTING, or None when all are held."""
        for index in range(self.count):
            if self[index].state == FREE:
                self.prepare(index)
                return index
        return None

    def prepare(self, index: int) -> None:
        """Zero a slot for its next worker."""
        self[index].reset()
        self[index].state = STARTING

    def assign(self, index: int, pid: int, generation: int) -> None:
        """Write down who works in a slot."""
        self[index].pid = pid
        self[index].generation = generation

    def drain(self, index: int) -> None:
        """Mark a slot whose worker is to stop, so that nobody hands it anything more."""
        self[index].state = DRAINING

    def bury(self, index: int) -> None:
        """Mark a slot whose worker is gone, so that nobody hands it anything more."""
        self[index].state = DEAD

    def release(self, index: int) -> None:
        """Give a slot back."""
        self[index].reset()
        self[index].state = FREE

    def queue(self, index: int) -> socket.socket:
        """Return the end that a slot's connections arrive at."""
        return self._queues[index][0]

    def others(self, index: int) -> dict[int, socket.socket]:
        """Return the sending ends of every slot's queue but one, and that of the server beside this one."""
        return {other: pair[1] for other, pair in enumerate(self._queues) if other != index}

    @property
    def own_end(self) -> socket.socket:
        """The end of the pair with the server beside this one at which both are heard and talked to."""
        return self._queues[self.beside][1]

    def neighbour_ends(self) -> tuple[int, int]:
        """Return the descriptors of that pair, the other server's end last."""
        theirs, ours = self._queues[self.beside]
        return ours.fileno(), theirs.fileno()

    def any_ready(self) -> bool:
        """Return whether a worker answers requests."""
        return any(self[index].state == READY for index in range(self.count))

    def pass_on(self, queue: socket.socket) -> bool:
        """Send one connection of a queue to the ready slot with the fewest connections that has room.

        Only to one that knows its listener; where there is none, whoever gets it drops it.

        Args:
            queue: The end that it has arrived at.

        Returns:
            Whether there is such a slot. If not, the queue keeps what it has.

        Raises:
            BlockingIOError: The queue is empty.
        """
        ready = [self[index] for index in range(self.count) if self[index].state == READY]
        if not ready:
            return False
        listener = int.from_bytes(queue.recv(_NUMBER_SIZE, socket.MSG_PEEK), sys.byteorder)
        ready = [slot for slot in ready if slot.knows > listener] or ready
        ready.sort(key=lambda slot: slot.connections + slot.in_flight)
        target = next((slot for slot in ready if _has_room(self._queues[slot.index][1])), None)
        if target is None:
            return False
        payload, descriptors, _, _ = socket.recv_fds(
            queue, MAX_MESSAGE, _MAX_DESCRIPTORS, getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        )
        try:
            with contextlib.suppress(OSError):  # no room after all: this one connection is dropped
                if descriptors:
                    socket.send_fds(self._queues[target.index][1], [payload], descriptors)
                    target.expect()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def keep_only(self, index: int) -> None:
        """Close the receiving ends of all queues but one, in a worker."""
        for other, (receiving, _) in enumerate(self._queues):
            if other != index:
                receiving.close()

    def close(self) -> None:
        """Close every queue. Idempotent."""
        for receiving, sending in self._queues:
            receiving.close()
            sending.close()


def adopt_neighbour(ends: tuple[int, int]) -> tuple[socket.socket, socket.socket]:
    """Return the pair of the server that started this one, from its descriptors."""
    first, last = (socket.socket(fileno=end) for end in ends)
    for end in (first, last):
        end.set_inheritable(False)
        end.setblocking(False)
    return first, last


def _has_room(sending: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sending, select.POLLOUT)
    return bool(poll.poll(0))


def _queue() -> tuple[socket.socket, socket.socket]:
    receiving, sending = socket.socketpair(socket.AF_UNIX, _KIND)
    receiving.setblocking(False)
    sending.setblocking(False)
    return receiving, sending
