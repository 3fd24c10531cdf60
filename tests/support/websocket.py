"""A WebSocket to a server of a test, by the library's client."""

from __future__ import annotations

import ssl
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.processes import Portway


def websocket(server: Portway, path: str, **options: Any) -> ClientConnection:
    """Open a WebSocket."""
    host, port = server.address
    scheme = "ws"
    if type(server.address) is not tuple:
        scheme = "wss"
        options["ssl"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        options["ssl"].check_hostname = False
        options["ssl"].verify_mode = ssl.CERT_NONE
    options = {"max_size": None, "open_timeout": 20, "proxy": None, **options}
    connection: ClientConnection = connect(f"{scheme}://{host}:{port}{path}", **options)
    return connection
