"""`--workers MIN:MAX`: how many workers, from what is measured. No clock and no system call in `Scaler`.

Measured four times a second and judged once a second:

- `busy`: for each worker the larger of two shares, its requests in flight to its threads (WSGI), and the
  processor time of its process to the time that passed (a full event loop, or a full interpreter lock); the
  mean over the ready workers and the second;
- `queued`: TCP connections that wait in the kernel until somebody accepts them.

Workers become a quarter more, at least one, when two seconds in a row show a queue or more than 80 % busy;
then nothing for 5 s. They become one less when for 30 s in a row there was no queue and the others would have
been less than 50 % busy; then nothing for 30 s.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Iterable

from msgspec import Struct

from portway.server.children import WorkerProcess
from portway.server.generations import Generations
from portway.server.listeners import Listener
from portway.server.memory import processor_s
from portway.server.workers import Workers

SAMPLE_S = 0.25
JUDGE_S = 1.0
GROW_ABOVE = 0.8
GROW_AFTER = 2
GROW_COOL_S = 5.0
SHRINK_BELOW = 0.5
SHRINK_AFTER = 30
SHRINK_COOL_S = 30.0


class Reading(Struct, frozen=True):
    """What was measured over one second.

    Attributes:
        workers: How many serve.
        busy: Their mean share of time or threads in use, from 0 to 1.
        queued: Most connections that waited to be accepted.
    """

    workers: int
    busy: float
    queued: int


class Scaler:
    """How many workers are wanted.

    Args:
        minimum: The fewest.
        maximum: The most.
    """

    def __init__(self, minimum: int, maximum: int) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._high = 0
        self._low = 0
        self._quiet_until = 0.0

    def wanted(self, reading: Reading, now: float) -> int:
        """Return how many workers there are to be. Call it once a second, not while workers start.

        Args:
            reading: What was measured.
            now: Monotonic seconds.
        """
        count = reading.workers
        others = reading.busy * count / (count - 1) if count > 1 else 1.0
        queueing = reading.queued > 0 or reading.busy > GROW_ABOVE
        self._high = self._high + 1 if queueing else 0
        self._low = self._low + 1 if not queueing and others < SHRINK_BELOW else 0
        wanted = max(count, self._minimum)
        if now >= self._quiet_until:
            if self._high >= GROW_AFTER and count < self._maximum:
                wanted = min(self._maximum, count + max(1, count // 4))
            elif self._low >= SHRINK_AFTER and count > self._minimum:
                wanted = count - 1
        if wanted != count:
            self._quiet_until = now + (GROW_COOL_S if wanted > count else SHRINK_COOL_S)
            self._high = self._low = 0
        return wanted


class Gauge:
    """Gathers samples into readings. Used by the arbiter's only thread.

    Args:
        processor: Returns the processor time of a process in seconds.
    """

    def __init__(self, processor: Callable[[int], float] = processor_s) -> None:
        self._processor = processor
        self._used: dict[int, tuple[float, float]] = {}
        self._busy: list[float] = []
        self._queued = 0

    def sample(self, workers: Iterable[WorkerProcess], listeners: Iterable[Listener], now: float) -> None:
        """Measure once.

        Args:
            workers: Those that serve.
            listeners: What they accept from.
            now: Monotonic seconds.
        """
        shares = [self._share(worker, now) for worker in workers]
        if shares:
            self._busy.append(sum(shares) / len(shares))
        self._queued = max(self._queued, sum(accept_queue(listener.sock) for listener in listeners))

    def _share(self, worker: WorkerProcess, now: float) -> float:
        used = self._processor(worker.pid)
        before, then = self._used.get(worker.pid, (used, now))
        self._used[worker.pid] = (used, now)
        share = (used - before) / (now - then) if now > then else 0.0
        if worker.ready is not None and worker.ready.interface == "WSGI":
            threads = worker.generation.shared.settings.process.threads
            in_flight = worker.generation.shared.slots[worker.slot].in_flight
            share = max(share, in_flight / threads)
        return min(1.0, share)

    def read(self, workers: Iterable[WorkerProcess]) -> Reading:
        """Return what the samples since the last reading come to, and begin the next one."""
        alive = {worker.pid for worker in workers}
        self._used = {pid: used for pid, used in self._used.items() if pid in alive}
        busy = sum(self._busy) / len(self._busy) if self._busy else 0.0
        reading = Reading(len(alive), busy, self._queued)
        self._busy.clear()
        self._queued = 0
        return reading


class Scaling:
    """The scaler at work. Used by the arbiter's only thread.

    Attributes:
        bounds: The fewest and the most workers.
        sample_s: How often `look` is to be called.

    Args:
        minimum: The fewest.
        maximum: The most.
        generations: Who is told how many.
        workers: Who is measured.
    """

    sample_s = SAMPLE_S

    def __init__(self, minimum: int, maximum: int, generations: Generations, workers: Workers) -> None:
        self.bounds = minimum, maximum
        self._scaler = Scaler(minimum, maximum)
        self._gauge = Gauge()
        self._generations = generations
        self._workers = workers
        self._judge_at = 0.0

    def look(self, now: float) -> None:
        """Take a sample; once a second, judge.

        Args:
            now: Monotonic seconds.
        """
        generations = self._generations
        serving = self._workers.staying(generations.serving)
        ready = [worker for worker in serving if worker.ready]
        self._gauge.sample(ready, generations.shared.listeners, now)
        if now < self._judge_at:
            return
        self._judge_at = now + JUDGE_S
        reading = self._gauge.read(ready)
        # Not while something starts or rests: what is under way would be counted twice.
        if generations.coming or len(ready) != len(serving) or len(ready) != generations.target or not ready:
            return
        wanted = self._scaler.wanted(reading, now)
        if wanted != len(ready):
            figures = f"{reading.busy:.0%} busy, {reading.queued} waiting"
            generations.shared.log.entry("info", f"scaling to {wanted} workers: {figures}")
            generations.scale(wanted)


def accept_queue(sock: socket.socket) -> int:
    """Return how many connections wait at a listening TCP socket; 0 where the kernel does not tell."""
    if sys.platform != "linux" or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    except OSError:
        return 0
    return int(struct.unpack_from("=I", info, 24)[0])  # tcpi_unacked: for a listener, its accept queue
