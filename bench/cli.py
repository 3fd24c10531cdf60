"""Portway's benchmark: Portway beside its peers and nginx, ratios within one run. See bench/README.md."""

import argparse
import sys
from collections.abc import Sequence

from bench import peers, sid, suite
from bench.catalogue import WORKLOADS
from bench.process import BenchError
from bench.rounds import best, ratio, saving
from bench.workload import Options, measure


def tell(text: str) -> None:
    """Write one line of progress or result to stdout at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="make build/bench-venv with the peers")
    commands.add_parser(
        "setup-314", help="make build/sid: Debian sid with Python 3.14, the peers and Portway (root)"
    )
    commands.add_parser("list", help="name the workloads and their servers")
    commands.add_parser("report", help="write RESULTS.md again from the kept results")
    run = commands.add_parser("run", help="measure the suite, keep the figures, write RESULTS.md")
    run.add_argument("--only", action="append", default=[], metavar="NAME", help="one workload; repeatable")
    run.add_argument("--skip", action="append", default=[], metavar="NAME", help="leave one out; repeatable")
    _durations(run, seconds=2, rounds=3)
    quick = commands.add_parser("quick", help="measure one throughput workload now, print medians and ratios")
    quick.add_argument("workload", choices=[*WORKLOADS])
    _durations(quick, seconds=2, rounds=3)
    quick.add_argument(
        "--engine-script",
        action="append",
        default=[],
        metavar="FILE",
        help="also measure `python FILE PORT APP`; repeatable",
    )
    return top


def _durations(command: argparse.ArgumentParser, *, seconds: float, rounds: int) -> None:
    command.add_argument("--servers", default="", help="comma-separated names; default: the workload's own")
    command.add_argument("--seconds", type=float, default=seconds, help=f"of one sample, default {seconds}")
    command.add_argument(
        "--rounds", type=int, default=rounds, help=f"samples of each server, default {rounds}"
    )
    command.add_argument(
        "--all-rounds",
        action="store_true",
        help="servers twice as slow as the first too are measured in every round",
    )


def quick(arguments: argparse.Namespace, options: Options) -> int:
    """Measure one workload and print a small table; keep nothing."""
    workload = WORKLOADS[arguments.workload]
    servers = suite.chosen(workload, arguments.servers, arguments.engine_script)
    series = measure(workload, servers, options, tell)
    first = best(series)
    if first is None:
        return 1
    tell(f"\n{workload.title}: medians of {options.rounds}")
    tell(f"  {'':<16} {'answers/s':>10}  × {first.name:<10} × {series[0].name:<10} (same by processor time)")
    for one in sorted(series, key=lambda one: -one.rate):
        if not one.samples:
            tell(f"  {one.name:<16} failed: {(one.failure.splitlines() or ['no figures'])[0]}")
            continue
        rates = "".join(f"  {ratio(one, other):>10.3f}" for other in (first, series[0]))
        costs = "".join(f"  {saving(one, other):>6.3f}" for other in (first, series[0]))
        tell(
            f"  {one.name:<16} {one.rate:>10,.0f}{rates} ({costs} )"
            f"  p99 {one.middle('p99_ms'):>7.2f} ms  {one.middle('server_us'):>8.2f} us/answer"
        )
    return 0


def list_all() -> int:
    """Name every workload and its servers."""
    for name in suite.NAMES:
        workload = suite.named(name)
        tell(f"{workload.name:<16} {workload.title}: {', '.join(workload.servers)}")
    return 0


def run(arguments: argparse.Namespace, options: Options) -> int:
    """Run the suite or the part of it that was asked for."""
    unknown = [name for name in [*arguments.only, *arguments.skip] if name not in suite.NAMES]
    if unknown:
        raise BenchError(f"no workload {unknown[0]!r}; `python -m bench list` names them")
    names = [name for name in arguments.only or suite.NAMES if name not in arguments.skip]
    return 1 if suite.run(names, arguments.servers, options, tell) else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        if arguments.command == "list":
            return list_all()
        if arguments.command == "setup-314":
            sid.make()
            return 0
        peers.make()
        if arguments.command == "report":
            suite.report(tell)
        if arguments.command in ("run", "quick"):
            options = Options(arguments.seconds, arguments.rounds, arguments.all_rounds)
            return run(arguments, options) if arguments.command == "run" else quick(arguments, options)
    except BenchError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0
