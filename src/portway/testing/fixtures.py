"""The pytest fixture `portway_server`. Not loaded by itself; in `conftest.py`:

pytest_plugins = ["portway.testing.fixtures"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest


@pytest.fixture
def portway_server() -> Iterator[Callable[..., str]]:
    """Serve applications until the test ends: `url = portway_server(app)`.

    Takes what `portway.testing.running` takes, and may be called several times.
    """
    from portway.testing import running  # late: what no test uses costs nothing

    with ExitStack() as servers:

        def serve(app: Any = None, **options: Any) -> str:
            return servers.enter_context(running(app, **options))

        yield serve
