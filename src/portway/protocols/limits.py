"""What one WebSocket may take, read from the configuration; apart, because this needs no library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from portway.config.settings import WebSockets as Settings


class Limits(Struct, frozen=True):
    """What one WebSocket may take.

    Attributes:
        max_size: Bytes of one message, decompressed.
        max_queue: Messages that wait for the application before nothing more is read.
        ping_interval_s: Seconds between two pings; 0 sends none.
        ping_timeout_s: Seconds of silence after a ping that end the connection; 0 waits for ever.
        deflate: Whether messages may be compressed.
    """

    max_size: int
    max_queue: int
    ping_interval_s: float
    ping_timeout_s: float
    deflate: bool


def limits_of(settings: Settings) -> Limits:
    """Return what the options say."""
    return Limits(
        settings.max_size,
        settings.max_queue,
        settings.ping_interval,
        settings.ping_timeout,
        settings.per_message_deflate,
    )
