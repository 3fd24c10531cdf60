"""The arbiter's side of `portway dev`: what it tells the workers; what serves when no version can start."""

from __future__ import annotations

from msgspec.structs import replace

from portway.errors import StartupFailed
from portway.server.assignment import Shared
from portway.server.children import Generation, Warm
from portway.server.developing.bulletin import Bulletin, Development, Problem
from portway.server.developing.frames import frames
from portway.server.developing.warm import run_warm
from portway.server.messages import Step
from portway.server.workers import Workers

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
        self._steps: tuple[Step, ...] = ()
        self._warm: Warm | None = None
        self._useless: tuple[Step, ...] | None = None

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

    # -- the warm process --------------------------------------------------------------------------------

    def imported(self, steps: tuple[Step, ...]) -> None:
        """Take note of what the application imports first."""
        self._steps = steps

    def forking(self, generation: Generation) -> None:
        """Let a generation's workers come from the warm process, where it is of use to them."""
        warm = self._warm
        fits = warm is not None and warm.loaded and not warm.leaving and _same(warm.generation, generation)
        generation.warm = warm if fits else None

    def keep_warm(self, generation: Generation, workers: Workers) -> Warm | None:
        """See to it that there is a process for the next reload; return one that was started.

        Args:
            generation: The one that serves.
            workers: The children.

        Raises:
            BecomeChild: In the child.
            OSError: The system has no process or descriptor left.
        """
        warm, steps = self._warm, self._steps
        if warm is not None and not warm.leaving:
            if warm.steps == steps and _same(warm.generation, generation):
                return None
            workers.stop(warm, quick=True)
        self._warm = None
        if generation.stands_in or steps == self._useless or not any(step.installed for step in steps):
            return None
        if generation.shared.site is not None or generation.shared.settings.hooks.functions:
            return None  # several applications; or code of the operator's own that runs before them
        self._warm = workers.spawn_warm(generation, steps, run_warm)
        return self._warm

    def warm_ended(self, warm: Warm) -> None:
        """Take note that the process is gone; one that cannot be forked is not tried again."""
        warm.orders.close()
        if warm.failure is not None:
            self._useless = warm.steps
            text = f"every reload imports installed packages anew: {warm.failure.text}"
            warm.generation.shared.log.entry("debug", text, warm.failure.details)
        if warm is self._warm:
            self._warm = None

    def may_restart(self) -> bool:
        """Whether a change ends a start that is under way; asked once for each change."""
        self._restarts += 1
        return self._restarts <= MOST_RESTARTS


def _same(one: Generation, other: Generation) -> bool:
    """Whether two generations start alike, but for the project's own code."""
    return replace(one.shared, development=None) == replace(other.shared, development=None)
