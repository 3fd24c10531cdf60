"""The processes of one environment: the runtime and the external extensions, from first to last.

Every method but `launch` is called under the environment's lock; those that wait give it up meanwhile.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

from . import memory
from .extensions import Extension, Extensions
from .function import Function, extension_variables, variables
from .process import Process, ending

_TERM_S = {True: 0.5, False: 0.3}
"""What Lambda allows a runtime between SIGTERM and SIGKILL, with and without an internal extension."""
_SHUTDOWN_S = 2.0
"""What it allows runtime and external extensions together."""

OnFailure = Callable[[str, str], None]


class Sandbox:
    """An environment's processes.

    Args:
        function: What runs.
        extensions: Those of the environment; external ones are added.
        changed: The environment's lock and condition.
        on_failure: Called with an error's type and message, under the lock, when a process could not be
            started or has ended.

    Attributes:
        runtime: The runtime's process, once it is started.
        peak: The most bytes that were resident.
    """

    def __init__(
        self, function: Function, extensions: Extensions, changed: threading.Condition, on_failure: OnFailure
    ) -> None:
        self._function = function
        self._extensions = extensions
        self._changed = changed
        self._on_failure = on_failure
        self._frozen = False
        self.runtime: Process | None = None
        self.peak = 0

    @property
    def gone(self) -> bool:
        """Whether the runtime has ended."""
        return self.runtime is not None and self.runtime.status is not None

    def launch(self, runtime_api: str, unwanted: Callable[[], bool]) -> None:
        """Start the extensions, and the runtime once they have registered.

        Args:
            runtime_api: "host:port" of the Runtime API.
            unwanted: Whether the environment is to end already.
        """
        environ = variables(self._function, runtime_api)
        for path in self._function.extension_files():
            with self._changed:
                try:
                    process = Process((str(path),), path.parent, extension_variables(environ))
                except OSError as error:
                    self._fail(Extension(path.name, None), "Extension.LaunchError", f"with error: {error}")
                    return
                self._extensions.launched(path.name, process)
            self._tend(process)
        with self._changed:
            self._changed.wait_for(lambda: self._extensions.registered or unwanted())
            if unwanted():
                return
            try:
                runtime = Process(self._function.command, self._function.task_root, environ)
            except OSError as error:
                self._on_failure("Runtime.InvalidEntrypoint", f"Error: {error}")
                return
            self.runtime = runtime
        self._tend(runtime)

    def resident(self) -> int:
        """Return the resident bytes of all processes, and note their peak."""
        found = [process.pid for process in self._processes() if process.status is None]
        resident = sum(memory.resident(pid) for pid in found)
        self.peak = max(self.peak, resident, *(memory.peak(pid) for pid in found))
        return resident

    def freeze(self) -> None:
        """Stop everything where it stands."""
        self._frozen = True
        for process in self._processes():
            process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let everything go on."""
        if self._frozen:
            self._frozen = False
            for process in self._processes():
                process.signal(signal.SIGCONT)

    def end(self, reason: str, between: Callable[[], None]) -> None:
        """End all processes, and return when they have ended.

        With an extension registered, SIGTERM comes first when nothing has failed, and external ones get
        their SHUTDOWN event after the runtime's end.

        Args:
            reason: SPINDOWN, TIMEOUT or FAILURE.
            between: Called when the runtime has ended.
        """
        grace_s = self._function.grace_s
        deadline = time.monotonic() + _SHUTDOWN_S + grace_s
        runtime = self.runtime
        if runtime is not None:
            if reason == "SPINDOWN" and len(self._extensions):
                self.thaw()
                runtime.settle()
                runtime.signal(signal.SIGTERM)
                internal = len(self._extensions) > len(self._extensions.processes)
                self._changed.wait_for(lambda: self.gone, _TERM_S[internal] + grace_s)
            runtime.signal(signal.SIGKILL)
            self._changed.wait_for(lambda: self.gone)
        between()
        self._end_extensions(reason, max(0.0, deadline - time.monotonic()))

    def _end_extensions(self, reason: str, seconds: float) -> None:
        processes = self._extensions.processes
        self.thaw()
        for process in self._extensions.shut_down(reason, int((time.time() + seconds) * 1000)):
            process.signal(signal.SIGKILL)
        self._changed.notify_all()
        self._changed.wait_for(lambda: all(one.status is not None for one in processes), seconds)
        for process in processes:
            process.signal(signal.SIGKILL)
        self._changed.wait_for(lambda: all(one.status is not None for one in processes))

    def _processes(self) -> list[Process]:
        return self._extensions.processes + ([] if self.runtime is None else [self.runtime])

    def _tend(self, process: Process) -> None:
        threading.Thread(target=self._await, args=(process,), daemon=True, name="portway-wait").start()

    def _await(self, process: Process) -> None:
        """Wait for a process to end: the environment does not go on without it."""
        process.wait()
        with self._changed:
            process.reap()
            how = ending(process.status or 0)
            extension = next((one for one in self._extensions if one.process is process), None)
            if extension is not None:
                self._fail(extension, "Extension.Crash", how)
            else:
                self._on_failure("Runtime.ExitError", f"Error: Runtime exited {how}")
            self._changed.notify_all()

    def _fail(self, extension: Extension, kind: str, how: str) -> None:
        self._on_failure(kind, f"Error: extension {extension.name} exited {how}")
