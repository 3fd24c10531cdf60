"""How many workers there are, of which generation, and what happens when one of them ends.

A generation is the set of workers that one start or reload began. At most one serves and at most one
is coming up beside it; the serving one is told to drain only when every worker of the coming one is
ready, and if one of those cannot start, the coming one goes and the serving one stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from portway.errors import StartupFailed
from portway.server.assignment import Shared
from portway.server.children import Child, Generation, Preloader, WorkerProcess
from portway.server.messages import Ready
from portway.server.rescue import Rescue
from portway.server.signals import describe
from portway.server.vacancies import Vacancies
from portway.server.workers import Workers

_CANNOT_START = "the application cannot start"


class Overseer(Protocol):
    """Who is told what happens, and asked for what the next generation gets. The arbiter."""

    def renew(self, shared: Shared) -> Shared | None:
        """Return what the next generation gets, after this; None refuses the reload, and has said why."""

    def listens(self, shared: Shared) -> None:
        """Close the listeners that only others have. Workers that accept from those drain after that."""

    def forking(self, generation: Generation, slot: int) -> None:
        """Take note that a child is about to be forked: a worker for a slot, or (-1) a preloader."""

    def spawned(self, child: Child) -> None:
        """Listen to a new child."""

    def settled(self, generation: Generation, message: Ready) -> None:
        """Take note that a generation has begun to serve, and of what its workers say they run."""

    def failed(self, generation: Generation, failure: StartupFailed) -> Shared | None:
        """Take note that a generation cannot start; return what one gets that is to stand in for it.

        None: nothing does. It is used only where no generation serves.
        """

    def rescaled(self, wanted: int, before: int) -> None:
        """Take note that another number of workers is wanted."""


class Generations:
    """The policy over `Workers`. Used by the arbiter's only thread.

    Attributes:
        serving: The generation that serves, None before the first one and while stopping.
        coming: The generation that is starting, None when none is.
        shared: What the generation that serves was handed (before the first one serves: what it is to get).
        failure: Why the very first start failed; the arbiter ends with it.
        refused: Why the last reload changed nothing, "" when it did or none was asked for.
        rejected: The number of the generation that was refused, 0 when none was.
        refusals: How many were.
        lost: How many workers have ended that nobody had told to, failed replacements included.

    Args:
        shared: What the arbiter opened.
        workers: The children.
        rescue: Passes on connections of the dead.
        clock: Monotonic seconds.
        overseer: The arbiter.
    """

    def __init__(
        self,
        shared: Shared,
        workers: Workers,
        rescue: Rescue,
        clock: Callable[[], float],
        overseer: Overseer,
    ) -> None:
        self.serving: Generation | None = None
        self.coming: Generation | None = None
        self.shared = shared
        self.failure: StartupFailed | None = None
        self.refused = ""
        self.rejected = 0
        self.refusals = 0
        self.lost = 0
        self.vacancies = Vacancies()
        self._last = 0
        self._target = shared.settings.process.workers.minimum
        self._reload_wanted = False
        self._slots = shared.slots
        self._workers = workers
        self._rescue = rescue
        self._clock = clock
        self._overseer = overseer

    @property
    def last(self) -> int:
        """The number of the generation that was begun last."""
        return self._last

    @property
    def target(self) -> int:
        """How many workers are wanted."""
        return self._target

    def begin(self, shared: Shared | None = None) -> None:
        """Start a new generation beside the one that serves.

        Args:
            shared: What it gets; what the present one has by default.
        """
        shared = shared or self.shared
        before, after = self.shared.settings.process.workers, shared.settings.process.workers
        if after != before or not self._target:  # what an operator has asked for since outlives a reload
            self._target = after.minimum
        self._reload_wanted = False
        self._last += 1
        self.coming = Generation(self._last, shared, self._target)
        self._balance(self.coming)

    # -- reload ------------------------------------------------------------------------------------------

    def reload(self) -> int:
        """Begin a new generation, with the configuration read again, as soon as there is room for it.

        Returns:
            The number it will have.
        """
        number = self._last + 1
        self._reload_wanted = True
        if self.coming:
            self.shared.log.entry("info", "reload: another start is under way, this one follows it")
        elif self._slots.free() < self._target:
            self.shared.log.entry("info", "reload: waiting for old workers to drain")
        self._begin_if_wanted()
        return number

    def restart(self) -> None:
        """Begin a new generation in the place of the one that is coming, which is out of date already."""
        if self.coming:
            self._abandon(self.coming)
        self.reload()

    def refuse(self, number: int, why: str) -> None:
        """Take note that a generation cannot start, or not even begin to."""
        self.refused, self.rejected = why, number
        self.refusals += 1

    @property
    def reloading(self) -> bool:
        """Whether a generation is coming up beside the one that serves, or waits to."""
        return bool(self.serving and (self.coming or self._reload_wanted))

    def _begin_if_wanted(self) -> None:
        if not self._reload_wanted or self.coming or self._slots.free() < self._target:
            return
        self._reload_wanted = False
        shared = self._overseer.renew(self.shared)
        if shared is not None:
            shared.log.entry("info", f"reload: starting generation {self._last + 1}")
            self.begin(shared)

    # -- how many ----------------------------------------------------------------------------------------

    def resize(self, change: int) -> None:
        """Add workers, or take some away."""
        self.scale(self._target + change)

    def scale(self, wanted: int) -> bool:
        """Have so many workers; at least one stays, and a reload must always find room.

        Returns:
            Whether that is possible. If not, the log says why.
        """
        if not 1 <= wanted <= self._slots.count // 2:
            self.shared.log.entry(
                "warning", f"cannot go to {wanted} workers: from 1 to {self._slots.count // 2} are possible"
            )
            return False
        self._want(wanted)
        return True

    def rest(self) -> None:
        """Stop every worker gracefully, and keep the listening sockets: a reload or `scale` ends it."""
        if self.coming:
            self._abandon(self.coming)
        self._want(0)

    def _want(self, wanted: int) -> None:
        before, self._target = self._target, wanted
        self.shared.log.entry("info", f"{wanted} {'worker' if wanted == 1 else 'workers'} wanted")
        if wanted != before:
            self._overseer.rescaled(wanted, before)
        self._balance_all()
        self._promote_if_complete()

    def _balance_all(self) -> None:
        for generation in (self.serving, self.coming):
            if generation:
                generation.target = self._target
                self._balance(generation)

    def _balance(self, generation: Generation) -> None:
        """Start or stop workers of a generation until it has as many as wanted."""
        staying = self._workers.staying(generation)
        vacancies = self.vacancies.of(generation)
        missing = generation.target - len(staying) - len(vacancies)
        if missing > 0 and self._ready_to_fork(generation):
            for _ in range(missing):
                slot = self._slots.take()
                if slot is None or not self._start(slot, generation):
                    break
        for _ in range(-missing):
            if vacancies:
                self._release(vacancies.pop().slot)
            else:
                self._workers.stop(staying.pop(), quick=False)

    def _ready_to_fork(self, generation: Generation) -> bool:
        """Whether workers can be started; where they come from a preloader, see to it that there is one."""
        if generation.preloads and generation.preloader is None and self._clock() >= generation.preloader_due:
            self._overseer.forking(generation, -1)
            try:
                self._overseer.spawned(self._workers.spawn_preloader(generation))
            except OSError as error:
                self._no_preloader(generation, _no_room(error))
        return generation.can_fork

    def _start(self, slot: int, generation: Generation) -> bool:
        self._slots.prepare(slot)
        self._overseer.forking(generation, slot)
        try:
            worker = self._workers.spawn(slot, generation)
        except OSError as error:
            self._not_forked(slot, generation, error)
            return False
        self._slots.assign(slot, worker.pid, generation.number)
        self._overseer.spawned(worker)
        return True

    def _not_forked(self, slot: int, generation: Generation, error: OSError) -> None:
        if generation.preloader is not None and isinstance(error, TimeoutError):
            self._workers.kill(generation.preloader)
        if generation is self.coming:
            self._release(slot)
            self._give_up(_no_room(error))
        else:
            self._slots.bury(slot)
            delay = self.vacancies.add(slot, generation, 0.0, self._clock())
            self.shared.log.entry("error", f"{_no_room(error)}; trying again in {delay:g} s")

    def fill_vacancies(self) -> None:
        """Start what is due: workers, and preloaders that died."""
        now = self._clock()
        for vacancy in self.vacancies.take_due(now):
            if self._ready_to_fork(vacancy.generation):
                self._start(vacancy.slot, vacancy.generation)
            else:
                self._slots.bury(vacancy.slot)
                self.vacancies.wait(vacancy, math.inf)
        serving = self.serving
        if serving and serving.preloads and serving.preloader is None and serving.preloader_due <= now:
            self._ready_to_fork(serving)

    def next_due(self) -> float:
        """Return when `fill_vacancies` has something to do, in monotonic seconds; infinity when nothing."""
        due = self.vacancies.next_due()
        if self.serving and self.serving.preloads and self.serving.preloader is None:
            due = min(due, self.serving.preloader_due)
        return due

    # -- beginnings --------------------------------------------------------------------------------------

    def is_loaded(self, preloader: Preloader) -> None:
        """Take note that a preloader can fork workers."""
        preloader.loaded = True
        generation = preloader.generation
        for vacancy in self.vacancies.of(generation):
            if vacancy.due == math.inf:
                self.vacancies.wait(vacancy, 0.0)
        self._balance(generation)

    def is_ready(self, worker: WorkerProcess, message: Ready) -> None:
        """Take note that a worker answers requests; with the last of its generation, let that one serve."""
        worker.ready = message
        self._rescue.unwatch(worker.slot)
        self._rescue.somebody_is_ready()
        self._promote_if_complete()
        self._let_retire()

    def _is_complete(self, generation: Generation | None) -> bool:
        staying = self._workers.staying(generation) if generation else []
        if generation is None or not staying or len(staying) < generation.target:
            return False
        return all(worker.ready for worker in staying)

    def _promote_if_complete(self) -> None:
        if self.coming and self._is_complete(self.coming):
            self._promote(self.coming)

    def _promote(self, generation: Generation) -> None:
        previous, self.serving, self.coming = self.serving, generation, None
        self.shared = generation.shared
        self.refused, self.rejected = "", 0
        self._overseer.listens(generation.shared)
        if previous:
            self._dismiss(previous, quick=False)
        message = next(worker.ready for worker in self._workers.staying(generation) if worker.ready)
        self._overseer.settled(generation, message)
        self._begin_if_wanted()

    def _dismiss(self, generation: Generation, quick: bool) -> None:
        """Have everything of a generation end; unless quick, serving workers answer what they have first."""
        for vacancy in self.vacancies.of(generation):
            self._release(vacancy.slot)
        for worker in self._workers.of(generation):
            self._workers.stop(worker, quick or not worker.started)
        if generation.preloader is not None:
            self._workers.stop(generation.preloader, quick=True)

    # -- recycling ---------------------------------------------------------------------------------------

    def recycle(self, worker: WorkerProcess, why: str) -> bool:
        """Replace a worker: another one starts, and when it is ready, this one drains. One at a time.

        Args:
            worker: A worker.
            why: The reason, for the log.

        Returns:
            Whether that has begun. If not, it cannot be now: a reload or another one is under way, some
            worker is missing, or no slot is free. Ask again later.
        """
        generation = self.serving
        if generation is None or self.coming or not self._is_complete(generation) or not self._slots.free():
            return False
        if worker not in self._workers.staying(generation):
            return False
        if len(self._workers.of(generation)) > len(self._workers.staying(generation)):
            return False
        worker.retiring = True
        self.shared.log.entry("info", f"worker {worker.pid} is replaced: {why}")
        self._balance(generation)
        return True

    def _let_retire(self) -> None:
        """Let those go whose replacements are ready."""
        if self.serving and self._is_complete(self.serving):
            for worker in self._workers.of(self.serving):
                if worker.retiring:
                    self._workers.stop(worker, quick=False)

    # -- ends --------------------------------------------------------------------------------------------

    def ended(self, worker: WorkerProcess, status: int) -> None:
        """Deal with the end of a worker: expected, or a start that failed, or a death that needs a new one.

        Args:
            worker: The worker, reaped.
            status: Its exit code; negative: the signal that ended it.
        """
        self._slots.bury(worker.slot)
        self._rescue.watch(worker.slot)
        known = worker.generation in (self.serving, self.coming)
        # Of a generation that was given up, workers may be reaped together with the one that failed first.
        if worker.leaving or worker.retiring or not known:
            if worker.retiring and not worker.leaving:
                self.lost += 1
                text = f"worker {worker.pid} ended ({describe(status)}) while it was being replaced"
                self.shared.log.entry("warning", text)
            self._release(worker.slot)
            self._balance_all()  # one that found no slot free finds one now
            self._begin_if_wanted()
        elif worker.generation is self.coming and not worker.ready:
            self._release(worker.slot)
            self._give_up(_why_not_started(worker, status))
        else:
            self._replace(worker, status)

    def preloader_ended(self, preloader: Preloader, status: int) -> None:
        """Deal with the end of a preloader. Its workers go on; without it, no worker can be replaced."""
        preloader.orders.close()
        generation = preloader.generation
        generation.preloader = None
        if preloader.leaving or generation not in (self.serving, self.coming):
            return
        lived_s = self._clock() - preloader.born
        delay = generation.preloader_backoff.delay_after(lived_s)
        generation.preloader_due = self._clock() + delay
        if preloader.loaded and preloader.failure is None:
            text = f"preloader {preloader.pid} ended ({describe(status)})"
            self.shared.log.entry("warning", f"{text}; starting another in {delay:g} s")
        else:
            self._no_preloader(generation, _why_not_started(preloader, status))

    def _no_preloader(self, generation: Generation, failure: StartupFailed) -> None:
        if generation is self.coming:
            self._give_up(failure)
            return
        delay = max(1.0, generation.preloader_due - self._clock())
        generation.preloader_due = self._clock() + delay
        text = f"the application cannot be loaded: {failure}; trying again in {delay:g} s"
        self.shared.log.entry("error", text, failure.details)

    def _give_up(self, failure: StartupFailed) -> None:
        """Abandon the coming generation; without one that serves, that is the end of the server."""
        failed = self.coming
        assert failed is not None
        self._abandon(failed)
        stand_in = self._overseer.failed(failed, failure)
        if self.serving:
            self.refuse(failed.number, str(failure))
            kept = f"generation {failed.number} cannot start; generation {self.serving.number} keeps serving"
            if self.serving.stands_in:
                kept = _CANNOT_START
            self.shared.log.entry("error", f"{kept}: {failure}", failure.details)
            self._begin_if_wanted()
        elif stand_in is None:
            self.failure = failure
        else:
            details = f"{failure.details.rstrip()}\n{failure.hint or ''}".strip("\n")
            self.shared.log.entry("error", f"{_CANNOT_START}: {failure}", details)
            if self._reload_wanted:
                self._begin_if_wanted()
            else:
                self.begin(stand_in)

    def _abandon(self, generation: Generation) -> None:
        self.coming = None
        if self.serving:
            self._overseer.listens(self.shared)
        self._dismiss(generation, quick=self.serving is None)

    def _replace(self, worker: WorkerProcess, status: int) -> None:
        self.lost += 1
        now = self._clock()
        delay = self.vacancies.add(worker.slot, worker.generation, now - worker.born, now)
        again = f"starting another in {delay:g} s" if delay else "starting another"
        if worker.ready:
            self.shared.log.entry("warning", f"worker {worker.pid} ended ({describe(status)}); {again}")
        else:
            failure = _why_not_started(worker, status)
            text = f"worker {worker.pid} cannot start: {failure}; {again}"
            self.shared.log.entry("error", text, failure.details)

    def _release(self, slot: int) -> None:
        self.vacancies.forget(slot)
        self._slots.release(slot)

    def stop(self) -> None:
        """Start nothing any more. Children are the arbiter's to stop."""
        self._reload_wanted = False
        self.serving = self.coming = None
        for vacancy in self.vacancies.all():
            self._release(vacancy.slot)


def _no_room(error: OSError) -> StartupFailed:
    return StartupFailed(
        f"cannot start a worker: {error.strerror or error}",
        "the system has no process or descriptor left for it (ulimit -u, -n).",
    )


def _why_not_started(child: Child, status: int) -> StartupFailed:
    said = child.failure
    if said is not None:
        return StartupFailed(said.text, said.hint, details=said.details)
    return StartupFailed(
        f"{child.title} ended before it was ready ({describe(status)})",
        "its application ended the process, or the system did (out of memory?).",
    )
