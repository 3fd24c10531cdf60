"""A multi-concurrency environment: one process for each event that Lambda may send at once.

Each initialises itself, as under Lambda's own runtime, so that an application needs no thought of
threads. A worker that dies is replaced; one that cannot be initialised ends the environment.
"""

from __future__ import annotations

import os
import signal

from .. import invocation
from .logging import redirect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

_FINAL = (1, 64, 65)
"""Exit statuses of a worker that could not be initialised or lost the Runtime API, as the next would."""


def supervise(count: int, work: Callable[[], None]) -> NoReturn:
    """Keep `count` processes at `work` until the environment ends.

    Raises:
        SystemExit: A worker could not start, or SIGTERM came and all have ended.
    """
    workers: set[int] = set()
    stopping = False
    code = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        for pid in workers:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    for _ in range(count):
        workers.add(_forked(work))
    while workers:
        pid, status = os.wait()
        if pid not in workers:
            continue
        workers.remove(pid)
        if not stopping and os.waitstatus_to_exitcode(status) in _FINAL:
            code = 1
            stop(0, None)
        if not stopping:
            workers.add(_forked(work))
    raise SystemExit(code)


def _forked(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        invocation.own_process()
        path = os.environ.get("_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET")
        if path:
            redirect(path)
        work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(status)
