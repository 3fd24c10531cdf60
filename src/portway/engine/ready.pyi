"""Awaitables that are done already."""

from collections.abc import Generator
from types import TracebackType
from typing import Any, NoReturn, final

@final
class Ready:
    """What `receive()` and `send()` return when there is nothing to wait for.

    Awaiting it never suspends. It counts as a coroutine (`collections.abc.Coroutine`), so it may be handed to
    `create_task`, and it may be awaited more than once. Made by the engine alone.
    """

    def __await__(self) -> Generator[Any, None, Any]: ...
    def __iter__(self) -> Generator[Any, None, Any]: ...
    def __next__(self) -> NoReturn: ...
    def send(self, value: object, /) -> NoReturn: ...
    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> NoReturn: ...
    def close(self) -> None: ...
