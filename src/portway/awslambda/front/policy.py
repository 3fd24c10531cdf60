"""What an authorizer's IAM policy says about one call: the part of IAM that API Gateway asks.

A statement counts when its action and its resource match; an explicit Deny wins over every Allow. What
cannot be read allows nothing: an authorizer that answers nonsense is a failure, not an open door.
"""

from __future__ import annotations

from typing import Any, Literal

ACTION = "execute-api:Invoke"

Verdict = Literal["allow", "deny", "silent"]


class BadPolicy(Exception):
    """Not a policy document."""


def verdict(document: Any, arn: str) -> Verdict:
    """Return what a policy says about calling `arn`: "silent" when no statement is about it.

    Args:
        document: `policyDocument` of an authorizer's answer.
        arn: The method's ARN: arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH.

    Raises:
        BadPolicy: It is not a policy document, or has a part that cannot be evaluated here.
    """
    if not isinstance(document, dict):
        raise BadPolicy("policyDocument is not an object")
    found: Verdict = "silent"
    for statement in _many(document.get("Statement"), dict):
        effect = statement.get("Effect")
        if effect not in ("Allow", "Deny"):
            raise BadPolicy(f"the effect {effect!r} is neither Allow nor Deny")
        unknown = set(statement) - {"Sid", "Effect", "Action", "Resource"}
        if unknown and effect == "Deny":
            raise BadPolicy(f"a Deny with {sorted(map(str, unknown))[0]} cannot be evaluated here")
        if unknown or not _covers(statement, arn):
            continue  # an Allow under conditions that are not known to hold allows nothing
        if effect == "Deny":
            return "deny"
        found = "allow"
    return found


def _covers(statement: dict[str, Any], arn: str) -> bool:
    actions = _many(statement.get("Action"), str)
    resources = _many(statement.get("Resource"), str)
    return any(matches(action.lower(), ACTION.lower()) for action in actions) and any(
        matches(resource, arn) for resource in resources
    )


def _many(value: Any, kind: type) -> list[Any]:
    values = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(item, kind) for item in values):
        raise BadPolicy("a statement without Action or Resource, or a document without Statement")
    return list(values)


def matches(pattern: str, text: str) -> bool:
    """Tell whether IAM's pattern matches: "*" is any characters, "?" one. Linear in both lengths, nearly.

    No regular expression: a pattern of an application's making could take exponential time in one.
    """
    at = mark = 0
    star = -1
    for _ in range((len(text) + 1) * (len(pattern) + 1)):
        if at == len(text):
            return not pattern[mark:].strip("*")
        if mark < len(pattern) and pattern[mark] == "*":
            star, back = mark, at
            mark += 1
        elif mark < len(pattern) and pattern[mark] in ("?", text[at]):
            at += 1
            mark += 1
        elif star >= 0:
            back += 1
            at, mark = back, star + 1
        else:
            return False
    return False
