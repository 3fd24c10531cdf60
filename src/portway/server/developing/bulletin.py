"""What the arbiter tells every worker about the newest version of the application, in shared memory.

One writer, the arbiter; any number of readers, who never wait and never hold it up. A reader takes what
it finds only when its checksum is right, so a text that is being replaced is read once more.
"""

from __future__ import annotations

import mmap
import struct
import time
import zlib

import msgspec
from msgspec import Struct

from portway.server.developing.imports import Warmth

SIZE = 1 << 20
MOST_CHARACTERS = 40_000
"""Of each of the four texts. In JSON a character takes six bytes at most, so all of them have room."""

_HEAD = struct.Struct("<QII")  # edition, bytes, their CRC-32
_TRIES = 100


class Problem(Struct, frozen=True):
    """Why the newest version does not serve. `text`, `hint` and `details` are those of a `PortwayError`.

    Attributes:
        frames: The details as HTML, with the source as it was then.
    """

    text: str
    hint: str = ""
    details: str = ""
    frames: str = ""


class Notice(Struct, frozen=True):
    """What is known.

    Attributes:
        edition: Grows with all that is posted.
        generation: The number of the generation that serves, 0 for none.
        problem: What is wrong with the newest version; None when that is the one that serves.
    """

    edition: int = 0
    generation: int = 0
    problem: Problem | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Notice).decode


class Bulletin:
    """Made before the first fork; only the process that made it posts."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SIZE)
        # Never the number of another server's or of an earlier start: browsers keep it in a cookie, and
        # cookies know no ports.
        self._known = Notice(time.time_ns() // 1_000_000)

    def post(self, generation: int, problem: Problem | None = None) -> None:
        """Tell every worker.

        Args:
            generation: The generation that serves, 0 for none.
            problem: Why the newest one does not.
        """
        if problem is not None:
            frames = problem.frames if len(problem.frames) <= MOST_CHARACTERS else ""  # HTML is not to be cut
            text, hint, details = map(_bounded, (problem.text, problem.hint, problem.details))
            problem = Problem(text, hint, details, frames)
        notice = Notice(self._known.edition + 1, generation, problem)
        data = _encode(notice)
        self._memory[_HEAD.size : _HEAD.size + len(data)] = data
        self._memory[: _HEAD.size] = _HEAD.pack(notice.edition, len(data), zlib.crc32(data))
        self._known = notice

    def read(self) -> Notice:
        """Return what was posted last, or (while that is being replaced, for ever so short) before it."""
        for _ in range(_TRIES):
            edition, size, checksum = _HEAD.unpack(self._memory[: _HEAD.size])
            if edition in (0, self._known.edition):  # 0: nothing yet
                break
            data = self._memory[_HEAD.size : _HEAD.size + min(size, SIZE)]
            if zlib.crc32(data) == checksum:
                self._known = _decode(data)
                break
        return self._known


def _bounded(text: str) -> str:
    """Return a text that can be encoded, only its end when it is long: there the exception is."""
    return text[-MOST_CHARACTERS:].encode("utf-8", "backslashreplace").decode()


class Development(Struct, frozen=True):
    """What workers get in `portway dev`.

    Attributes:
        bulletin: See there.
        folder: The project's folder, an absolute path.
        warmth: What the process that this one was forked from had imported; None for nothing.
        stand_in: This generation does not serve the application, which has never started, but says why.
    """

    bulletin: Bulletin
    folder: str
    stand_in: bool = False
    warmth: Warmth | None = None
