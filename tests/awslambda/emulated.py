"""Emulated functions for tests: real processes behind a real Runtime API."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portway.awslambda.emulator.function import Function
from portway.awslambda.emulator.invocation import Answer, Invocation
from portway.awslambda.emulator.pool import Pool

WAIT_S = 20.0

FN = """
import fcntl, os, signal, sys, threading, time

def passes(gate):
    with open(gate) as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as soon as the test opens it

def handler(event, context):
    what = event.get("do")
    if what == "raise": raise ValueError("bad")
    if what == "exit": os._exit(event["code"])
    if what == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang": threading.Event().wait()
    if what == "large": return "x" * 7_000_000
    if what == "eat":
        eaten = [b"y" * 1_000_000 for _ in range(400)]
        threading.Event().wait()
    if what == "fork":
        if os.fork() == 0: threading.Event().wait()
    if what == "both":  # parent and child come back
        os.fork()
        return {"pid": os.getpid(), "event": event}
    if what == "stream":
        return pieces()
    if what == "wait":
        open(event["here"], "w").close()
        passes(event["until"])
    if what == "beat":
        def beat():
            while True:
                with open("beats", "a") as file: file.write(".")
                time.sleep(0.002)
        threading.Thread(target=beat, daemon=True).start()
    if what == "environ": return dict(os.environ)
    if what == "context":
        return {"arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis(),
                "memory": context.memory_limit_in_mb, "client": context.client_context.custom}
    return {"pid": os.getpid(), "event": event}

def pieces():
    yield b"one"
    os.fork()
    yield b"two"
"""


class Emulated(Pool):
    """A pool that keeps its log and knows how to ask."""

    def __init__(self, function: Function, **options: Any) -> None:
        self.lines: list[str] = []
        super().__init__(function, self.lines.append, **options)

    def ask(self, event: Any, **options: Any) -> Answer:
        """Return the answer to an event, after its environment is free or gone."""
        return self.done(self.submit(json.dumps(event).encode(), **options))

    def ask_until_in_time(self, event: Any) -> Answer:
        """Return the first answer that is no timeout: a machine that stands still takes a short time away."""
        while (answer := self.ask(event)).error == "Sandbox.Timedout":
            pass
        return answer

    def done(self, invocation: Invocation) -> Answer:
        """Return the answer to an invocation, after its environment is free or gone."""
        answer = invocation.wait(WAIT_S)
        assert answer is not None
        assert invocation.finished.wait(WAIT_S)
        return answer

    @property
    def log(self) -> str:
        """Lambda's own lines."""
        return "\n".join(self.lines)


def body(answer: Answer) -> Any:
    """Return an answer's JSON, after checking that it is no error."""
    assert not answer.error, answer
    return json.loads(answer.body)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another process brings about."""
    deadline = time.monotonic() + WAIT_S
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        tick.wait(0.005)


def state(pid: int) -> str:
    """Return the states of a process's threads, each once: "S" all of them sleep, "T" all stand still."""
    try:
        stats = [thread.read_text() for thread in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):  # one has ended meanwhile
        return ""
    return "".join(sorted({stat.rpartition(")")[2].split()[0] for stat in stats}))
