"""An upstream of the application's own, reached by TLS, that breaks off."""

from __future__ import annotations

import socket
import ssl
import struct
import threading

from tests.support.certificates import Made, certificate, client_context

NAME = "upstream.test"


def ask_one_that_breaks_off() -> bytes:
    """Write to a server that has reset the connection, again and again; return the last error."""
    last, made = b"none", certificate(NAME)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=_break_off, args=[listener, made])
        serving.start()
        with (
            socket.create_connection(listener.getsockname()) as plain,
            client_context().wrap_socket(plain, server_hostname=NAME) as sock,
        ):
            serving.join()
            for _ in range(3):
                try:
                    sock.send(b"x")
                except OSError as error:
                    last = type(error).__name__.encode()
    return last


def _break_off(listener: socket.socket, made: Made) -> None:
    taken, _ = listener.accept()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.chain, made.key)
    with context.wrap_socket(taken, True) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
