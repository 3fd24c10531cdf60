"""The arbiter: opens what is shared, keeps the workers, obeys signals. It never imports the application.

One thread, one selector. Signals, messages from workers and connections left behind by dead ones are
all descriptors; everything else is a deadline. Signals as gunicorn has them:

    TERM        stop gracefully; once more (or INT): quickly; once more: now
    INT, QUIT   stop quickly; once more: now
    HUP         reload: a new generation beside the old one, which drains when the new one is ready
    TTIN, TTOU  one worker more, one less
    USR1        open the log files again
    USR2        upgrade: start the same command line again, on the same sockets
    WINCH       stop the workers gracefully, keep the sockets; ignored at a terminal, whose window it is about
"""

from __future__ import annotations

import gc
import math
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from portway.errors import PortwayError, StartupFailed
from portway.server.assignment import Shared
from portway.server.children import Child, Generation, Preloader, Warm, WorkerProcess
from portway.server.generations import Generations
from portway.server.invocation import Configuration, Invocation
from portway.server.logs import describe_exception
from portway.server.messages import Changed, Failed, Imported, Preloaded, Ready, Stacks, Stuck, Unfit
from portway.server.monitor import Monitor
from portway.server.neighbour import Neighbour
from portway.server.notify import Notifier
from portway.server.opening import Opened, open_shared
from portway.server.preloading import become_subreaper, run_preloader
from portway.server.processors import bounds
from portway.server.recycling import limits_for, recycles, why_recycle
from portway.server.renewal import renew
from portway.server.rescue import Rescue
from portway.server.sharing import developer_of, hooks_of, import_what_is_asked_for
from portway.server.signals import SignalPipe, describe, has_terminal
from portway.server.upgrade import inherit, start_again
from portway.server.worker import run_worker
from portway.server.workers import Workers

BEAT_OLD_NS = 10 * 10**9
"""A worker whose engine has not beaten for this long does not count as sound."""

if TYPE_CHECKING:
    from portway.server.developing.developer import Developer
    from portway.server.listeners import Listener
    from portway.server.scaling import Scaling

TICK_S = 5.0
"""How often heartbeats are looked at. A tick costs some microseconds."""

LOOK_S = 1.0
"""How often what is to be recycled is looked for, and whether the old arbiter of an upgrade is gone."""


class Stopping(IntEnum):
    """How far a stop has gone; it only grows."""

    NO = 0
    GRACEFUL = 1
    QUICK = 2
    NOW = 3


_HOW = {Stopping.GRACEFUL: "gracefully", Stopping.QUICK: "quickly", Stopping.NOW: "now"}


class Arbiter:
    """The process that keeps the workers. A context manager: leaving it closes and removes what it opened.

    Made and used by the main thread of the process, which must have no other thread, since it forks.

    Args:
        told: The configuration.
        invocation: How the server was started; without it the configuration is never read again.
        clock: Monotonic seconds.
        found: See `portway.server.worker.load_application`.

    Raises:
        PortwayError: On entry, when an address, the pid file, a log or the user cannot be had.
    """

    def __init__(
        self,
        told: Configuration,
        invocation: Invocation | None = None,
        clock: Callable[[], float] = time.monotonic,
        found: object = None,
    ) -> None:
        self._configuration = told
        self._found = found
        self._invocation = invocation
        self._clock = clock
        self._pid = os.getpid()
        self._stopping = Stopping.NO
        self._announced = False
        self._inherited = inherit(os.environ)
        self._successor = 0
        self._next_look = 0.0
        self._scaling: Scaling | None = None

    def __enter__(self) -> Self:
        self._notifier = Notifier(os.environ, self._pid, self._clock)
        self._opened: Opened = open_shared(self._configuration, self._inherited)
        self._signals = SignalPipe()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._signals.fileno(), selectors.EVENT_READ, self._on_signals)
        shared = self._opened.shared
        self._developer = developer_of(self._invocation)
        if self._developer is not None:
            shared = self._developer.hand_out(shared)
        self._rescue = rescue = Rescue(shared.slots, self._selector, self._clock)
        self._neighbour = Neighbour(shared.slots, rescue, shared.listeners)
        preload = partial(run_preloader, serve=run_worker)
        work = partial(run_worker, found=self._found)
        self._workers = Workers(self._clock, self._close_in_child, work, preload)
        self._generations = Generations(shared, self._workers, rescue, self._clock, self)
        self._monitor = Monitor(
            self._opened.inspection,
            self._selector,
            self._workers,
            self._generations,
            self._told_to_stop,
            self._clock,
        )
        try:
            self._hooks = hooks_of(shared)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() != self._pid:
            return  # a forked child on its way out
        for child in self._workers.children():  # only after an unexpected error of the arbiter itself
            self._workers.kill(child)
        self._close()

    def _close(self) -> None:
        self._monitor.close()
        self._signals.close()
        self._selector.close()
        self._opened.close()
        self._notifier.close()

    def _close_in_child(self, keeps: Sequence[Listener]) -> None:
        self._signals.close(in_child=True)
        self._selector.close()
        self._notifier.close()
        self._monitor.close_in_child()
        self._opened.forget(keeps)

    @property
    def _shared(self) -> Shared:
        """What the generation that serves was handed: its settings and logs are the arbiter's own."""
        return self._generations.shared

    @property
    def _has_twin(self) -> bool:
        """Whether another arbiter is on the same sockets, in an upgrade: a file goes with the last one."""
        return bool(self._successor) or self._inherited.parent_lives

    def run(self) -> None:
        """Serve until told to stop.

        Raises:
            StartupFailed: The first generation of workers could not start.
            BecomeChild: In each forked child.
        """
        if self._configuration.settings.process.preload or (self._developer and sys.platform == "linux"):
            become_subreaper()
        self._call("on_starting")
        gc.freeze()  # a worker's collections would else write to, and so copy, every page it shares
        gc.enable()  # the command line has done without
        self._look_closer()
        if self._inherited.parent:
            self._shared.log.entry("info", f"upgrade: beside the arbiter {self._inherited.parent}")
            if self._inherited.neighbour:
                self._neighbour.meet()
        self._generations.begin()
        self._watch_files()
        while True:
            if self._generations.failure and not self._stopping:
                self._stop(Stopping.QUICK)
            if self._stopping and not self._workers:
                break
            for key, _ in self._selector.select(self._patience()):
                # Handling one may have closed another of the same batch: a reaped worker's channel.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            self._generations.fill_vacancies()
            if self._workers.look_after():
                self._next_look = self._clock()
            self._rescue.look_after()
            self._tell_neighbour()
            self._look()
            self._tell_manager()
            self._monitor.look_after(stopping=bool(self._stopping))
            if self._shared.encryption:
                self._shared.encryption.credentials.look()
        self._call("on_exit")
        self._conclude()

    def _conclude(self) -> None:
        failure = self._generations.failure
        if failure is None:
            self._shared.log.entry("info", "stopped")
            return
        if self._shared.log.path is not None:  # the terminal gets it anyway, from whoever called
            self._shared.log.entry("error", str(failure), failure.details)
        raise failure

    def _patience(self) -> float:
        deadline = min(
            self._workers.next_deadline(),
            self._generations.next_due(),
            self._rescue.next_due(),
            self._next_look,
            self._notifier.next_due(),
            math.inf if self._stopping else self._monitor.next_deadline(),
        )
        return min(TICK_S, max(0.0, deadline - self._clock()))

    def _tell_neighbour(self) -> None:
        self._neighbour.look_after(able=not self._stopping and self._shared.slots.any_ready())

    def _tell_manager(self) -> None:
        """Let systemd know how things are."""
        serving = self._generations.serving
        count = sum(worker.ready is not None for worker in self._workers.staying(serving)) if serving else 0
        workers = f"{count} {'worker' if count == 1 else 'workers'} ready"
        if self._stopping:
            self._notifier.tell("stopping", f"stopping {_HOW[self._stopping]}")
        elif not self._announced or serving is None:
            self._notifier.tell("starting", "starting the first workers")
        elif self._generations.reloading:
            self._notifier.tell("reloading", f"reloading, {workers}")
        else:
            self._notifier.tell("ready", f"{workers}, generation {serving.number}")
        self._notifier.beat(serving is None or self._sound(serving))

    def _sound(self, serving: Generation) -> bool:
        """Whether a worker answers requests, one that is ready and whose engine runs; or none is wanted."""
        now, slots = time.monotonic_ns(), self._shared.slots
        workers = self._workers.staying(serving)
        return not serving.target or any(
            worker.ready and now - slots[worker.slot].beat_ns < BEAT_OLD_NS for worker in workers
        )

    def _look_closer(self) -> None:
        """Look often only when there is something to look at."""
        settings = self._shared.settings
        minimum, maximum = bounds(settings.process.workers)
        if minimum == maximum:
            self._scaling = None
        elif self._scaling is None or self._scaling.bounds != (minimum, maximum):
            from portway.server.scaling import Scaling  # late: a fixed number of workers does without

            self._scaling = Scaling(minimum, maximum, self._generations, self._workers)
        watches = recycles(settings) or self._scaling or self._successor or self._inherited.parent
        self._next_look = self._clock() if watches else math.inf

    def _look(self) -> None:
        now = self._clock()
        if now < self._next_look or self._stopping:
            return
        self._next_look = now + (self._scaling.sample_s if self._scaling else LOOK_S)
        if self._inherited.parent and not self._inherited.parent_lives:
            parent, self._inherited.parent = self._inherited.parent, 0
            self._neighbour.lose()
            self._opened.take_over(self._inherited.descriptors)
            self._shared.log.entry("info", f"upgrade: the arbiter {parent} is gone")
            self._look_closer()
        if self._scaling:
            self._scaling.look(now)
        for worker in self._workers.staying(self._generations.serving):
            why = why_recycle(worker, now)
            if why and self._generations.recycle(worker, why):
                break

    # -- what generations ask for and tell ---------------------------------------------------------------

    def renew(self, shared: Shared) -> Shared | None:
        """Read the configuration again; None when it is refused, and the present one stays."""
        try:
            now = Configuration(shared.settings, shared.site, shared.environment)
            if self._invocation:
                now = self._invocation.read()
            settings = now.settings
            if settings.process.preload:
                become_subreaper()
            renewed = renew(shared, now)
            if self._developer is not None:
                renewed = self._developer.hand_out(renewed)
            import_what_is_asked_for(settings)
            renewed = self._opened.listening.renew(shared, renewed)
            self._hooks = hooks_of(renewed)
            self._call("on_reload")
            return renewed
        except PortwayError as error:
            self._refuse(str(error), error.details)
        except Exception as error:  # never the end of what serves
            self._refuse(f"{type(error).__name__}: {error}", describe_exception(error))
        return None

    def _refuse(self, why: str, details: str) -> None:
        if self._developer is not None:
            self._developer.refused(why, details)
        self.listens(self._shared)
        self._generations.refuse(self._generations.last + 1, why)
        text = f"reload: refused, the present configuration stays: {why}"
        self._shared.log.entry("error", text, details)

    def listens(self, shared: Shared) -> None:
        """Close the listeners that only others have."""
        self._opened.listening.settle(shared, with_another=self._has_twin)
        self._neighbour.listens(shared.listeners)
        self._tell_neighbour()

    def forking(self, generation: Generation, slot: int) -> None:
        """Call pre_fork."""
        if self._developer is not None:
            self._developer.forking(generation)
        if self._hooks is not None:
            self._hooks.call_about("pre_fork", 0, slot, generation.number)

    def spawned(self, child: Child) -> None:
        """Listen to a new child."""
        self._selector.register(child.channel, selectors.EVENT_READ, lambda: self._hear(child))

    def failed(self, generation: Generation, failure: StartupFailed) -> Shared | None:
        """Have a browser shown why, in development."""
        return self._developer.failed(generation, failure) if self._developer is not None else None

    def settled(self, generation: Generation, message: Ready) -> None:
        """Say that a generation serves."""
        if self._developer is not None:
            self._developer.settled(generation)
            self._keep_warm(self._developer, generation)
        if not self._announced:
            self._announced = True
            self._call("when_ready")
        count = len(self._workers.staying(generation))
        self._shared.log.entry(
            "info",
            f"serving {message.interface} application {self._shared.settings.app.app} with "
            f"{count} {'worker' if count == 1 else 'workers'} {message.workings}, pid {self._pid}",
        )
        self._look_closer()

    def _keep_warm(self, developer: Developer, generation: Generation) -> None:
        if sys.platform != "linux":
            return
        try:
            warm = developer.keep_warm(generation, self._workers)
        except OSError as error:
            self._shared.log.entry("debug", f"cannot import ahead: {error.strerror}")
            return
        if warm is not None:
            self.spawned(warm)

    def rescaled(self, wanted: int, before: int) -> None:
        """Call nworkers_changed."""
        self._call("nworkers_changed", wanted, before)

    def _call(self, event: str, *arguments: object) -> None:
        if self._hooks is not None:
            self._hooks.call(event, *arguments)

    # -- children ----------------------------------------------------------------------------------------

    def _hear(self, child: Child) -> None:
        """Take in what a child says. Its end of file says nothing: the signal of its death follows."""
        for message in child.channel.receive():
            match message:
                case Failed():
                    child.failure = child.failure or message
                case Ready() if isinstance(child, WorkerProcess) and not child.leaving:
                    child.limits = limits_for(child.generation.shared.settings, self._clock())
                    self._generations.is_ready(child, message)
                case Stuck() if isinstance(child, WorkerProcess):
                    child.stuck = message.request
                    self._next_look = self._clock()
                case Preloaded() if isinstance(child, Warm):
                    child.loaded = True
                    self._shared.log.entry("debug", f"{child.title} has imported ahead")
                case Imported(steps) if self._developer is not None:
                    self._developer.imported(steps)
                case Unfit(why) if isinstance(child, WorkerProcess):
                    self._start_cold(child, why)
                case Preloaded() if isinstance(child, Preloader) and not child.leaving:
                    self._generations.is_loaded(child)
                case Stacks():
                    self._monitor.pass_on(message)
                case Changed() if not self._stopping:
                    self._shared.log.entry("info", f"reload: {message.files} changed")
                    if self._developer is not None and self._developer.may_restart():
                        self._generations.restart()
                    else:
                        self._generations.reload()
        if child.channel.closed_by_peer:
            self._deafen(child)

    def _start_cold(self, worker: WorkerProcess, why: str) -> None:
        """Begin a generation again whose application does not fit what was imported ahead of it."""
        self._shared.log.entry("debug", f"nothing can be imported ahead this time: {why}")
        warm = worker.generation.warm
        if warm is not None:
            self._workers.stop(warm, quick=True)
        if worker.generation is self._generations.coming:
            self._generations.restart()

    def _deafen(self, child: Child) -> None:
        if child.channel.fileno() in self._selector.get_map():
            self._selector.unregister(child.channel)

    def _on_signals(self) -> None:
        for number in self._signals.received():
            match number:
                case signal.SIGCHLD:
                    self._reap()
                case signal.SIGTERM:
                    self._stop(Stopping.GRACEFUL)
                case signal.SIGINT | signal.SIGQUIT:
                    self._stop(Stopping.QUICK)
                case signal.SIGUSR1:
                    self._reopen_logs()
                case _ if not self._stopping:
                    self._change(number)

    def _change(self, number: int) -> None:
        match number:
            case signal.SIGHUP:
                # Whatever becomes of it: systemd waits until it hears that a reload began and ended.
                self._notifier.tell("reloading", "reloading")
                self._generations.reload()
            case signal.SIGTTIN:
                self._generations.resize(+1)
            case signal.SIGTTOU:
                self._generations.resize(-1)
            case signal.SIGUSR2:
                self.upgrade()
            case signal.SIGWINCH:
                self._rest()

    # -- commands ----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the configuration again and start a new generation, as SIGHUP does."""
        if not self._stopping:
            self._generations.reload()

    def scale(self, wanted: int) -> bool:
        """Have so many workers; returns whether that is possible. If not, the log says why."""
        return not self._stopping and self._generations.scale(wanted)

    def stop(self, quick: bool = False) -> None:
        """Stop, as SIGTERM does, or as SIGINT does; each further call goes one level further."""
        self._stop(Stopping.QUICK if quick else Stopping.GRACEFUL)

    def upgrade(self) -> None:
        """Start the same command line again, on the same sockets. Both serve until one is told to stop."""
        log = self._shared.log
        if self._has_twin:
            other = self._successor or self._inherited.parent
            log.entry("warning", f"upgrade: one is under way already, with the arbiter {other}")
        elif self._invocation is None:
            log.entry("warning", "upgrade: it is not known how this server was started")
        else:
            try:
                self._neighbour.meet()
                self._successor = start_again(
                    self._invocation,
                    self._shared,
                    self._shared.slots.neighbour_ends(),
                    self._become_successor,
                )
            except OSError as error:
                self._neighbour.lose()
                log.entry("error", f"upgrade: cannot start another arbiter: {error.strerror}")
                return
            log.entry("info", f"upgrade: started the arbiter {self._successor} on the same sockets")

    def _become_successor(self) -> None:
        self._signals.close()
        self._call("pre_exec")

    def _rest(self) -> None:
        """Obey SIGWINCH, unless it is a terminal that says that its window has another size."""
        if has_terminal():
            return
        self._shared.log.entry("info", "stopping the workers; the sockets stay open until a reload or a stop")
        self._generations.rest()

    def _watch_files(self) -> None:
        if not self._shared.settings.reload.on_change or self._generations.coming is None:
            return
        from portway.server.watching import run_watcher  # late: production does without

        files = self._invocation.files if self._invocation else ()
        settings = self._shared.settings
        developing = self._developer is not None
        watch = partial(run_watcher, settings=settings, files=files, developing=developing)
        try:
            self.spawned(self._workers.spawn_watcher(self._generations.coming, watch))
        except OSError as error:
            self._shared.log.entry("error", f"cannot watch files: {error.strerror}")

    def _reap(self) -> None:
        for pid, child, status in self._workers.reap():
            if child is None:
                self._stranger_ended(pid, status)
                continue
            self._hear(child)  # its last words may have arrived after the signal
            self._deafen(child)
            child.channel.close()
            if isinstance(child, WorkerProcess):
                if self._hooks is not None:
                    self._hooks.call_about("child_exit", child.pid, child.slot, child.generation.number)
                self._generations.ended(child, status)
            elif isinstance(child, Warm):
                if self._developer is not None:
                    self._developer.warm_ended(child)
            elif isinstance(child, Preloader):
                self._generations.preloader_ended(child, status)
            elif not self._stopping:
                text = f"{child.title} ended ({describe(status)}): changed files are not noticed any more"
                self._shared.log.entry("error", text)

    def _stranger_ended(self, pid: int, status: int) -> None:
        """An orphan is of no interest; the arbiter of an upgrade is."""
        if pid == self._successor:
            self._successor = 0
            self._neighbour.lose()
            text = f"upgrade: the new arbiter {pid} ended ({describe(status)}); this one goes on"
            self._shared.log.entry("warning", text)

    def _told_to_stop(self, quick: bool) -> None:
        self._stop(Stopping.QUICK if quick else Stopping.GRACEFUL)

    def _stop(self, level: Stopping) -> None:
        """Stop at least this quickly; each further request goes one level further."""
        if not self._stopping:
            self._generations.stop()
            self._next_look = math.inf
            # Closed so that new clients are refused as soon as workers let go, too.
            self._opened.listening.close(self._has_twin)
        self._stopping = max(level, Stopping(min(self._stopping + 1, Stopping.NOW)))
        if not self._generations.failure:
            self._shared.log.entry("info", f"stopping {_HOW[self._stopping]}")
        for child in self._workers.children():
            if self._stopping == Stopping.NOW:
                self._workers.kill(child)
            else:
                self._workers.stop(child, quick=self._stopping == Stopping.QUICK)

    def _reopen_logs(self) -> None:
        # First here: the arbiter may still create files in a directory where its workers may not.
        self._shared.reopen_logs()
        for worker in self._workers.all():
            if worker.ready:
                self._workers.send(worker, signal.SIGUSR1)
