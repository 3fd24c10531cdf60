"""Source of the functions that the runtime tests serve, written into their directory as `fn.py`."""

FN = """
import asyncio, fcntl, json, logging, os, sys, threading, time
from decimal import Decimal

import portway.awslambda

def passes(gate):
    with open(gate) as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as soon as the test opens it

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
            await asyncio.Event().wait()
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
            passes("go-on")
        elif path == "/large":
            for number in range(32):
                piece = bytes([number]) * 262144
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        elif path == "/never":
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.Event().wait()
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
        hashlib.pbkdf2_hmac("sha256", b"", b"", 30_000_000)  # many seconds in C, where no signal is looked at
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
    passes("all-in")
    return {"pid": os.getpid(), "request": context.aws_request_id}
"""

INTERNAL = """
import http.client, json, os, signal, sys, threading

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
ROOT = "/2020-01-01/extension/"

def call(method, path, body=None, **fields):
    connection = http.client.HTTPConnection(API)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in fields.items()})
    response = connection.getresponse()
    return response, json.loads(response.read() or b"null")

def register(name, events):
    return call("POST", ROOT + "register", json.dumps({"events": events}), Lambda_Extension_Name=name)

def refused(call):
    response, text = call
    return [response.status, (text or {}).get("errorType")]

seen = []
response, about = register("inside", ["INVOKE"])
me = response.getheader("Lambda-Extension-Identifier")
seen += [about["handler"], refused(register("inside", [])), refused(register("other", ["SHUTDOWN"]))]
seen += [refused(register("", [])), refused(register("other", "INVOKE"))]
seen += [refused(call("POST", ROOT + "register", "nonsense", Lambda_Extension_Name="other"))]
for identifier in ("", "me", "00000000-0000-0000-0000-000000000000"):
    seen.append(refused(call("GET", ROOT + "event/next", Lambda_Extension_Identifier=identifier)))
seen.append(refused(call("POST", ROOT + "exit/error", "{}", Lambda_Extension_Identifier=me)))
seen.append(refused(call("PUT", "/2022-07-01/telemetry", "{}", Lambda_Extension_Identifier=me)))
for number in range(9):
    # Those that have no events wait at once, for ever.
    response, _ = register(f"idle-{number}", [])
    fields = {"Lambda_Extension_Identifier": response.getheader("Lambda-Extension-Identifier")}
    threading.Thread(target=call, args=("GET", ROOT + "event/next"), kwargs=fields, daemon=True).start()
seen.append(refused(register("eleventh", [])))
invoked = []

def listen():
    while True:
        _, event = call("GET", ROOT + "event/next", Lambda_Extension_Identifier=me)
        invoked.append(event)

threading.Thread(target=listen, daemon=True).start()

def handler(event, context):
    if event == "late": return refused(register("twelfth", []))
    if event == "invoked": return [one["requestId"] for one in invoked], context.aws_request_id
    return seen
"""
"""An internal extension that does much wrong, and tells what it was answered."""

REFUSED = [
    [403, "Extension.InvalidExtensionState"],
    [403, "Extension.InvalidEventType"],
    [403, "Extension.InvalidExtensionName"],
    [403, "InvalidRequestFormat"],
    [403, "InvalidRequestFormat"],
    [403, "Extension.MissingExtensionIdentifier"],
    [403, "Extension.InvalidExtensionIdentifier"],
    [403, "Extension.UnknownExtensionIdentifier"],
    [403, "Extension.MissingHeader"],
    [202, "Telemetry.NotSupported"],
    [403, "Extension.TooManyExtensions"],
]
"""What it is answered, its handler left out."""
