"""Turn the samples of a throughput workload into a result with ratios and verdicts."""

from collections.abc import Sequence
from dataclasses import asdict

from bench.result import Result, Row, Verdict
from bench.rounds import Series, best, ratio, saving
from bench.workload import Options, Workload

NOT_PEERS = frozenset({"nginx", "nginx-cached", "portway", "portway-asyncio"})
LOAD_FULL, LOAD_HIGH = 0.95, 0.9
"""From the first share of its core on, wrk is the limit; from the second on, if the server had time left."""


def base(name: str) -> str:
    """Return the server's name without the suffix for another Python."""
    return name.removesuffix("-3.14")


def find(series: Sequence[Series], name: str) -> Series | None:
    """Return the series of a server by its base name, if it has samples."""
    return next((one for one in series if base(one.name) == name and one.samples), None)


def best_peer(series: Sequence[Series]) -> Series | None:
    """Return the fastest server that is neither Portway nor nginx and does the whole work."""
    return best([one for one in series if base(one.name) not in NOT_PEERS and not one.omits])


def held_back(one: Series) -> bool:
    """Whether wrk, and not the server, set the rate."""
    load = one.middle("load_cpu")
    return load >= LOAD_FULL or (load >= LOAD_HIGH and one.middle("server_cpu") < LOAD_HIGH)


def verdicts(workload: Workload, series: Sequence[Series]) -> list[Verdict]:
    """Compare Portway with every target of the workload that could be measured."""
    ours, found = find(series, "portway"), []
    for target in workload.targets:
        other = best_peer(series) if target.other == "best" else find(series, target.other)
        if ours and other:
            rates, costs = ratio(ours, other), saving(ours, other)
            if held_back(ours):  # a rate that wrk sets says nothing of the server
                what, reached = (
                    f"× {other.name} by processor time (by rate, which wrk limited, {rates:.2f})",
                    costs,
                )
            else:
                what, reached = f"× {other.name} (by processor time {costs:.2f})", rates
            found.append(Verdict(what, round(reached, 3), target.floor, target.aim))
    return found


def row(one: Series, first: Series | None, nginx: Series | None) -> Row:
    """Return the table row of one server."""
    if not one.samples:
        return Row((one.name, "failed: " + (one.failure.splitlines() or ["no figures"])[0][:80]) + ("",) * 7)
    disturbed = sum(sample.disturbed for sample in one.samples)
    cells = (
        one.name,
        f"{one.rate:,.0f}",
        f"{ratio(one, first):.2f}" if first else "",
        f"{ratio(one, nginx):.2f}" if nginx else "",
        f"{one.middle('p99_ms'):.2f}",
        f"{one.middle('server_us'):.2f}",
        f"{one.middle('server_cpu'):.0%}",
        f"{one.middle('load_cpu'):.0%}",
        f"{len(one.samples)}" + (f" ({disturbed} disturbed)" if disturbed else ""),
    )
    return Row(cells, (one.command, one.load))


def result(workload: Workload, series: Sequence[Series], options: Options) -> Result:
    """Return the table of a workload, fastest server first."""
    first, nginx = best_peer(series), find(series, "nginx")
    return Result(
        workload.name,
        workload.title,
        (
            "server",
            "answers/s",
            "× best peer",
            "× nginx",
            "p99 ms",
            "µs",
            "its core",
            "load's core",
            "rounds",
        ),
        [row(one, first, nginx) for one in sorted(series, key=lambda one: -one.rate)],
        options=f"{options.rounds} rounds of {options.seconds:g} s",
        verdicts=verdicts(workload, series),
        notes=[f"{one.name} {one.omits}: not counted as best peer." for one in series if one.omits],
        raw=[asdict(one) for one in series],
    )
