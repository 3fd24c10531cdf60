"""IAM policies as API Gateway evaluates them for one call."""

from __future__ import annotations

from fnmatch import translate
from re import fullmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.awslambda.front.policy import BadPolicy, matches, verdict

ARN = "arn:aws:execute-api:us-east-1:123456789012:local/api/GET/users/7"


def document(*statements: Any) -> dict[str, Any]:
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def statement(
    effect: str = "Allow", action: Any = "execute-api:Invoke", resource: Any = ARN
) -> dict[str, Any]:
    """Return a statement."""
    return {"Effect": effect, "Action": action, "Resource": resource}


@pytest.mark.parametrize(
    "resource",
    [
        ARN,
        [ARN],
        ["arn:nothing", ARN],
        "*",
        "arn:aws:execute-api:*",
        "arn:aws:execute-api:us-east-1:123456789012:local/*/GET/*",
        "arn:aws:execute-api:us-east-1:*:local/api/*/users/7",
        "arn:aws:execute-api:us-east-1:123456789012:local/api/GET/users/?",
        "arn:aws:execute-api:us-east-1:123456789012:*/users/*",
    ],
)
def test_resources_that_match(resource: Any) -> None:
    assert verdict(document(statement(resource=resource)), ARN) == "allow"


@pytest.mark.parametrize(
    "resource",
    [
        [ARN + "/"],
        ARN[:-1],
        "arn:aws:execute-api:us-east-1:123456789012:local/api/POST/*",
        "arn:aws:execute-api:us-east-1:123456789012:local/api/GET/users/??",
        "arn.*",
        "",
        ARN.upper(),
    ],
)
def test_resources_that_do_not(resource: Any) -> None:
    assert verdict(document(statement(resource=resource)), ARN) == "silent"


@pytest.mark.parametrize(
    "action", ["execute-api:Invoke", "execute-api:*", "*", "EXECUTE-API:invoke", ["s3:Get", "*"]]
)
def test_actions_that_match(action: Any) -> None:
    assert verdict(document(statement(action=action)), ARN) == "allow"


@pytest.mark.parametrize("action", ["execute-api:ManageConnections", "s3:*", ["lambda:InvokeFunction"]])
def test_actions_that_do_not(action: Any) -> None:
    assert verdict(document(statement(action=action)), ARN) == "silent"


def test_a_deny_wins_wherever_it_stands() -> None:
    allow, deny = statement(resource="*"), statement("Deny")
    assert verdict(document(allow, deny), ARN) == "deny"
    assert verdict(document(deny, allow), ARN) == "deny"
    assert verdict(document(statement("Deny", resource="arn:other"), allow), ARN) == "allow"


def test_one_statement_needs_no_list() -> None:
    assert verdict({"Statement": statement()}, ARN) == "allow"


def test_an_allow_with_a_condition_allows_nothing() -> None:
    assert verdict(document({**statement(), "Condition": {"Bool": {"x": "true"}}}), ARN) == "silent"
    assert verdict(document({**statement(), "NotResource": "x"}), ARN) == "silent"


@pytest.mark.parametrize(
    "policy",
    [
        None,
        [],
        "allow",
        {},
        document("allow"),
        document({"Effect": "Allow"}),
        document(statement("allow")),
        document(statement(resource=None)),
        document(statement(resource=[7])),
        document(statement(action=None)),
        document({**statement("Deny"), "Condition": {}}),
        document({"Effect": "Deny", "NotAction": "x", "Resource": "*"}),
        {"Statement": {"Effect": ["Allow"]}},
    ],
)
def test_what_is_no_policy_allows_nothing(policy: Any) -> None:
    with pytest.raises(BadPolicy):
        verdict(policy, ARN)


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=14))
def test_patterns_match_as_shell_patterns_do(pattern: str, text: str) -> None:
    assert matches(pattern, text) == bool(fullmatch(translate(pattern), text))


def test_nothing_is_about_no_call() -> None:
    assert verdict(document(), ARN) == "silent"
    assert verdict(document(statement(resource=[])), ARN) == "silent"  # Chalice's AuthResponse(routes=[])


def test_a_hostile_pattern_ends() -> None:
    assert not matches("*a" * 200, "a" * 199 + "b" * 200)
