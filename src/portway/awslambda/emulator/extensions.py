"""The extensions of one environment, as the Extensions API (2020-01-01) knows them.

    launched ─▶ registered ─▶ waiting ⇄ busy with an INVOKE event
                                 └────▶ SHUTDOWN event

An external extension is a file of the function's extension directory that runs as a process of its own
and registers under the file's name. Whoever registers under another name is an internal one, a part of
the runtime's process: it may hear of invocations, but not of the shutdown. In a multi-concurrency
environment nobody hears of invocations.

Nothing here waits or locks: `environment` calls under its own lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

from .invocation import Invocation
from .process import Process
from .runtime_api import Refused

INVOKE, SHUTDOWN = "INVOKE", "SHUTDOWN"
_MOST = 10
_NAME_MOST = 128


class Extension:
    """One extension.

    Attributes:
        name: What it registers as.
        process: An external extension's process; None for an internal one.
        identifier: What it names itself by in its calls; "" before it has registered.
        events: The events that it has asked for.
        waiting: Whether it is ready for the next event.
        event: The event that its call of `next` is to be answered with, or None.
    """

    def __init__(self, name: str, process: Process | None) -> None:
        self.name = name
        self.process = process
        self.identifier = ""
        self.events: list[str] = []
        self.waiting = False
        self.event: dict[str, Any] | None = None

    def give(self, event: dict[str, Any]) -> None:
        """Set its next event, when it has asked for events of this type."""
        if event["eventType"] in self.events:
            self.event = event
            self.waiting = False


class Extensions:
    """Those of one environment.

    Args:
        arn: The function's ARN.
        multi: Whether the environment takes several events at once.

    Attributes:
        closed: Whether the initialisation is over: nobody can register any longer.
    """

    def __init__(self, arn: str, multi: bool) -> None:
        self._arn = arn
        self._multi = multi
        self._all: dict[str, Extension] = {}
        self.closed = False

    def __iter__(self) -> Iterator[Extension]:
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    @property
    def registered(self) -> bool:
        """Whether every external extension has registered: the runtime is started then."""
        return all(one.identifier for one in self)

    @property
    def settled(self) -> bool:
        """Whether every extension waits for the next event."""
        return all(one.waiting for one in self)

    @property
    def processes(self) -> list[Process]:
        """The processes of the external ones."""
        return [one.process for one in self if one.process is not None]

    def launched(self, name: str, process: Process) -> None:
        """Note an external extension that has been started."""
        self._all[name] = Extension(name, process)

    def register(self, name: str, events: object) -> Extension:
        """Register an extension.

        Args:
            name: What it calls itself.
            events: The body's list of events.

        Raises:
            Refused: As Lambda does.
        """
        if not name or len(name) > _NAME_MOST:
            raise Refused(403, "Extension.InvalidExtensionName", "Empty or too long extension name")
        if not isinstance(events, list):
            raise Refused(403, "InvalidRequestFormat", "events is not a list")
        found = self._all.get(name)
        allowed = self._allowed(found)
        for event in events:
            if event not in allowed:
                raise Refused(403, "Extension.InvalidEventType", f"{event}: ErrorInvalidEventType")
        if found is not None and found.identifier:
            raise Refused(
                403, "Extension.InvalidExtensionState", "Extension with this name already registered"
            )
        if found is None:
            if self.closed:
                raise Refused(403, "Extension.RegistrationClosed", "Extension registration closed already")
            if len(self) >= _MOST:
                raise Refused(403, "Extension.TooManyExtensions", f"Extension limit ({_MOST}) reached")
            found = self._all[name] = Extension(name, None)
        found.identifier = str(uuid4())
        found.events = events
        return found

    def _allowed(self, extension: Extension | None) -> tuple[str, ...]:
        external = extension is not None and extension.process is not None
        return ((INVOKE,) if not self._multi else ()) + ((SHUTDOWN,) if external else ())

    def find(self, identifier: str) -> Extension:
        """Return the extension that calls.

        Raises:
            Refused: It says no identifier, or one that nobody has.
        """
        if not identifier:
            text = "Missing Lambda-Extension-Identifier header"
            raise Refused(403, "Extension.MissingExtensionIdentifier", text)
        try:
            wanted = str(UUID(identifier))
        except ValueError:
            text = "Invalid Lambda-Extension-Identifier"
            raise Refused(403, "Extension.InvalidExtensionIdentifier", text) from None
        for one in self:
            if one.identifier == wanted:
                return one
        raise Refused(403, "Extension.UnknownExtensionIdentifier", f"Unknown extension {wanted}")

    def invoke(self, invocation: Invocation) -> None:
        """Tell those who want to hear of it that an invocation begins."""
        for one in self:
            one.give(
                {
                    "eventType": INVOKE,
                    "deadlineMs": invocation.deadline_ms,
                    "requestId": invocation.request_id,
                    "invokedFunctionArn": self._arn,
                    "tracing": {"type": "X-Amzn-Trace-Id", "value": invocation.trace},
                }
            )

    def shut_down(self, reason: str, deadline_ms: int) -> list[Process]:
        """Tell the external ones that the environment ends; return the processes that do not want to know.

        Args:
            reason: SPINDOWN, TIMEOUT or FAILURE.
            deadline_ms: When they are killed, in milliseconds of the wall clock.
        """
        for one in self:
            one.give({"eventType": SHUTDOWN, "deadlineMs": deadline_ms, "shutdownReason": reason})
        return [one.process for one in self if one.process is not None and SHUTDOWN not in one.events]
