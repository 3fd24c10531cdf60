"""Serve APP with bjoern: bjoern_app.py APP PORT [WORKERS]. It has no command line of its own."""

import importlib
import os
import sys

import bjoern


def main(target: str, port: int, workers: int) -> None:
    module, _, attribute = target.partition(":")
    bjoern.listen(getattr(importlib.import_module(module), attribute), "127.0.0.1", port)
    for _ in range(workers - 1):
        if os.fork() == 0:
            break
    bjoern.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
