"""The arbiter's side of `portway dev`: what it tells the workers; what serves when no version can start."""

from __future__ import annotations

from msgspec.structs import replace

from portway.errors import StartupFailed
from portway.server.assignment import Shared
from portway.server.children import Generation
from portway.server.developing.bulletin import Bulletin, Development, Problem
from portway.server.developing.frames import frames

MOST_RESTARTS = 3
"""Starts in a row that give way to a newer change. An application that writes source files as it starts would
else never come up."""


class Developer:
    """Used by the arbiter's only thread.

    Args:
        folder: The project's.
    """

    def __init__(self, folder: str) -> None:
        self._development = Development(Bulletin(), folder)
        self._serving = 0
        self._restarts = 0

    def hand_out(self, shared: Shared) -> Shared:
        """Return what a generation gets that is to serve the application."""
        return replace(shared, development=self._development)

    def settled(self, generation: Generation) -> None:
        """Take note that a generation serves."""
        self._restarts = 0
        development = generation.shared.development
        if development is None or not development.stand_in:
            self._serving = generation.number
            self._development.bulletin.post(self._serving)

    def refused(self, text: str, details: str, hint: str | None = None) -> None:
        """Take note of why the newest version does not serve."""
        self._restarts = 0
        shown = frames(details, self._development.folder)
        self._development.bulletin.post(self._serving, Problem(text, hint or "", details, shown))

    def failed(self, generation: Generation, failure: StartupFailed) -> Shared | None:
        """Take note that a generation cannot start; return what another gets that says so in its place.

        Args:
            generation: The generation.
            failure: Why.

        Returns:
            None when it was itself a stand-in: then there is no hope.
        """
        self.refused(str(failure), failure.details, failure.hint)
        shared = generation.shared
        if shared.development is None or shared.development.stand_in:
            return None
        return replace(shared, development=replace(self._development, stand_in=True))

    def may_restart(self) -> bool:
        """Whether a change ends a start that is under way; asked once for each change."""
        self._restarts += 1
        return self._restarts <= MOST_RESTARTS
