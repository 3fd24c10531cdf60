"""SnapStart: what runs before the snapshot, and again in every copy restored from it.

Under Lambda's own runtime client the hooks go into its registry (`snapshot_restore_py`), under
Portway's they are called from here.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_before: list[Callable[[], object]] = []
_after: list[Callable[[], object]] = []


def snapping() -> bool:
    """Tell whether this process is being prepared for a snapshot."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def before_snapshot(function: Callable[[], object]) -> Callable[[], object]:
    """Register a function to run before the snapshot is taken, the last registered first. A decorator.

    Close here what must not be in the picture: sockets, temporary credentials, seeds.
    """
    if not _hand_on("register_before_snapshot", function):
        _before.append(function)
    return function


def after_restore(function: Callable[[], object]) -> Callable[[], object]:
    """Register a function to run in every restored copy, before its first event. A decorator."""
    if not _hand_on("register_after_restore", function):
        _after.append(function)
    return function


def run_before() -> None:
    """Run the hooks of the snapshot. Called by Portway's own runtime client."""
    while _before:
        _before.pop()()


def run_after() -> None:
    """Run the hooks of the restore. Called by Portway's own runtime client."""
    for function in _after:
        function()


own_runtime = False
"""Set by Portway's runtime client, which calls the hooks itself."""


def _hand_on(name: str, function: Callable[[], object]) -> bool:
    if own_runtime:
        return False
    try:
        import snapshot_restore_py  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return False
    getattr(snapshot_restore_py, name)(function)
    return True
