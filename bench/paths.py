"""Where the benchmark finds and leaves things."""

from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
BUILD = ROOT / "build" / "bench"  # logs, generated nginx configurations, static files
VENV = ROOT / "build" / "bench-venv"  # the peers, the frameworks and Portway's own tree on the path
RESULTS = BENCH / "results"  # raw figures, one JSON file a workload
LOAD = BENCH / "load"  # wrk scripts
