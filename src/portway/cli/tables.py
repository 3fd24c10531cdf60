"""Figures and tables for a terminal: `portway ctl status` and `portway top`."""

from __future__ import annotations

import time
from typing import Any

from portway.server.histogram import quantile_us, since


def duration(us: int) -> str:
    """Return microseconds in the unit that reads best; - for none."""
    if not us:
        return "-"
    if us < 1000:
        return f"{us} us"
    return f"{us / 1000:.1f} ms" if us < 1_000_000 else f"{us / 1e6:.1f} s"


def age(seconds: float | None) -> str:
    """Return a length of time in its largest unit."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def table(rows: list[list[str]], left: frozenset[int] = frozenset()) -> list[str]:
    """Return rows as aligned lines; the columns in `left` are set to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def summary(now: dict[str, Any], before: dict[str, Any] | None = None) -> list[str]:
    """Return the state of a server as lines.

    Args:
        now: A status document.
        before: An earlier one; rates and latencies are then those of the time between.
    """
    generation = now["generation"]
    coming = f", {generation['coming']} is starting" if generation["coming"] else ""
    lines = [
        f"portway {now['version']}  {now['state']}  pid {now['pid']}  up {age(now['up_s'])}  "
        f"generation {generation['serving']}{coming}",
    ]
    if rejected := generation["rejected"]:
        lines.append(f"generation {rejected['generation']} could not start: {rejected['why']}")
    totals = now["totals"]
    old = before["totals"] if before else None
    latency = _quantiles(totals["latency"], old and old["latency"])
    lines += [
        "",
        f"requests {totals['requests']}{_rate(totals, old, now, before)}  in flight {totals['in_flight']}  "
        f"connections {totals['connections']}",
        "latency  " + "  ".join(f"{name} {duration(us)}" for name, us in latency.items()),
        "statuses " + ("  ".join(f"{code}: {count}" for code, count in totals["statuses"].items()) or "none"),
        "",
        *_workers(now, before),
    ]
    if now["slow"]:
        lines += ["", *_slow(now["slow"])]
    return lines


def _quantiles(now: dict[str, Any], before: dict[str, Any] | None) -> dict[str, int]:
    buckets = [(limit, count) for limit, count in now["buckets"]]
    if before:
        buckets = since(buckets, [(limit, count) for limit, count in before["buckets"]])
    return {name: quantile_us(buckets, share) for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}


def _rate(
    counts: dict[str, Any], old: dict[str, Any] | None, now: dict[str, Any], before: dict[str, Any] | None
) -> str:
    if not old or not before:
        return ""
    seconds = max(now["up_s"] - before["up_s"], 0.001)
    return f" ({max(0, counts['requests'] - old['requests']) / seconds:,.0f} a second)"


def _workers(now: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    known = {worker["pid"]: worker for worker in before["workers"]} if before else {}
    seconds = max(now["up_s"] - before["up_s"], 0.001) if before else 1.0
    rows = [
        [
            "slot",
            "pid",
            "state",
            "generation",
            "age",
            "memory",
            "connections",
            "in flight",
            "requests",
            "/s",
            "p50",
            "p99",
        ]
    ]
    for worker in now["workers"]:
        old = known.get(worker["pid"])
        latency = _quantiles(worker["latency"], old and old["latency"])
        rate = f"{(worker['requests'] - old['requests']) / seconds:,.0f}" if old else "-"
        rows.append(
            [
                *(str(worker["slot"]), str(worker["pid"]), worker["state"], str(worker["generation"])),
                *(
                    age(worker["age_s"]),
                    f"{worker['memory_bytes'] / 2**20:.0f} MiB",
                    str(worker["connections"]),
                ),
                *(str(worker["in_flight"]), str(worker["requests"]), rate),
                *(duration(latency["p50"]), duration(latency["p99"])),
            ]
        )
    return table(rows, frozenset({2}))


def _slow(slow: list[dict[str, Any]]) -> list[str]:
    rows = [["slow", "took", "status", "request"]]
    for entry in slow[:10]:
        at = time.strftime("%H:%M:%S", time.localtime(entry["at"]))
        request = "".join(letter if letter.isprintable() else "?" for letter in entry["request"])
        rows.append([at, duration(entry["duration_us"]), str(entry["status"] or "-"), request])
    return table(rows, frozenset({0, 3}))
