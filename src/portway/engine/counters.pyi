"""Counters in memory that the arbiter and every worker share."""

from typing import Final, TypedDict, final

FREE: Final[int]
STARTING: Final[int]
READY: Final[int]
DRAINING: Final[int]
DEAD: Final[int]

Histogram = tuple[int, list[int]]
"""Microseconds in all, and how many durations fell into each bucket; see `bucket_limit`."""

class Line(TypedDict):
    """What stands in one line of the board."""

    state: int
    pid: int
    generation: int
    connections: int
    active: int
    in_flight: int
    requests: int
    accepted: int
    handed_over: int
    received: int
    bytes_in: int
    bytes_out: int
    statuses: dict[int, int]
    """By status; 0: a response that was never sent."""
    latency: Histogram
    """From a complete request head to a response that is complete (or kept for a slow client)."""
    queued: Histogram
    """From what X-Request-Start says to a complete head, of the requests that have one."""
    slow: list[tuple[int, int, int, str]]
    """Time of day at the end in seconds, duration in microseconds, status, method and path."""

def bucket_limit(bucket: int) -> int:
    """Return the microseconds that a bucket ends below; the last one has no end."""

@final
class Slot:
    """One worker's counters. Made by `Board.slot`; the same memory in all that forked from the board.

    Every attribute may be read by anybody at any time: each number is whole, though not all of them are of
    one instant. The settable ones are the server's to write, the others the worker's engine's alone.
    """

    state: int
    """FREE, STARTING, READY, DRAINING or DEAD."""
    pid: int
    generation: int
    interface: int
    """A small number that the worker sets once it knows what it serves; its meaning is the server's."""
    knows: int
    """Connections of listeners with smaller numbers may be handed over; another one: other listeners."""
    beat_ns: int
    """CLOCK_MONOTONIC in nanoseconds, written about once a second while the worker's process runs."""
    looks_ms: int
    """CLOCK_MONOTONIC in milliseconds at which the worker's watchdog looks next, 0 without one."""

    @property
    def index(self) -> int:
        """Which slot of the board this is."""

    @property
    def connections(self) -> int:
        """Open connections, those on their way through a hand-over queue included."""

    @property
    def active(self) -> int:
        """Connections that have not been idle between two requests for long."""

    @property
    def in_flight(self) -> int:
        """Requests whose head has arrived and whose response is not complete."""

    @property
    def requests(self) -> int:
        """Requests since the start, refused ones included."""

    @property
    def accepted(self) -> int:
        """Connections that this worker accepted, those it handed over at once included."""

    @property
    def handed_over(self) -> int:
        """Connections given to other workers."""

    @property
    def received(self) -> int:
        """Connections taken from other workers."""

    @property
    def bytes_in(self) -> int:
        """Bytes received."""

    @property
    def bytes_out(self) -> int:
        """Bytes of responses, counted when a response is complete."""

    @property
    def status_1xx(self) -> int:
        """Interim responses sent."""

    @property
    def status_2xx(self) -> int:
        """Responses with a status of 200 to 299."""

    @property
    def status_3xx(self) -> int:
        """Responses with a status of 300 to 399."""

    @property
    def status_4xx(self) -> int:
        """Responses with a status of 400 to 499, refusals by the engine included."""

    @property
    def status_5xx(self) -> int:
        """Responses with a status of 500 to 599."""

    def expect(self) -> None:
        """Count a connection that is on its way to this slot; the worker that gets it does not again."""

    def reset(self) -> None:
        """Zero everything, before a new worker takes the slot; the board keeps the sums. For the arbiter."""

@final
class Board:
    """Anonymous shared memory with a line for each worker. Make it before forking.

    Args:
        slots: How many workers may live at a time; twice the usual number, so that a reload has room.

    Raises:
        ValueError: `slots` is not positive.
    """

    def __init__(self, slots: int = 64) -> None: ...
    @property
    def slots(self) -> int:
        """How many lines there are."""

    @property
    def neighbour(self) -> bool:
        """Whether another server, beside this one in an upgrade, takes connections of workers that drain."""

    @neighbour.setter
    def neighbour(self, takes: bool) -> None: ...
    def slot(self, index: int) -> Slot:
        """Return a line of the board.

        Raises:
            IndexError: There is no such line.
        """

    def read(self) -> tuple[Line, dict[int, Line]]:
        """Return the sums of all workers that are gone, and every line that is held, by its index.

        A worker that ends meanwhile is found in one of the two, never in both.
        """
