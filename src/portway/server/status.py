"""What an operator sees of a running server: a document out of the shared board and the arbiter's word.

`/status.json`, the status page, `portway ctl status` and `portway top` all show it. Made of plain values,
ready for JSON; times are seconds since 1970, durations microseconds where nothing else is said.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from portway import __version__
from portway.engine.counters import DEAD, DRAINING, READY, STARTING, Board
from portway.server.histogram import QUANTILES, added, quantile_us, sparse
from portway.server.memory import resident_bytes
from portway.server.messages import State

if TYPE_CHECKING:
    from portway.engine.counters import Line

STATES = {STARTING: "starting", READY: "ready", DRAINING: "draining", DEAD: "dead"}
SUMMED = ("connections", "active", "in_flight", "requests", "accepted", "bytes_in", "bytes_out")
SLOW_SHOWN = 50


def status(board: Board, state: State, now: float) -> dict[str, Any]:
    """Return the document.

    Args:
        board: The shared counters.
        state: What the arbiter said last.
        now: Seconds since 1970.
    """
    gone, lines = board.read()
    ages = {worker.pid: worker.age_s for worker in state.workers}
    return {
        "version": __version__,
        "pid": state.pid,
        "now": now,
        "started": state.started,
        "up_s": time.monotonic() - state.since,
        "state": "stopping" if state.stopping else "serving" if state.serving else "starting",
        "generation": {"serving": state.serving, "coming": state.coming, "rejected": _rejected(state)},
        "workers_wanted": state.target,
        "workers_lost": state.lost,
        "log_level": state.log_level,
        "totals": _counts([gone, *lines.values()]),
        "workers": [
            {
                "slot": slot,
                "pid": line["pid"],
                "generation": line["generation"],
                "state": STATES.get(line["state"], "unknown"),
                "age_s": ages.get(line["pid"]),
                "memory_bytes": resident_bytes(line["pid"]),
                **_counts([line]),
            }
            for slot, line in lines.items()
            if line["pid"]
        ],
        "slow": _slow([gone, *lines.values()]),
    }


def unready(board: Board, state: State) -> str:
    """Return why the server should get no new requests, or "" when it should."""
    if state.stopping:
        return "stopping"
    if not state.serving:
        return "starting"
    if not any(board.slot(index).state == READY for index in range(board.slots)):
        return "no worker is ready"
    return ""


def _rejected(state: State) -> dict[str, Any] | None:
    return {"generation": state.rejected, "why": state.why} if state.rejected else None


def _counts(lines: list[Line]) -> dict[str, Any]:
    statuses: dict[int, int] = {}
    for line in lines:
        for code, count in line["statuses"].items():
            statuses[code] = statuses.get(code, 0) + count
    sums: dict[str, Any] = {name: sum(line[name] for line in lines) for name in SUMMED}  # type: ignore[literal-required]
    sums["statuses"] = {str(code): statuses[code] for code in sorted(statuses)}
    for kind in ("latency", "queued"):
        total_us, counts = added([line[kind] for line in lines])
        buckets = sparse((total_us, counts))
        sums[kind] = {
            "count": sum(counts),
            "sum_us": total_us,
            **{f"{name}_us": quantile_us(buckets, share) for name, share in QUANTILES.items()},
            "buckets": buckets,
        }
    return sums


def _slow(lines: list[Line]) -> list[dict[str, Any]]:
    found = sorted((entry for line in lines for entry in line["slow"]), reverse=True)
    return [
        {"at": at, "duration_us": took, "status": code, "request": request}
        for at, took, code, request in found[:SLOW_SHOWN]
    ]
