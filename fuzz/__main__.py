"""`python -m fuzz`: build what is needed, and let each target run for a while."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from fuzz.build import BUILD, ROOT, address_library, bridge, build

KEPT = Path(__file__).parent / "corpus"
TARGETS = sorted(path.stem for path in (Path(__file__).parent / "targets").glob("[a-z]*.py"))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    known = ", ".join(TARGETS)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"any of {known}; default: all")
    parser.add_argument("--seconds", type=int, default=60, help="how long each runs (%(default)s)")
    parser.add_argument("--address", action="store_true", help="with AddressSanitizer: finds memory errors")
    parser.add_argument("--keep", action="store_true", help="add what was learnt to fuzz/corpus")
    options = parser.parse_args()
    for name in options.targets:
        if name not in TARGETS:
            parser.error(f"no target {name!r}; there are {known}")
    return options


def run(
    target: str, package: Path, seconds: int, address: bool, flags: list[str], corpora: list[Path]
) -> int:
    """Run one target in a process of its own; return its exit code."""
    for corpus in corpora:
        corpus.mkdir(parents=True, exist_ok=True)
    environ = {
        **os.environ,
        "PYTHONPATH": f"{package}{os.pathsep}{ROOT}",
        "PORTWAY_FUZZ_BRIDGE": str(bridge()),
    }
    if address:
        # bytes objects come from malloc then, so that reading past one is seen
        environ |= {
            "LD_PRELOAD": address_library(),
            "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONMALLOC": "malloc",
        }
    command = [sys.executable, "-m", "fuzz.run", target, f"-max_total_time={seconds}", *flags]
    crashes = BUILD / "crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    command += [
        f"-dict={Path(__file__).with_name('http.dict')}",
        "-print_final_stats=1",
        "-timeout=20",
        f"-artifact_prefix={crashes}/{target}-",
    ]
    return subprocess.run([*command, *map(str, corpora)], env=environ, check=False, cwd=ROOT).returncode


def say(line: str) -> None:
    """Print a line between those of libFuzzer, which go to standard error too."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> int:
    """Run the targets one after the other; return 1 when one of them failed."""
    options = arguments()
    package = build(options.address)
    failed = []
    for target in options.targets or TARGETS:
        say(f"== {target}")
        learnt, kept = BUILD / "corpus" / target, KEPT / target
        if run(target, package, options.seconds, options.address, [], [learnt, kept]):
            failed.append(target)
        elif options.keep:
            run(target, package, 0, options.address, ["-merge=1"], [kept, learnt])
    if failed:
        say(f"failed: {', '.join(failed)}; the inputs are in {BUILD / 'crashes'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
