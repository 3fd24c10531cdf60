"""Compressed forms of files, made beside them ahead of time: "app.js.br", "app.js.zst", "app.js.gz".

A form gets its file's time. That is what tells later that it is still right: the engine passes over one that
is older than its file, and here one with another time is made again. Each is written under another name first
and then put in its place, so a server never sees half of one.
"""

from __future__ import annotations

import contextlib
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from portway.errors import UsageError
from portway.site.media_types import TYPES

SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
"""Content coding to what a file's name gets."""

LEAST_BYTES = 256
"""Files under this are one packet however they are sent."""

WORTH = 0.95
"""A form that is larger than this part of its file saves nothing worth the trouble."""


class Work(Struct, frozen=True):
    """One form of one file.

    Attributes:
        source: The file.
        coding: "br", "zstd" or "gzip".
    """

    source: Path
    coding: str

    @property
    def target(self) -> Path:
        """Where the form goes."""
        return self.source.with_name(self.source.name + SUFFIXES[self.coding])


class Done(Struct, frozen=True):
    """What became of it.

    Attributes:
        work: What was to do.
        outcome: "written", "kept" (right already), "larger" (not worth it; an old one is gone) or "changed"
            (the file was changed meanwhile, so nothing was written).
        before: Bytes of the file.
        after: Bytes of the form, or of the file where there is none.
    """

    work: Work
    outcome: str
    before: int
    after: int


def encoders(codings: tuple[str, ...]) -> dict[str, Callable[[bytes], bytes]]:
    """Return a function for each coding that compresses as well as it can.

    Raises:
        UsageError: A package is missing.
    """
    makers = {"br": _brotli, "zstd": _zstandard, "gzip": _gzip}
    found = {}
    for coding in codings:
        try:
            found[coding] = makers[coding]()
        except ImportError as error:
            raise UsageError(
                f"compressing with {coding} needs the package {error.name}",
                "`pip install 'portway[compress]'` brings it, or choose others with --coding.",
            ) from None
    return found


def _brotli() -> Callable[[bytes], bytes]:
    import brotli  # type: ignore[import-untyped]

    return lambda data: bytes(brotli.compress(data, quality=11))


def _zstandard() -> Callable[[bytes], bytes]:
    import zstandard

    # A compressor belongs to one thread. Browsers take windows of up to 8 MiB (RFC 9659), which 19 has.
    return lambda data: zstandard.ZstdCompressor(level=19).compress(data)


def _gzip() -> Callable[[bytes], bytes]:
    return lambda data: gzip.compress(data, 9, mtime=0)


def find_work(folder: Path, codings: tuple[str, ...], *, hidden: bool = False) -> Iterator[Work]:
    """Yield what could be compressed in a folder, sorted by name. Links are passed over.

    Raises:
        OSError: A folder cannot be read.
    """
    for path in _files(folder, hidden):
        extension = path.suffix[1:].lower()
        if TYPES.get(extension, ("", False))[1] and path.lstat().st_size >= LEAST_BYTES:
            for coding in codings:
                yield Work(path, coding)


def orphans(folder: Path, *, hidden: bool = False) -> Iterator[Path]:
    """Yield compressed forms of files that are no more: "app.js.br" without an "app.js"."""
    for path in _files(folder, hidden):
        if path.suffix in SUFFIXES.values():
            source = path.with_suffix("")
            if TYPES.get(source.suffix[1:].lower(), ("", False))[1] and not os.path.lexists(source):
                yield path


def _files(folder: Path, hidden: bool) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise error

    for where, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if hidden or _shown(name))
        for name in sorted(names):
            path = Path(where, name)
            if (hidden or _shown(name)) and path.is_file() and not path.is_symlink():
                yield path


def _shown(name: str) -> bool:
    return not name.startswith(".") or name == ".well-known"


def compress(work: Work, encode: Callable[[bytes], bytes], *, force: bool = False) -> Done:
    """Make one form of one file, unless it is there and right. Any thread may call it.

    Args:
        work: What to do.
        encode: Compresses bytes.
        force: Make it again in any case.

    Raises:
        OSError: A file cannot be read or written.
    """
    source, target = work.source, work.target
    with source.open("rb") as file:
        before = os.fstat(file.fileno())
        if not force and _is_right(target, before.st_mtime_ns):
            return Done(work, "kept", before.st_size, target.stat().st_size)
        data = file.read()
        if os.fstat(file.fileno()).st_mtime_ns != before.st_mtime_ns:
            return Done(work, "changed", before.st_size, before.st_size)
    coded = encode(data)
    if len(coded) > len(data) * WORTH:
        with contextlib.suppress(FileNotFoundError):
            target.unlink()  # it would be the form of another state of the file
        return Done(work, "larger", len(data), len(data))
    _put(target, coded, before)
    return Done(work, "written", len(data), len(coded))


def _is_right(target: Path, mtime_ns: int) -> bool:
    try:
        return target.lstat().st_mtime_ns == mtime_ns
    except FileNotFoundError:
        return False


def _put(target: Path, data: bytes, like: os.stat_result) -> None:
    """Write a file whole or not at all, with the time and the mode of another."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.chmod(like.st_mode & 0o777)
        os.utime(temporary, ns=(like.st_mtime_ns, like.st_mtime_ns))
        temporary.replace(target)
    except OSError as error:  # a full disk names no file, and this one's name is nobody's business
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, os.fspath(target)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
