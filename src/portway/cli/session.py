"""What a command knows about the process it runs in. Passed in, so that tests can say otherwise."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from portway.errors import UnsupportedPlatform, UsageError

UNIX = ("linux", "darwin", "freebsd", "openbsd", "netbsd", "sunos")


class Session(Struct, frozen=True):
    """The surroundings of a command.

    Attributes:
        environ: The environment variables.
        platform: `sys.platform`.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    platform: str = sys.platform

    @property
    def cwd(self) -> Path:
        """The working directory.

        Raises:
            UsageError: It has been deleted.
        """
        try:
            return Path.cwd()
        except OSError:
            raise UsageError("the working directory does not exist", "change to another one.") from None

    def require_unix(self) -> None:
        """Raise UnsupportedPlatform where the server cannot run."""
        if not self.platform.startswith(UNIX):
            raise UnsupportedPlatform(self.platform)
