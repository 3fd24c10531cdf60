"""Hooks: which function is called when. Only names here; the functions are the server's to import."""

from __future__ import annotations

import json
import re

from portway.config.kinds import Kind, Refused
from portway.errors import nearest

ARBITER_EVENTS = (
    "on_starting",
    "on_reload",
    "when_ready",
    "pre_fork",
    "child_exit",
    "nworkers_changed",
    "pre_exec",
    "on_exit",
)
"""Events whose functions run in the arbiter (`pre_exec`: in the process that becomes the next one)."""

WORKER_EVENTS = (
    "post_fork",
    "post_worker_init",
    "worker_int",
    "worker_abort",
    "pre_request",
    "post_request",
    "worker_exit",
)
"""Events whose functions run in a worker."""

EVENTS = (*ARBITER_EVENTS, *WORKER_EVENTS)

_FUNCTION = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")

Table = tuple[tuple[str, str], ...]


class HookTable(Kind):
    """A table from events to functions; as text, `event=module:function` separated by commas."""

    metavar = "EVENT=MODULE:FUNCTION"

    def from_text(self, text: str) -> Table:
        pairs: list[tuple[str, object]] = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            event, equals, function = part.partition("=")
            if not equals:
                raise Refused("must be EVENT=MODULE:FUNCTION, several separated by commas")
            pairs.append((event.strip(), function.strip()))
        return self._collect(pairs)

    def from_toml(self, value: object) -> Table:
        if not isinstance(value, dict):
            raise Refused('must be a table: [hooks], and below it when_ready = "module:function"')
        return self._collect(list(value.items()))

    def to_toml(self, value: Table) -> str:
        if not value:
            return "{}"
        return "{ " + ", ".join(f"{event} = {json.dumps(function)}" for event, function in value) + " }"

    def _collect(self, pairs: list[tuple[str, object]]) -> Table:
        found: dict[str, str] = {}
        for event, function in pairs:
            if event not in EVENTS:
                near = nearest(event, EVENTS)
                raise _refused("must name a known event" + (f" ({near}?)" if near else ""), event)
            if not isinstance(function, str) or not _FUNCTION.fullmatch(function):
                raise _refused("must name functions as module:function", function)
            if event in found:
                raise _refused("must name an event once", event)
            found[event] = function
        return tuple((event, found[event]) for event in EVENTS if event in found)


def _refused(problem: str, offender: object) -> Refused:
    refusal = Refused(problem)
    refusal.offender = offender
    return refusal
