"""Source of the functions that the runtime tests serve, written into their directory as `fn.py`."""

FN = """
import asyncio, json, logging, os, sys, threading, time
from decimal import Decimal

import portway.awslambda

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise RuntimeError("boom")
    if path == "/big":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * 7_000_000]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [f"{environ['REQUEST_METHOD']} {path} {environ['QUERY_STRING']}".encode()]

wsgi = portway.awslambda.handler(app)

def plain(event, context):
    what = event.get("do") if isinstance(event, dict) else None
    if what == "raise":
        raise ValueError("bad \\u00e4 thing")
    if what == "exit":
        sys.exit(3)
    if what == "context":
        return {
            "id": context.aws_request_id,
            "arn": context.invoked_function_arn,
            "name": context.function_name,
            "remaining": 0 < context.get_remaining_time_in_millis() <= 30000,
            "trace": os.environ.get("_X_AMZN_TRACE_ID"),
            "identity": context.identity.cognito_identity_id,
            "client": context.client_context and context.client_context.custom,
            "title": context.client_context and context.client_context.client.app_title,
            "tenant": context.tenant_id,
        }
    if what == "set":
        return {1, 2}
    if what == "decimal":
        return {"n": Decimal("7"), "f": Decimal("0.5")}
    if what == "bytes":
        return b"raw"
    if what == "text":
        return "\\u00e4\\U0001F600"
    if what == "log":
        logging.getLogger("mine").error("logged %s", "it", extra={"order": 7})
        try:
            1 / 0
        except ZeroDivisionError:
            logging.exception("failed")
        print("printed")
    return {"event": event}

async def awaited(event, context):
    await asyncio.sleep(0)
    return {"loop": id(asyncio.get_running_loop())}

def pieces(event, context):
    yield b"one "
    yield "two"
    if event.get("fail"):
        raise RuntimeError("half way")

class Streaming:
    def __init__(self):
        self.started = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            self.started += 1
            await send({"type": "lifespan.startup.complete"})
            await receive()
            print("lifespan is shut down", flush=True)
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"]
        if path == "/late":
            await asyncio.sleep(3600)
        if path == "/raise":
            raise RuntimeError("before the start")
        headers = [(b"content-type", b"text/event-stream"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        if path == "/length":
            headers.append((b"content-length", b"3"))
        status = {"/empty": 302, "/none": 204}.get(path, 200)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if path in ("/empty", "/none"):
            await send({"type": "http.response.body"})
            return
        if path == "/wait":
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            while not os.path.exists("go-on"):
                await asyncio.sleep(0.005)
        elif path == "/large":
            for number in range(32):
                piece = bytes([number]) * 262144
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        elif path == "/never":
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(3600)
        else:
            for number in range(3):
                piece = b"data: %d\\n\\n" % number
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        if path == "/broken":
            raise RuntimeError("half way")
        await send({"type": "http.response.body", "body": str(self.started).encode()})
        if path == "/after":
            with open("after", "w") as file:
                file.write("done")

asgi = Streaming()

def streaming_wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/list":
        return [b"a", b"bc"]
    def body():
        yield b"one"
        yield b""
        if environ["PATH_INFO"] == "/broken":
            raise RuntimeError("half way")
        yield b"two"
    return body()

def stuck(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        import hashlib
        hashlib.pbkdf2_hmac("sha256", b"", b"", 3_000_000)  # seconds in C, where no signal is looked at
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]

@portway.awslambda.before_snapshot
def before():
    with open("hooks", "a") as file:
        file.write("before ")

@portway.awslambda.after_restore
def after():
    with open("hooks", "a") as file:
        file.write("after ")

def pid(event, context):
    with open(f"in-{event['n']}", "w"):
        pass
    until = time.monotonic() + 15
    while time.monotonic() < until and not os.path.exists("all-in"):
        time.sleep(0.005)
    return {"pid": os.getpid(), "request": context.aws_request_id}
"""
