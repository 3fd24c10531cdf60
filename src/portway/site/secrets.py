"""Asking AWS for secrets, in a process of its own.

The server's own process neither imports AWS's client nor keeps its connections and threads: it forks, and
must have no other thread. The names go to that process through a pipe and the values come back through one;
they are on no command line and in no file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from portway.config.stages import Variable
from portway.errors import SecretUnavailable, shown
from portway.site.references import Reference

LONGEST_S = 12.0
"""Seconds until the attempt is given up. The client's own timeouts and attempts mostly end sooner.

The arbiter waits that long in a reload, and must be back before systemd's watchdog (30 s) takes it for dead.
"""


def fetch(
    references: Sequence[Reference], users: Mapping[Reference, Variable], environ: Mapping[str, str]
) -> dict[Reference, str]:
    """Return what references to AWS stand for.

    Args:
        references: What is asked for.
        users: For each the variable that it stands in, for messages.
        environ: The environment of the client: region, credentials, endpoints.

    Raises:
        SecretUnavailable: One of them cannot be had.
    """
    question = json.dumps([[one.kind, one.name, one.key] for one in references])
    command = [sys.executable, "-P", "-m", "portway.site.fetching"]
    try:
        done = subprocess.run(
            command,
            input=question,
            capture_output=True,
            text=True,
            env=environ,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(references[0], users, f"was not answered within {LONGEST_S:g} s") from None
    if done.returncode:
        raise _failed(references[0], users, f"cannot be had: {_last_line(done.stderr)}")
    answer = json.loads(done.stdout)
    if "failed" in answer:
        raise _failed(references[answer["failed"]], users, answer["problem"], answer["hint"])
    return dict(zip(references, answer["values"], strict=True))


def _last_line(text: str) -> str:
    return shown((text.strip().splitlines() or ["the process that asks for it ended"])[-1])


def _failed(
    reference: Reference, users: Mapping[Reference, Variable], problem: str, hint: str | None = None
) -> SecretUnavailable:
    user = users[reference]
    hint = hint or "look whether AWS can be reached from here, and with which credentials."
    return SecretUnavailable(str(reference), user.name, user.place, problem, hint)
