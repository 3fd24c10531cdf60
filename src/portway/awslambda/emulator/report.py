"""The lines that Lambda writes around a function's own log."""

from __future__ import annotations

import math
import sys

from .function import Function


def init_start(function: Function) -> str:
    """Return the line of a cold start."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return f"INIT_START Runtime Version: python:{version}\tHandler: {function.handler}"


def init_timeout(seconds: float) -> str:
    """Return the line of an initialisation that took too long."""
    return f"INIT_REPORT Init Duration: {seconds * 1000:.2f} ms\tPhase: init\tStatus: timeout"


def start(request_id: str) -> str:
    """Return the line before an invocation."""
    return f"START RequestId: {request_id} Version: $LATEST"


def end(
    function: Function, request_id: str, duration_ms: float, init_ms: float, used: int, problem: str
) -> str:
    """Return the two lines after an invocation.

    Args:
        function: The function.
        request_id: The invocation.
        duration_ms: How long the function had the event.
        init_ms: How long the cold start took, 0 for a warm one.
        used: The most bytes that were resident.
        problem: "timeout", an error's type, or "".
    """
    facts = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {duration_ms:.2f} ms",
        # The cold start is billed as well.
        f"Billed Duration: {math.ceil(duration_ms + init_ms)} ms",
        f"Memory Size: {function.memory_mb} MB",
        f"Max Memory Used: {min(math.ceil(used / (1 << 20)), function.memory_mb)} MB",
    ]
    if init_ms:
        facts.append(f"Init Duration: {init_ms:.2f} ms")
    if problem == "timeout":
        facts.append("Status: timeout")
    elif problem:
        facts.append(f"Status: error\tError Type: {problem}")
    return f"END RequestId: {request_id}\n" + "\t".join(facts)
