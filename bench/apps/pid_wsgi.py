"""Answers with the pid of the worker, for counting how requests spread."""

import os


def app(environ, start_response):  # type: ignore[no-untyped-def]
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
