"""Load a WebSocket echo: PORT SECONDS CONNECTIONS. Each connection sends a message when its last came back.

It prints what wrk prints, as far as bench/wrk.py reads it. Frames are made ahead and answers counted by
their size, so that one core of this has more to give than any server.
"""

import base64
import os
import select
import socket
import sys
import time

MESSAGE = b"0123456789" * 5
ANSWER = len(MESSAGE) + 2


def opened(port: int) -> socket.socket:
    """Return a connection whose handshake is over."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        (
            f"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        ).encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = sock.recv(4096)
        if not piece:
            sys.exit(f"no WebSocket: {head!r}")
        head += piece
    if not head.startswith(b"HTTP/1.1 101"):
        sys.exit(f"no WebSocket: {head!r}")
    return sock


def main(port: int, seconds: float, connections: int) -> None:
    """Run, and report."""
    mask = b"\x01\x02\x03\x04"
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(MESSAGE))
    frame = bytes([0x81, 0x80 | len(MESSAGE)]) + mask + masked
    poller = select.epoll()
    socks = {}
    for _ in range(connections):
        sock = opened(port)
        socks[sock.fileno()] = sock
        poller.register(sock, select.EPOLLIN)
    began = time.monotonic()
    sent = dict.fromkeys(socks, began)
    for sock in socks.values():
        sock.send(frame)
    answers, took, clock = 0, [], time.monotonic
    now = began
    while now < began + seconds:
        for fd, _ in poller.poll(1):
            data = socks[fd].recv(65536)
            if len(data) != ANSWER or data[0] != 0x81 or data[2:] != MESSAGE:
                sys.exit(f"a wrong answer: {data[:100]!r}")
            now = clock()
            took.append(now - sent[fd])
            sent[fd] = now
            answers += 1
            socks[fd].send(frame)
        now = clock()
    used = now - began
    took.sort()
    sys.stdout.write(
        f"     99%   {took[int(len(took) * 0.99)] * 1000:.2f}ms\n"
        f"  {answers} requests in {used:.2f}s, {answers * ANSWER / 1e6:.2f}MB read\n"
        f"Requests/sec: {answers / used:.2f}\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
