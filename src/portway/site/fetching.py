"""The process that asks AWS for secrets: `python -m portway.site.fetching`, used by `secrets.py`.

Reads a JSON list of [kind, name, key] from standard input, and writes `{"values": […]}` in its order, or
`{"failed": index, "problem": …, "hint": …}`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

BATCH = 10
"""Parameters that one call of SSM takes."""

_Question = tuple[str, str, str]


class Failed(Exception):
    """Something that was asked for cannot be had.

    Args:
        index: Its place in the question.
        problem: Why, as a sentence without its subject.
        hint: What would help.
    """

    def __init__(self, index: int, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.index = index
        self.problem = problem
        self.hint = hint


def answer(questions: Sequence[_Question]) -> dict[str, object]:
    """Return the answer to all questions."""
    try:
        found = dict(_parameters(questions))
        found.update(_secrets(questions))
    except Failed as failed:
        return {"failed": failed.index, "problem": failed.problem, "hint": failed.hint}
    return {"values": [found[index] for index in range(len(questions))]}


def _parameters(questions: Sequence[_Question]) -> Iterator[tuple[int, str]]:
    wanted = [(index, name) for index, (kind, name, _) in enumerate(questions) if kind == "ssm"]
    client: Any = _client("ssm", wanted[0][0]) if wanted else None
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        names = [name for _, name in batch]
        reply = _call(client, "get_parameters", batch[0][0], Names=names, WithDecryption=True)
        values = {}
        for one in reply["Parameters"]:
            for name in (one["Name"], one.get("ARN", "")):
                values[name + (one.get("Selector") or "")] = one["Value"]
        for index, name in batch:
            if name not in values:
                hint = f"aws ssm put-parameter --name {name} --type SecureString --value …"
                raise Failed(index, f"does not exist in {client.meta.region_name}", hint)
            yield index, values[name]


def _secrets(questions: Sequence[_Question]) -> Iterator[tuple[int, str]]:
    client = None
    texts: dict[str, str] = {}
    for index, (kind, name, key) in enumerate(questions):
        if kind != "secret":
            continue
        client = client or _client("secretsmanager", index)
        if name not in texts:
            reply = _call(client, "get_secret_value", index, SecretId=name)
            if "SecretString" not in reply:
                raise Failed(index, "is binary, and a variable is text", "store it as text.")
            texts[name] = reply["SecretString"]
        yield index, _member(texts[name], key, index) if key else texts[name]


def _member(text: str, key: str, index: int) -> str:
    try:
        table = json.loads(text)
        value = table[key]
    except (ValueError, KeyError, TypeError, IndexError):
        hint = "it must be a JSON object with that key; leave #KEY out for the whole secret."
        raise Failed(index, f"has no key {key!r}", hint) from None
    return value if isinstance(value, str) else json.dumps(value)


def _client(service: str, index: int) -> Any:
    try:
        from botocore.config import Config  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
        from botocore.session import Session  # type: ignore[import-untyped]
    except ImportError:
        problem = "needs AWS's client, which is not installed"
        raise Failed(index, problem, "pip install 'portway[aws]'.") from None
    setup = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
    try:
        # The variable that Lambda, ECS and the other clients of AWS know, and this one does not.
        return Session().create_client(service, region_name=os.environ.get("AWS_REGION"), config=setup)
    except (BotoCoreError, ValueError) as error:
        hint = _HINTS[type(error).__name__]
        raise Failed(index, f"cannot be asked for: {_sentence(error)}", hint) from None


def _call(client: Any, operation: str, index: int, **arguments: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return getattr(client, operation)(**arguments)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise Failed(index, _refusal(code, error, client.meta.region_name), _HINTS[code]) from None
    except BotoCoreError as error:
        raise Failed(index, f"cannot be had: {_sentence(error)}", _HINTS[type(error).__name__]) from None


def _refusal(code: str, error: Exception, region: str) -> str:
    if code == "ResourceNotFoundException":
        return f"does not exist in {region}"
    return f"{'may not be read' if 'AccessDenied' in code else 'cannot be had'}: {_sentence(error)}"


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:1].lower() + text[1:].rstrip(".") if not text[1:2].isupper() else text.rstrip(".")


class _Hints(dict[str, str]):
    def __missing__(self, code: str) -> str:
        return "look whether AWS can be reached from here, and with which credentials."


_HINTS = _Hints(
    ResourceNotFoundException="aws secretsmanager list-secrets shows those of the region.",
    AccessDeniedException="allow ssm:GetParameters or secretsmanager:GetSecretValue on it, "
    "and kms:Decrypt on its key.",
    NoRegionError="set AWS_REGION, in the stage's env if you like.",
    NoCredentialsError="set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run it where a role is attached.",
)


if __name__ == "__main__":
    json.dump(answer([tuple(one) for one in json.load(sys.stdin)]), sys.stdout)
