"""Where the records of a function's `logging` go under Portway's runtime client.

Lambda hands the runtime a descriptor for log frames (so that a record of many lines stays one event);
an emulator does not, and standard output takes its place. Format and level come from the function's
advanced logging controls (AWS_LAMBDA_LOG_FORMAT, AWS_LAMBDA_LOG_LEVEL).
"""

from __future__ import annotations

import io
import logging
import os
import socket
import sys
import time

from ..logs import JSONFormatter, TextFormatter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

_FRAME = {"text": 0xA55A0003, "JSON": 0xA55A0002}
_LEVEL_BITS = {
    logging.DEBUG: 8,
    logging.INFO: 12,
    logging.WARNING: 16,
    logging.ERROR: 20,
    logging.CRITICAL: 24,
}


class FrameHandler(logging.Handler):
    """Writes records as frames: type with level, length, microseconds, text (all big-endian)."""

    def __init__(self, descriptor: int, form: str) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._type = _FRAME[form]

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a failure of the log never reaches the application."""
        try:
            text = self.format(record).encode("utf-8", "replace")
            kind = self._type | _LEVEL_BITS.get(min(50, record.levelno // 10 * 10), 0)
            head = (
                kind.to_bytes(4, "big")
                + len(text).to_bytes(4, "big")
                + (time.time_ns() // 1000).to_bytes(8, "big")
            )
            os.write(self._descriptor, head + text)
        except Exception:
            self.handleError(record)


def set_up(environ: MutableMapping[str, str]) -> None:
    """Give the root logger its handler, and make standard output and error leave line by line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    form = "JSON" if environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON" else "text"
    descriptor = environ.pop("_LAMBDA_TELEMETRY_LOG_FD", "")
    handler = (
        FrameHandler(int(descriptor), form) if descriptor.isdigit() else logging.StreamHandler(sys.stdout)
    )
    handler.setFormatter(JSONFormatter() if form == "JSON" else TextFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(level, level)
    if level in logging.getLevelNamesMapping():
        root.setLevel(level)


def redirect(path: str) -> None:
    """Send standard output and error to the log of a multi-concurrency environment.

    Args:
        path: The Unix socket that Lambda names in _LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET.
    """
    for descriptor in (1, 2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(path)
            os.dup2(connection.fileno(), descriptor)
