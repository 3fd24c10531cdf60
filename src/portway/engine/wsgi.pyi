"""The WSGI driver (PEP 3333)."""

from collections.abc import Callable, Iterator
from typing import Protocol, final
from wsgiref.types import WSGIApplication

from portway.config import Settings
from portway.engine.access import _Target
from portway.engine.base import _Report
from portway.engine.counters import Board, Slot
from portway.engine.static import StaticEngine

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

@final
class FileWrapper:
    """`wsgi.file_wrapper`: an application returns one to have a file sent without reading it itself.

    A real, regular file is sent with sendfile(2) from its current position on; anything else with `read` is
    iterated. The file's `close` is called when the request is over, as for any iterable.

    Args:
        filelike: An open file.
        block_size: Bytes of one piece when it is iterated.
    """

    close: Callable[[], object]

    def __init__(self, filelike: _Readable, block_size: int = 8192) -> None: ...
    @property
    def filelike(self) -> _Readable: ...
    @property
    def block_size(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...

class WSGIEngine(StaticEngine):
    """Serves one WSGI application from one process.

    Args:
        app: The application.
        settings: Read once, here; `process.threads` is the number of threads.
        slot: This worker's line of the board; None for private counters.
        board: For handing connections over; needs `add_handover`.
        report: Hears of errors and notices.
        access: Where the access log goes; None writes none.
        multiprocess: What the environ says about other workers.
    """

    def __init__(
        self,
        app: WSGIApplication,
        settings: Settings,
        slot: Slot | None = None,
        board: Board | None = None,
        report: _Report | None = None,
        access: _Target | None = None,
        multiprocess: bool = True,
    ) -> None: ...
    def run(self) -> None:
        """Serve in this thread and `threads - 1` more until drained or stopped. Once in an engine's life.

        An application that is still busy then is not waited for: its thread is a daemon.
        """
