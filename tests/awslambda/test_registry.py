"""Events that are no requests go to the functions registered for them."""

from __future__ import annotations

from typing import Any

import pytest

from portway.awslambda.errors import UnknownEvent
from portway.awslambda.registry import Registry, kind_of
from tests.awslambda.applications import Application, Context
from tests.awslambda.conftest import Handler

SQS = {
    "Records": [
        {
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
            "body": "Test message.",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
        }
    ]
}
S3 = {
    "Records": [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "uploads", "arn": "arn:aws:s3:::uploads"},
                "object": {"key": "b21b84d653bb07b05b1e6b33684dc11b"},
            },
        }
    ]
}
SNS = {
    "Records": [
        {
            "EventSource": "aws:sns",
            "EventSubscriptionArn": "arn:aws:sns:us-east-1:123456789012:topic:21be56ed",
            "Sns": {"Type": "Notification", "Message": "Hello"},
        }
    ]
}
EVENTBRIDGE = {
    "version": "0",
    "id": "12345678-1234-1234-1234-111122223333",
    "detail-type": "order.placed",
    "source": "shop",
    "resources": [],
    "detail": {"order": 7},
}
SCHEDULE = {
    "version": "0",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/nightly"],
    "detail": {},
}
COGNITO = {"version": "1", "triggerSource": "PreSignUp_SignUp", "request": {}, "response": {}}
LOGS = {"awslogs": {"data": "H4sIAAAA"}}
EDGE_RESPONSE = {"Records": [{"cf": {"request": {}, "response": {"status": "200"}}}]}


@pytest.mark.parametrize(
    ("event", "kind", "facts"),
    [
        (SQS, "sqs", {"source": "arn:aws:sqs:us-east-2:123456789012:my-queue"}),
        (S3, "s3", {"source": "arn:aws:s3:::uploads", "bucket": "uploads"}),
        (SNS, "sns", {"source": "arn:aws:sns:us-east-1:123456789012:topic:21be56ed"}),
        (EVENTBRIDGE, "eventbridge", {"source": "shop", "detail_type": "order.placed"}),
        (SCHEDULE, "schedule", {"source": "aws.events", "detail_type": "Scheduled Event", "rule": "nightly"}),
        (COGNITO, "cognito", {"trigger": "PreSignUp_SignUp"}),
        (LOGS, "logs", {}),
        (EDGE_RESPONSE, "edge-response", {}),
        ({"eventSource": "aws:kafka", "eventSourceArn": "arn:x"}, "kafka", {"source": "arn:x"}),
        ({"Records": [{"s3": "?", "eventSource": "aws:nobody"}]}, "", {"source": "None"}),
        ({"hello": "world"}, "", {"source": "None"}),
        ("text", "", {}),
    ],
)
def test_kinds(event: Any, kind: str, facts: dict[str, str]) -> None:
    assert kind_of(event) == (kind, facts)


def test_the_first_that_matches_is_called() -> None:
    registry = Registry()

    @registry.on("*")
    def anything(event: Any, context: Any) -> str:
        return "anything"

    @registry.on("sqs", source="arn:aws:sqs:us-east-2:123456789012:other")
    def other(event: Any, context: Any) -> str:
        return "other"

    @registry.on("sqs")
    def queue(event: Any, context: Any) -> str:
        return "queue"

    assert registry.find(SQS) is queue
    assert registry.find(S3) is anything
    assert registry.find({"a": 1}) is anything


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no kind of event is called 'sqss'; there are \*, .*sqs"):
        Registry().on("sqss")


def test_functions_get_the_event_and_answer_for_themselves(made: Handler, application: Application) -> None:
    registry = Registry()
    handler = made(application.wsgi, registry=registry)
    calls = []

    @handler.on("sqs")
    def consume(event: Any, context: Any) -> dict[str, Any]:
        calls.append((event, context))
        return {"batchItemFailures": []}

    @handler.on("s3", bucket="uploads")
    async def stored(event: Any, context: Any) -> str:
        return str(event["Records"][0]["s3"]["object"]["key"])

    context = Context()
    assert handler(SQS, context) == {"batchItemFailures": []}
    assert calls == [(SQS, context)]
    assert handler(S3, context) == "b21b84d653bb07b05b1e6b33684dc11b"
    with pytest.raises(UnknownEvent):
        handler(EVENTBRIDGE, context)


def test_what_a_function_raises_is_lambdas_business(made: Handler, application: Application) -> None:
    handler = made(application.wsgi, registry=Registry())

    @handler.on("sqs")
    def consume(event: Any, context: Any) -> None:
        raise ZeroDivisionError("so that the message comes again")

    with pytest.raises(ZeroDivisionError):
        handler(SQS, Context())
