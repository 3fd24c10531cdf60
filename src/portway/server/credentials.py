"""The certificates in use, the same in every process of the server, and re-read when their files change.

The arbiter makes one `Credentials` before the first fork. It reads the files, looks whether they have
changed, and publishes what it read in memory that all processes share: a sequence number that is odd
while the bytes behind it are being written (a seqlock). A worker looks at the number with each
handshake, so nobody needs to be told, and a worker without the right to read the files has them too.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import time
import weakref
from collections.abc import Callable

import msgspec

from portway.errors import CertificateError
from portway.server.certificates import Certificate, Source, complaint, read_certificate
from portway.server.logs import ErrorLog

LOOK_S = 2.0
"""How often the files are looked at, at most. New ones are read when two looks in a row see the same."""
_NUMBERS = struct.Struct("=QQ")  # sequence number, size

Stamp = tuple[tuple[int, int, int], ...]


class Credentials:
    """Certificates, shared by forks. `look` and `reread` are the arbiter's, the rest is for everybody.

    Args:
        source: Where they are read from.
        log: Hears of what was read, and of what was refused.
        clock: Monotonic seconds.

    Raises:
        CertificateError: One of them cannot be used.
    """

    def __init__(self, source: Source, log: ErrorLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._log = log
        self._clock = clock
        self._numbers = mmap.mmap(-1, _NUMBERS.size)
        self._fd = _shared_file()
        weakref.finalize(self, os.close, self._fd).atexit = False
        self._published = self._seen = self._stamp()
        self._looked = clock()
        self.first = self._read()
        self._publish(self.first)

    @property
    def password(self) -> bytes:
        """Of encrypted keys."""
        return self._source.password

    @property
    def number(self) -> int:
        """The number of what is published: another one means other certificates."""
        return int(_NUMBERS.unpack_from(self._numbers)[0])

    def latest(self) -> tuple[int, list[Certificate]] | None:
        """Return what is published, with its number; None while it is being written."""
        number, size = _NUMBERS.unpack_from(self._numbers)
        data = os.pread(self._fd, size, 0)
        if number % 2 or self.number != number:
            return None
        return number, msgspec.msgpack.decode(data, type=list[Certificate])

    def look(self) -> None:
        """Read the files again when they have changed since, and keep still."""
        if self._clock() < self._looked + LOOK_S:
            return
        self._looked = self._clock()
        stamp = self._stamp()
        settled, self._seen = stamp == self._seen, stamp
        if settled and stamp != self._published:
            self.reread()

    def reread(self) -> bool:
        """Read the files again now, and publish them if they can be used. Otherwise the old ones stay.

        Returns:
            Whether they could be used.
        """
        self._published = self._seen = self._stamp()
        try:
            found = self._read()
        except CertificateError as error:
            self._log.entry("error", f"the certificates in use stay: {error}")
            return False
        if found != self._latest:
            self._publish(found)
            self._log.entry("info", "the certificates were read again")
        return True

    def _read(self) -> list[Certificate]:
        found = [read_certificate(*files, self._source.password) for files in self._source.files]
        for certificate in found:
            if said := complaint(certificate, time.time()):
                self._log.entry("warning", said)
        return found

    def _publish(self, certificates: list[Certificate]) -> None:
        self._latest = certificates
        data = msgspec.msgpack.encode(certificates)
        number = self.number
        _NUMBERS.pack_into(self._numbers, 0, number + 1, 0)
        os.pwrite(self._fd, data, 0)
        _NUMBERS.pack_into(self._numbers, 0, number + 1, len(data))
        _NUMBERS.pack_into(self._numbers, 0, number + 2, len(data))

    def _stamp(self) -> Stamp:
        """What changes with the files; a symbolic link that is turned elsewhere counts, too."""
        stamps = []
        for name in [name for pair in self._source.files for name in pair]:
            try:
                there = os.stat(name)
            except OSError:
                stamps.append((0, 0, 0))
            else:
                stamps.append((there.st_ino, there.st_size, there.st_mtime_ns))
        return tuple(stamps)


def _shared_file() -> int:
    """Return a descriptor of a file without a name, in memory where it can be: it holds private keys."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("portway-credentials", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
