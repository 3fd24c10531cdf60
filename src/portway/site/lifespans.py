"""The lifespans of all ASGI applications of a site, driven as one."""

from __future__ import annotations

from typing import Any

from portway.apps.lifespan import Lifespan, Mode
from portway.errors import ShutdownFailed
from portway.site.mounts import ASGIMounts


class Lifespans:
    """Starts each application once, in the order of their routes, and ends them the other way round.

    Attributes:
        state: Empty: each application has its own, which the mounts know.
        supported: False: none of it is for every request.
        error: What one of them raised instead of answering, in mode "auto"; for the log.
    """

    def __init__(self, mounts: ASGIMounts, mode: Mode) -> None:
        """Prepare; nothing runs yet.

        Args:
            mounts: The applications.
            mode: As for one application.
        """
        self.state: dict[str, Any] = {}
        self.supported = False
        self.error: BaseException | None = None
        self._mounts = mounts
        self._mode = mode
        self._started: list[Lifespan] = []

    async def startup(self) -> None:
        """Run every startup. When one fails, those that have started are ended.

        Raises:
            StartupFailed: As for one application.
        """
        for app, own in self._mounts.applications():
            one = Lifespan(app, "on" if own else self._mode)
            try:
                await one.startup()
            except BaseException:
                await self.shutdown()
                raise
            self._started.append(one)
            self.error = self.error or one.error
            if one.supported:
                self._mounts.keep_state(app, one.state)

    async def shutdown(self) -> None:
        """Run every shutdown, whatever becomes of the others.

        Raises:
            ShutdownFailed: The first that did.
        """
        failure: ShutdownFailed | None = None
        while self._started:
            try:
                await self._started.pop().shutdown()
            except ShutdownFailed as error:
                failure = failure or error
        if failure is not None:
            raise failure
