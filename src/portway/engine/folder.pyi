"""Folders whose files the engine serves by itself."""

from collections.abc import Iterable, Mapping

class MediaTypes:
    """Content types by extension.

    Args:
        types: Extension in lower case, without its dot and at most 15 bytes long, to (Content-Type, whether
            compressing such a file is worth while).
        unknown: Content-Type of everything else.
    """

    def __init__(
        self, types: Mapping[str, tuple[str, bool]], unknown: str = "application/octet-stream"
    ) -> None: ...

def is_named_by_content(path: bytes) -> bool:
    """Return whether the last part of a path has a hash of its content in it: it may be kept for ever."""

class Folder:
    """A folder of files. Nothing is looked at before a request asks for it.

    Args:
        path: Where it is, absolute. It may be missing, and come and go.
        types: What its files are.
        base: The directory of the URL whose place it takes, with both slashes.
        index: Names of the file that stands for a directory; the first that exists counts.
        not_found: A file in it that is the body of 404, or None.
        cache: Pairs of pattern and value of Cache-Control; the first that matches the URL's path counts.
        precompressed: Of "br", "zstd" and "gzip", those whose files beside a file are used; the preferred one
            first.
        hidden: Whether names that begin with a dot are served.
        follow: Whether symbolic links may lead out of it.
        portable: Whether to do without openat2(2); None: as the system needs.

    Raises:
        ValueError: An index is not the name of a file.
    """

    path: bytes
    base: bytes

    def __init__(
        self,
        path: str,
        types: MediaTypes,
        base: str = "/",
        index: Iterable[str] = ("index.html",),
        not_found: str | None = None,
        cache: Iterable[tuple[str, str]] = (),
        precompressed: Iterable[str] = (),
        hidden: bool = False,
        follow: bool = False,
        portable: bool | None = None,
    ) -> None: ...
