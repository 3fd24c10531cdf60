"""The REST API of an application that declares one (Chalice), in front of its emulated function.

What it declares is asked of the application in a process of its own, with the function's environment: this
one never imports it. Its authorizers are functions of their own, as Chalice deploys them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..front.authorizers import AskedElsewhere
from ..front.door import Door
from ..front.gate import Declared, Gate
from ..front.pools import UserPools
from .environment import Log
from .function import Function, variables
from .pool import Pool, Throttled
from .sources import version

_LONGEST_S = 30.0


def declared(function: Function) -> Declared | None:
    """Return what an application declares; None for one that does not, or cannot be imported.

    Args:
        function: The function; PORTWAY_APP in its environment names the application.
    """
    environ = variables(function, "")
    del environ["AWS_LAMBDA_RUNTIME_API"]  # nothing is to be started up
    command = [sys.executable, "-m", "portway.awslambda.emulator.api"]
    try:
        done = subprocess.run(
            command,
            cwd=function.task_root,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    lines = done.stdout.splitlines()
    found: Declared | None = json.loads(lines[-1]) if done.returncode == 0 and lines else None
    return found


class Authorizers(Mapping[str, Callable[[Any, Any], Any]]):
    """Functions that are authorizers, each started when it is first asked. Any thread may ask.

    Args:
        function: The function beside which they stand.
        log: Takes Lambda's own lines of their logs.
        limit: Most environments of each.
    """

    def __init__(self, function: Function, log: Log, limit: int) -> None:
        self._function = function
        self._log = log
        self._limit = limit
        self._lock = threading.Lock()
        self._pools: dict[str, Pool] = {}

    def __getitem__(self, name: str) -> Callable[[Any, Any], Any]:
        """Return what asks the function with this handler setting."""

        def ask(event: Any, context: Any) -> Any:
            try:
                answer = self._pool(name).submit(json.dumps(event).encode()).wait()
            except Throttled as error:
                raise AskedElsewhere(f"{name}: {error}") from None
            assert answer is not None
            found = json.loads(answer.body)
            if answer.error == "Exception":
                raise Exception(found.get("errorMessage"))  # as the function raised it
            if answer.error:
                raise AskedElsewhere(f"{name}: {answer.error}: {found.get('errorMessage')}")
            return found

        return ask

    def _pool(self, name: str) -> Pool:
        with self._lock:
            if name not in self._pools:
                own = self._function
                command = tuple(name if word == own.handler else word for word in own.command)
                plain = name.rpartition(".")[2]
                function = replace(own, command=command, handler=name, name=f"{own.name}-{plain}"[:64])
                self._pools[name] = Pool(function, self._log, limit=self._limit, reload=True)
            return self._pools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pools)

    def __len__(self) -> int:
        return len(self._pools)

    def close(self) -> None:
        """End all environments."""
        for pool in self._pools.values():
            pool.close()


class API:
    """The gate of an application's own REST API, as the code now declares it. Any thread may ask.

    Args:
        first: What it declared when it was asked first.
        function: The function.
        door: The REST API.
        authorizers: Its authorizers.
        api_keys: The keys that routes with `api_key_required` take.
        user_pools: What verifies the tokens of user pools.
        log: Takes the lines about routes that refuse everybody.
    """

    def __init__(
        self,
        first: Declared,
        function: Function,
        door: Door,
        authorizers: Authorizers,
        api_keys: Sequence[str],
        user_pools: UserPools,
        log: Log,
    ) -> None:
        self._function = function
        self._door = door
        self._authorizers = authorizers
        self._api_keys = api_keys
        self._user_pools = user_pools
        self._log = log
        self._lock = threading.Lock()
        self._version = version(function.task_root)
        self._gate = self._with(first)

    def gate(self) -> Gate:
        """Return the gate; the last one while changed code declares nothing, as with an error in it."""
        with self._lock:
            found = version(self._function.task_root)
            if found != self._version:
                self._version = found
                changed = declared(self._function)
                if changed is not None:
                    self._gate = self._with(changed)
            return self._gate

    def _with(self, found: Declared) -> Gate:
        gate = Gate(found, self._door, self._authorizers, self._api_keys, self._user_pools)
        for line in gate.unreachable():
            self._log(f"rest: {line}")
        return gate


def main() -> None:
    """Print what the application that PORTWAY_APP names declares, as the last line of the output."""
    from ..front import chalice
    from ..loading import load

    sys.path.insert(0, os.getcwd())
    app = load(os.environ["PORTWAY_APP"])
    found = chalice.declared(app) if chalice.is_chalice(app) else None
    sys.stdout.write(f"\n{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
