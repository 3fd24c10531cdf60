"""Milliseconds through `portway dev --as lambda`: from a request to the first byte of its streamed answer."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from statistics import median

from bench.awslambda.streaming import APP


def measured(rounds: int, directory: str) -> float:
    """Return the median milliseconds until the first byte of a streamed body, the environment being warm."""
    with open(os.path.join(directory, "emulated.py"), "w") as file:
        file.write(APP)
    command = [sys.executable, "-m", "portway", "dev", "emulated:app", "--as", "lambda:url", "--stream"]
    with open(os.path.join(directory, "log"), "w+") as log:
        process = subprocess.Popen([*command, "-b", "127.0.0.1:0"], cwd=directory, stderr=log)
    try:
        found = None
        while found is None and process.poll() is None:
            time.sleep(0.01)
            with open(log.name) as log:
                found = re.search(r"http://127\.0\.0\.1:(\d+)", log.read())
        assert found is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]))
        samples = []
        for _ in range(rounds + 5):
            started = time.perf_counter()
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read(1)
            samples.append(time.perf_counter() - started)
            response.read()
        connection.close()
        return median(samples[5:]) * 1000
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
