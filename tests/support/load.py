"""Continuous requests from several threads, every one of them counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.client import Address, Answer, Client, ConnectionLost
from tests.support.processes import DEADLINE_S

PATIENCE_S = 1.0
"""Less than a server that drains waits for a connection's next request."""


class StoodStill(Exception):
    """The connection was closed while this client was late with its request: rightly, then."""


class Load:
    """Clients that ask, read the answer and ask again, until the block is left.

    A request counts as answered only when its whole answer arrived with status 200. Everything else is
    a failure and kept: a refused connection, a cut answer, an end of file where an answer was due. A
    keep-alive client opens a new connection only after a response that announced the close, or when the
    machine had it stand still before its request for longer than a server need wait.

    Args:
        address: The server.
        keep_alive: How many clients keep their connection.
        fresh: How many open a new one for each request.
        path: What they ask for.
        pause_s: How long each client waits between two requests, whether the first was answered or not.
    """

    def __init__(
        self,
        address: Address,
        *,
        keep_alive: int = 0,
        fresh: int = 0,
        path: str = "/pid",
        pause_s: float = 0.0,
    ) -> None:
        self._address = address
        self._path = path
        self._pause_s = pause_s
        self._over = threading.Event()
        self._changed = threading.Condition()
        self.failures: list[str] = []
        self.bodies: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._keep_asking, daemon=True) for _ in range(keep_alive)]
        self._threads += [threading.Thread(target=self._ask_afresh, daemon=True) for _ in range(fresh)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    @property
    def answered(self) -> int:
        """How many requests have been answered."""
        return self.bodies.total()

    def wait_for(self, more: int, timeout_s: float = DEADLINE_S) -> None:
        """Wait until that many more requests have been answered."""
        goal = self.answered + more
        self.wait_until(lambda: self.answered >= goal, f"{more} more answers", timeout_s)

    def wait_for_body(self, body: str, times: int = 1, timeout_s: float = DEADLINE_S) -> None:
        """Wait until an answer with that body has come so often."""
        self.wait_until(lambda: self.bodies[body] >= times, f"{times} answers {body!r}", timeout_s)

    def wait_until(self, condition: Callable[[], object], what: str, timeout_s: float = DEADLINE_S) -> None:
        """Wait until a condition holds; it is asked after every answer and every failure."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                assert left > 0, f"no {what}: {self.bodies}, {self.failures[:5]}"
                self._changed.wait(left)

    def _keep_asking(self) -> None:
        client: Client | None = None
        since = 0.0
        while not self._over.is_set():
            try:
                if client is None:
                    since = time.monotonic()
                    client = Client(self._address)
                answer = self._ask(client, since)
                since = time.monotonic()
            except StoodStill:
                keep = False
            except (ConnectionLost, OSError) as error:
                self._failed(error)
                keep = False
            else:
                self._count(answer)
                keep = not answer.closes
            if client and not keep:
                client.close()
                client = None
            self._pause()
        if client:
            client.close()

    def _ask_afresh(self) -> None:
        while not self._over.is_set():
            since = time.monotonic()
            try:
                with Client(self._address) as client:
                    self._count(self._ask(client, since))
            except StoodStill:
                pass
            except (ConnectionLost, OSError) as error:
                self._failed(error)
            self._pause()

    def _ask(self, client: Client, since: float) -> Answer:
        """Ask on a connection that has been waiting for that since then; return the answer.

        Raises:
            ConnectionLost: There was none.
            StoodStill: There was none, and this client was slow.
        """
        sent = 0.0
        try:
            client.request(self._path)
            sent = time.monotonic()
            return client.answer()
        except ConnectionLost as lost:
            if not lost.received and (sent or time.monotonic()) - since >= PATIENCE_S + self._pause_s:
                raise StoodStill from lost
            raise

    def _pause(self) -> None:
        if self._pause_s:
            self._over.wait(self._pause_s)

    def _count(self, answer: Answer) -> None:
        with self._changed:
            if answer.status == 200:
                self.bodies[answer.body.decode()] += 1
            else:
                self.failures.append(f"status {answer.status}")
            self._changed.notify_all()

    def _failed(self, error: Exception) -> None:
        with self._changed:
            self.failures.append(f"{type(error).__name__}: {error}")
            self._changed.notify_all()
