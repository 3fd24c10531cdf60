"""The socket pair between an arbiter and a worker."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from portway.server.messages import MAX_DETAILS, MAX_LINE, Channel, Failed, Message, Ready


def test_messages_arrive_whole_and_in_order() -> None:
    arbiter, worker = Channel.pair()
    said: list[Message] = [
        Ready("WSGI", "of 4 threads"),
        Failed("no\nsuch", "hint", "line 1\nline 2"),
        Failed("x"),
    ]
    for message in said:
        worker.send(message)
    assert arbiter.receive() == said
    assert arbiter.receive() == []
    assert not arbiter.closed_by_peer
    arbiter.close()
    worker.close()


def test_a_message_in_two_pieces_waits_for_its_end() -> None:
    arbiter, worker = Channel.pair()
    line = b'{"type":"ready","interface":"WSGI","workings":""}\n'
    os.write(worker.fileno(), line[:20])
    assert arbiter.receive() == []
    os.write(worker.fileno(), line[20:])
    assert arbiter.receive() == [Ready("WSGI", "")]
    arbiter.close()
    worker.close()


def test_lines_that_are_no_message_are_skipped() -> None:
    arbiter, worker = Channel.pair()
    os.write(worker.fileno(), b"hello\n\xff\xfe\n{}\n")
    worker.send(Failed("x"))
    assert arbiter.receive() == [Failed("x")]
    arbiter.close()
    worker.close()


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"stuck","request":"\xff"}',
        b'{"type":"ready","interface":"","workings":"","more":' + b"[" * 20_000,
        b'{"more":' * 10_000,
    ],
)
def test_junk_that_begins_like_a_message_is_skipped(line: bytes) -> None:
    arbiter, worker = Channel.pair()
    os.write(worker.fileno(), line + b"\n")
    worker.send(Failed("x"))
    assert arbiter.receive() == [Failed("x")]
    arbiter.close()
    worker.close()


def test_a_line_without_an_end_is_not_kept() -> None:
    arbiter, worker = Channel.pair()
    for _ in range(MAX_LINE // 50_000 + 2):
        os.write(worker.fileno(), b"x" * 50_000)
        assert arbiter.receive() == []
    os.write(worker.fileno(), b"\n")
    worker.send(Failed("x"))
    assert arbiter.receive() == [Failed("x")]
    arbiter.close()
    worker.close()


def test_who_never_stops_talking_is_not_listened_to_for_ever() -> None:
    arbiter, worker = Channel.pair()
    stop = threading.Event()

    def talk() -> None:
        while not stop.is_set():
            worker.offer(Failed("x" * 1000))

    talker = threading.Thread(target=talk)
    talker.start()
    for _ in range(10):
        arbiter.receive()
    stop.set()
    talker.join()
    arbiter.close()
    worker.close()


def test_a_message_that_did_not_fit_spoils_no_other() -> None:
    arbiter, worker = Channel.pair()
    for _ in range(100):
        worker.offer(Failed("x" * 60_000))
    while arbiter.receive():
        pass
    worker.send(Failed("y"))
    assert arbiter.receive() == [Failed("y")]
    arbiter.close()
    worker.close()


def test_text_that_is_no_utf_8_is_told_escaped() -> None:
    """The name of a file can be anything, and an exception names it."""
    arbiter, worker = Channel.pair()
    worker.send(Failed("no file a\udcffb", None, "é\udcff"))
    assert arbiter.receive() == [Failed("no file a\\udcffb", None, "é\\udcff")]
    arbiter.close()
    worker.close()


def test_the_longest_failure_fits_without_a_reader() -> None:
    arbiter, worker = Channel.pair()
    failure = Failed("x", None, "€" * MAX_DETAILS)
    sender = threading.Thread(target=worker.send, args=(failure,), daemon=True)
    sender.start()
    messages: list[object] = []
    while not messages:
        messages += arbiter.receive()
    sender.join(10)
    assert messages == [failure]
    arbiter.close()
    worker.close()


def test_the_end_of_the_peer_is_seen_and_sending_to_it_is_harmless() -> None:
    arbiter, worker = Channel.pair()
    worker.send(Failed("last words"))
    worker.close()
    assert arbiter.receive() == [Failed("last words")]
    assert arbiter.closed_by_peer
    arbiter.send(Ready("", ""))
    arbiter.close()


def test_the_kernel_signals_the_end_of_the_peer() -> None:
    arbiter, worker = Channel.pair()
    received = threading.Event()
    # A handler, not a blocked signal: other threads of the test process would not have it blocked.
    before = signal.signal(signal.SIGIO, lambda *_: received.set())
    try:
        worker.signal_on_input(True)
        arbiter.close()
        assert received.wait(10)
        worker.receive()
        assert worker.closed_by_peer
        worker.signal_on_input(False)
    finally:
        worker.close()
        signal.signal(signal.SIGIO, before)
