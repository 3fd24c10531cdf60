"""Serve APP with fastpysgi: fastpysgi_app.py APP PORT WORKERS.

Its command line offers neither TCP_NODELAY (without it a streamed answer waits 40 ms for the client's
delayed acknowledgement) nor uvloop (its ASGI is a fifth faster on it).
"""

import importlib
import sys

import fastpysgi
import uvloop


def main(target: str, port: int, workers: int) -> None:
    module, _, attribute = target.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    fastpysgi.server.tcp_nodelay = 1
    if workers == 1:
        fastpysgi.server.loop = uvloop.new_event_loop()
    fastpysgi.run(app, host="127.0.0.1", port=port, workers=workers)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
