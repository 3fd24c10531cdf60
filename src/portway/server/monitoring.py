"""The monitor's side: one event loop that answers the admin listener and the control socket.

The admin listener is served by the same engine as any application, so hostile input meets the same
parser, limits and deadlines. The process ends when the arbiter does.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from portway.config import Settings
from portway.config.settings import HTTP, App, Limits, Log, Timeouts
from portway.engine.asgi import ASGIEngine
from portway.errors import EXIT_UNEXPECTED, PortwayError
from portway.server.admin import Admin
from portway.server.admin_hosts import AdminHosts
from portway.server.control import Control
from portway.server.inspection import MonitorAssignment
from portway.server.link import Link
from portway.server.logs import describe_exception
from portway.server.reporter import Reporter
from portway.server.signals import HANDLED, ignore

# An operator's browser and a metrics collector need little.
SETTINGS = Settings(
    app=App(app="portway"),
    limits=Limits(request_body=1024, connections=100, request_head=16 * 1024),
    timeouts=Timeouts(header=5.0, body=5.0, write=10.0, keep_alive=15.0),
    http=HTTP(),
    log=Log(slow_request=0.0),
)


def run_monitor(assignment: MonitorAssignment) -> int:
    """Answer operators until the arbiter is gone; return the exit code."""
    try:
        for number in HANDLED:  # it stops with the arbiter, and not before: who watches must see the end
            signal.signal(number, ignore)
        assignment.shared.slots.close()
        asyncio.run(_answer(assignment))
        return 0
    except PortwayError as error:
        assignment.shared.log.entry("error", f"the monitor cannot work: {error}")
    except Exception as error:
        assignment.shared.log.entry("error", "the monitor broke down", describe_exception(error))
    return EXIT_UNEXPECTED


async def _answer(assignment: MonitorAssignment) -> None:
    link = Link(assignment.channel)
    link.listen()
    board = assignment.shared.slots.board
    inspect = assignment.shared.settings.inspect
    hosts = AdminHosts(inspect.admin, inspect.admin_host) if inspect.admin else None
    admin = Admin(board, link, assignment.shared.log, hosts)
    control = Control(board, link, assignment.arbiter_uid)
    if assignment.shared.identity is not None:
        # Nothing from outside was looked at yet. What is in files has been read: the user may not be able to.
        with suppress(ImportError):
            import portway.server.metrics  # noqa: F401
        assignment.shared.identity.drop()
    async with _admin(assignment, admin), _control(assignment, control):
        await link.lost.wait()


@asynccontextmanager
async def _admin(assignment: MonitorAssignment, admin: Admin) -> AsyncIterator[None]:
    if not assignment.inspection.admin:
        yield
        return
    engine = ASGIEngine(
        admin.answer, SETTINGS, loop=asyncio.get_running_loop(), report=Reporter(assignment.shared.log)
    )
    for listener in assignment.inspection.admin:
        engine.add_listener(listener.sock)
    engine.start()
    yield
    engine.stop()
    await engine.wait_closed()


@asynccontextmanager
async def _control(assignment: MonitorAssignment, control: Control) -> AsyncIterator[None]:
    if assignment.inspection.control is None:
        yield
        return
    server = await asyncio.start_unix_server(
        control.converse, sock=assignment.inspection.control.sock, limit=control.MAX_LINE
    )
    yield
    server.close()
