"""How many workers there are, of which generation, and what happens when one of them ends.

A generation is the set of workers that one start or reload began. At most one serves and at most one
is coming up beside it; the serving one is told to drain only when every worker of the coming one is
ready, and if one of those cannot start, the coming one goes and the serving one stays.
"""

from __future__ import annotations

from collections.abc import Callable

from portway.errors import StartupFailed
from portway.server.assignment import Shared
from portway.server.messages import Ready
from portway.server.rescue import Rescue
from portway.server.signals import describe
from portway.server.vacancies import Vacancies
from portway.server.workers import WorkerProcess, Workers


class Generations:
    """The policy over `Workers`. Used by the arbiter's only thread.

    Attributes:
        serving: The number of the generation that serves, 0 before the first.
        coming: The number of the generation that is starting, 0 when none is.
        target: How many workers a generation has.
        failure: Why the very first start failed; the arbiter ends with it.

    Args:
        shared: What the arbiter opened.
        workers: The children.
        rescue: Passes on connections of the dead.
        clock: Monotonic seconds.
        spawned: Called with each new child.
        settled: Called when a generation has begun to serve, with what its workers say they run.
    """

    def __init__(
        self,
        shared: Shared,
        workers: Workers,
        rescue: Rescue,
        clock: Callable[[], float],
        spawned: Callable[[WorkerProcess], None],
        settled: Callable[[Ready], None],
    ) -> None:
        self.serving = 0
        self.coming = 0
        self.target = shared.settings.process.workers
        self.failure: StartupFailed | None = None
        self.vacancies = Vacancies()
        self._last = 0
        self._reload_wanted = False
        self._log = shared.log
        self._slots = shared.slots
        self._workers = workers
        self._rescue = rescue
        self._clock = clock
        self._spawned = spawned
        self._settled = settled

    def begin(self) -> None:
        """Start a new generation beside the one that serves."""
        self._reload_wanted = False
        self._last += 1
        self.coming = self._last
        self._balance(self.coming)

    def reload(self) -> None:
        """Begin a new generation now, or as soon as there is room for it."""
        self._reload_wanted = True
        if self.coming:
            self._log.entry("info", "reload: another start is under way, this one follows it")
        elif self._slots.free() < self.target:
            self._log.entry("info", "reload: waiting for old workers to drain")
        self._begin_if_wanted()

    def _begin_if_wanted(self) -> None:
        if self._reload_wanted and not self.coming and self._slots.free() >= self.target:
            self._log.entry("info", f"reload: starting generation {self._last + 1}")
            self.begin()

    def resize(self, change: int) -> None:
        """Add workers, or take some away; at least one stays, and a reload must always find room."""
        wanted = self.target + change
        if not 1 <= wanted <= self._slots.count // 2:
            self._log.entry(
                "warning", f"cannot go to {wanted} workers: from 1 to {self._slots.count // 2} are possible"
            )
            return
        self.target = wanted
        self._log.entry("info", f"{wanted} {'worker' if wanted == 1 else 'workers'} wanted")
        self._balance_all()
        self._promote_if_complete()

    def _balance_all(self) -> None:
        for generation in (self.serving, self.coming):
            if generation:
                self._balance(generation)

    def _balance(self, generation: int) -> None:
        """Start or stop workers of a generation until it has as many as wanted."""
        staying = self._workers.staying(generation)
        vacancies = self.vacancies.of(generation)
        for _ in range(self.target - len(staying) - len(vacancies)):
            slot = self._slots.take()
            if slot is None or not self._start(slot, generation):
                break
        for _ in range(len(staying) + len(vacancies) - self.target):
            if vacancies:
                self._release(vacancies.pop().slot)
            else:
                self._workers.stop(staying.pop(), quick=False)

    def _start(self, slot: int, generation: int) -> bool:
        self._slots.prepare(slot)
        try:
            worker = self._workers.spawn(slot, generation)
        except OSError as error:
            self._not_forked(slot, generation, error)
            return False
        self._slots.assign(slot, worker.pid, generation)
        self._spawned(worker)
        return True

    def _not_forked(self, slot: int, generation: int, error: OSError) -> None:
        text = f"cannot start a worker: {error.strerror}"
        if generation == self.coming:
            self._release(slot)
            self._give_up(
                StartupFailed(text, "the system has no process or descriptor left for it (ulimit -u, -n).")
            )
        else:
            self._slots.bury(slot)
            delay = self.vacancies.add(slot, generation, 0.0, self._clock())
            self._log.entry("error", f"{text}; trying again in {delay:g} s")

    def fill_vacancies(self) -> None:
        """Start the workers whose time has come."""
        for vacancy in self.vacancies.take_due(self._clock()):
            self._start(vacancy.slot, vacancy.generation)

    def is_ready(self, worker: WorkerProcess, message: Ready) -> None:
        """Take note that a worker answers requests; with the last of its generation, let that one serve."""
        worker.ready = message
        self._rescue.unwatch(worker.slot)
        self._rescue.somebody_is_ready()
        self._promote_if_complete()

    def _promote_if_complete(self) -> None:
        staying = self._workers.staying(self.coming) if self.coming else []
        said = [worker.ready for worker in staying if worker.ready]
        if said and len(said) == len(staying) >= self.target:
            self._promote(said[0])

    def _promote(self, message: Ready) -> None:
        previous, self.serving, self.coming = self.serving, self.coming, 0
        for vacancy in self.vacancies.of(previous):
            self._release(vacancy.slot)
        for worker in self._workers.staying(previous):
            self._workers.stop(worker, quick=False)
        self._settled(message)
        self._begin_if_wanted()

    def ended(self, worker: WorkerProcess, status: int) -> None:
        """Deal with the end of a worker: expected, or a start that failed, or a death that needs a new one.

        Args:
            worker: The worker, reaped.
            status: Its exit code; negative: the signal that ended it.
        """
        self._slots.bury(worker.slot)
        self._rescue.watch(worker.slot)
        # Of a generation that was given up, workers may be reaped together with the one that failed first.
        if worker.leaving or worker.generation not in (self.serving, self.coming):
            self._release(worker.slot)
            self._balance_all()  # one that found no slot free finds one now
            self._begin_if_wanted()
        elif worker.generation == self.coming and not worker.ready:
            self._release(worker.slot)
            self._give_up(_why_not_started(worker, status))
        else:
            self._replace(worker, status)

    def _give_up(self, failure: StartupFailed) -> None:
        """Abandon the coming generation; without one that serves, that is the end of the server."""
        failed, self.coming = self.coming, 0
        for worker in self._workers.staying(failed):
            self._workers.stop(worker, quick=True)
        for vacancy in self.vacancies.of(failed):
            self._release(vacancy.slot)
        if not self.serving:
            self.failure = failure
            return
        kept = f"generation {failed} cannot start; generation {self.serving} keeps serving"
        self._log.entry("error", f"{kept}: {failure}", failure.details)
        self._begin_if_wanted()

    def _replace(self, worker: WorkerProcess, status: int) -> None:
        now = self._clock()
        delay = self.vacancies.add(worker.slot, worker.generation, now - worker.born, now)
        again = f"starting another in {delay:g} s" if delay else "starting another"
        if worker.ready:
            self._log.entry("warning", f"worker {worker.pid} ended ({describe(status)}); {again}")
        else:
            failure = _why_not_started(worker, status)
            self._log.entry("error", f"worker {worker.pid} cannot start: {failure}; {again}", failure.details)

    def _release(self, slot: int) -> None:
        self.vacancies.forget(slot)
        self._slots.release(slot)

    def stop(self) -> None:
        """Start nothing any more. Workers are the arbiter's to stop."""
        self._reload_wanted = False
        self.serving = self.coming = 0
        for vacancy in self.vacancies.all():
            self._release(vacancy.slot)


def _why_not_started(worker: WorkerProcess, status: int) -> StartupFailed:
    said = worker.failure
    if said is not None:
        return StartupFailed(said.text, said.hint, details=said.details)
    return StartupFailed(
        f"worker {worker.pid} ended before it was ready ({describe(status)})",
        "its application ended the process, or the system did (out of memory?).",
    )
