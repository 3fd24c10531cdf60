"""The control socket: what `portway ctl` and `portway top` talk to, in the monitor.

One JSON object a line, `{"command": "reload"}`, answered by one, `{"ok": true, "result": …}` or
`{"ok": false, "error": "…"}`. Only the user that the server was started by, and root, get an answer: the
socket's file says so, and so does the kernel when it is asked who called.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from typing import Any

import msgspec

from portway.engine.counters import Board
from portway.server.link import Link
from portway.server.status import status

MAX_CLIENTS = 16
STACK_PATIENCE_S = 1.5
STACKS_AT_ONCE = 4
RELOAD_PATIENCE_S = 600.0


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a client."""

    command: str
    argument: str = ""


class Refused(Exception):
    """A command that cannot be obeyed; the text is the client's."""


class Control:
    """Answers clients. Owned by the monitor's event loop.

    Args:
        board: The shared counters.
        link: The way to the arbiter.
        uid: The user who may give commands, beside root.
        patience_s: Seconds until a client's first line, and that it may take nothing. One that has asked may
            be silent: `portway top` asks again when it likes, and `portway ctl stop` waits for the end.
    """

    MAX_LINE = 4096

    def __init__(self, board: Board, link: Link, uid: int, patience_s: float = 30.0) -> None:
        self._board = board
        self._link = link
        self._uids = {0, uid}
        self._patience_s = patience_s
        self._clients = 0
        self._decoder = msgspec.json.Decoder(Request)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Deal with one client, whatever it sends."""
        self._clients += 1
        try:
            if self._clients > MAX_CLIENTS:
                await self._say(
                    writer, {"ok": False, "error": f"{MAX_CLIENTS} clients are connected already"}
                )
            elif not self._may(writer.get_extra_info("socket")):
                await self._say(writer, {"ok": False, "error": "only the server's own user may"})
            else:
                await self._answer_all(reader, writer)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # gone, silent, or a line without an end
        finally:
            self._clients -= 1
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _may(self, sock: socket.socket) -> bool:
        if not hasattr(socket, "SO_PEERCRED"):  # elsewhere than on Linux the file's mode has to do
            return True
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return uid in self._uids

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        patience_s: float | None = self._patience_s
        while True:
            line = await asyncio.wait_for(reader.readuntil(b"\n"), patience_s)
            patience_s = None
            try:
                answer = {"ok": True, "result": await self._obey(self._decoder.decode(line))}
            except (msgspec.MsgspecError, UnicodeDecodeError):
                await self._say(writer, {"ok": False, "error": "not a request"})
                return
            except Refused as refusal:
                answer = {"ok": False, "error": str(refusal)}
            except TimeoutError:
                answer = {"ok": False, "error": "the arbiter does not answer"}
            await self._say(writer, answer)

    async def _say(self, writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
        writer.write(msgspec.json.encode(answer) + b"\n")
        await asyncio.wait_for(writer.drain(), self._patience_s)

    async def _obey(self, request: Request) -> dict[str, Any]:
        match request.command:
            case "status":
                return status(self._board, self._link.state, time.time())
            case "reload":
                return await self._reload()
            case "workers":
                return {"workers": await self._ask("workers", request.argument)}
            case "stop":
                await self._ask("stop", request.argument)
                return {}
            case "log-level":
                await self._ask("log-level", request.argument)
                return {"log_level": request.argument}
            case "stacks":
                return {"workers": await self._stacks()}
            case _:
                raise Refused("there is no such command")

    async def _ask(self, name: str, argument: str = "") -> int:
        done = await self._link.ask(name, argument)
        if done.error:
            raise Refused(done.error)
        return done.value

    async def _reload(self) -> dict[str, Any]:
        """Begin a generation and tell what became of it."""
        if self._link.state.stopping:
            raise Refused("the server is stopping")
        done = await self._link.ask("reload")
        number = done.value
        async with asyncio.timeout(RELOAD_PATIENCE_S):
            while True:
                state = self._link.state
                if state.serving >= number:
                    return {"generation": state.serving}
                if state.refusals > done.refusals and state.rejected >= number:
                    kept = f"generation {number} cannot start; generation {state.serving} keeps serving"
                    raise Refused(f"{kept}: {state.why}")
                if state.stopping:
                    raise Refused("the server is stopping")
                await self._link.news()

    async def _stacks(self) -> list[dict[str, Any]]:
        turns = asyncio.Semaphore(STACKS_AT_ONCE)  # an answer is long, and the channel holds only so much

        async def one(pid: int) -> dict[str, Any]:
            async with turns:
                return {"pid": pid, "stacks": await self._link.stack(pid, STACK_PATIENCE_S)}

        return list(await asyncio.gather(*(one(w.pid) for w in self._link.state.workers if w.ready)))
