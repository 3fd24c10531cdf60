"""The command line. Nothing else in Portway prints to a terminal or exits."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portway.cli.session import Session


def main(arguments: Sequence[str] | None = None, session: Session | None = None) -> int:
    """Run a command line; see `portway.cli.run.main`."""
    gc.disable()  # what a command imports is no garbage: looking for some is a tenth of a start
    try:
        from portway.cli.run import main as run

        return run(arguments, session)
    finally:
        gc.enable()
