"""One target under atheris. Started by `python -m fuzz`, which sets up what has to be there first."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys


def main() -> None:
    """Count the engine's branches, and fuzz until libFuzzer has enough."""
    bridge = ctypes.CDLL(os.environ["PORTWAY_FUZZ_BRIDGE"], ctypes.RTLD_GLOBAL)
    import atheris

    core = importlib.import_module("atheris.core_with_libfuzzer")
    failed = bridge.begin_counting(str(core.__file__).encode())
    if failed:
        sys.exit(f"cannot count branches ({failed}): is atheris's libFuzzer another one?")
    target = importlib.import_module(f"fuzz.targets.{sys.argv.pop(1)}")
    atheris.Setup(sys.argv, target.one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
