"""The lifespan protocol with nothing to do, for the bare ASGI applications."""


async def lifespan(receive, send):  # type: ignore[no-untyped-def]
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
