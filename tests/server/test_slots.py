"""Slots, their queues, and the connections left in them."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Iterator

import pytest

from portway.engine.counters import DEAD, FREE, READY, STARTING
from portway.server.rescue import Rescue
from portway.server.slots import Slots, slots_for


@pytest.fixture
def slots() -> Iterator[Slots]:
    """Four slots."""
    made = Slots(4)
    yield made
    made.close()


def queue_connection(slots: Slots, slot: int, payload: bytes) -> socket.socket:
    """Queue one end of a connection as an engine does; return the other end."""
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    sending = next(slots.others(other)[slot] for other in range(slots.count) if other != slot)
    socket.send_fds(sending, [payload], [theirs.fileno()])
    theirs.close()
    return ours


def receive(slots: Slots, slot: int) -> tuple[bytes, list[int]]:
    """Take one connection from a slot's queue."""
    payload, descriptors, _, _ = socket.recv_fds(slots.queue(slot), 4096, 4)
    return payload, list(descriptors)


def test_a_reload_always_finds_room() -> None:
    for workers in (1, 2, 4, 16, 64, 512):
        assert slots_for(workers) >= 2 * workers


def test_slots_are_taken_lowest_first_and_given_back(slots: Slots) -> None:
    assert [slots.take() for _ in range(5)] == [0, 1, 2, 3, None]
    assert slots.free() == 0
    slots.release(2)
    assert slots.take() == 2
    assert slots[2].state == STARTING


def test_a_dead_workers_slot_is_not_free(slots: Slots) -> None:
    slots.take()
    slots.bury(0)
    assert slots[0].state == DEAD
    assert slots.take() == 1


def test_a_slots_line_is_zeroed_for_its_next_worker(slots: Slots) -> None:
    slots.take()
    slots[0].beat_ns = 5
    slots.assign(0, 77, 3)
    assert (slots[0].pid, slots[0].generation) == (77, 3)
    slots.release(0)
    assert (slots[0].pid, slots[0].generation, slots[0].beat_ns, slots[0].state) == (0, 0, 0, FREE)


def test_a_queued_connection_goes_to_a_ready_slot_with_its_payload(slots: Slots) -> None:
    slots[2].state = READY
    client = queue_connection(slots, 0, b"payload")
    assert slots.pass_on(slots.queue(0))
    assert slots[2].connections == 1
    payload, (descriptor,) = receive(slots, 2)
    assert payload == b"payload"
    os.write(descriptor, b"served")
    assert client.recv(100) == b"served"
    os.close(descriptor)
    client.close()


def test_without_a_ready_slot_the_queue_keeps_what_it_has(slots: Slots) -> None:
    client = queue_connection(slots, 0, b"payload")
    assert not slots.pass_on(slots.queue(0))
    payload, (descriptor,) = receive(slots, 0)
    assert payload == b"payload"
    os.close(descriptor)
    client.close()


def test_an_empty_queue_is_no_trouble(slots: Slots) -> None:
    slots[2].state = READY
    with pytest.raises(BlockingIOError):
        slots.pass_on(slots.queue(0))


def test_a_watched_queue_is_passed_on_as_soon_as_somebody_is_ready(slots: Slots) -> None:
    with selectors.DefaultSelector() as selector:
        rescue = Rescue(slots, selector)
        rescue.watch(0)
        client = queue_connection(slots, 0, b"payload")
        for key, _ in selector.select(10):
            key.data()
        assert selector.select(0) == []  # parked, or the arbiter would spin
        slots[1].state = READY
        rescue.somebody_is_ready()
        for key, _ in selector.select(10):
            key.data()
        payload, (descriptor,) = receive(slots, 1)
        assert payload == b"payload"
        os.close(descriptor)
        rescue.unwatch(0)
        rescue.unwatch(0)
        assert not selector.get_map()
        client.close()


def test_a_worker_keeps_its_own_queue_and_every_sending_end(slots: Slots) -> None:
    slots.keep_only(1)
    assert slots.queue(0).fileno() == -1
    assert slots.queue(1).fileno() >= 0
    assert sorted(slots.others(1)) == [0, 2, 3, slots.beside]
    assert all(sending.fileno() >= 0 for sending in slots.others(1).values())
