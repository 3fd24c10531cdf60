"""Functions for the events that are no requests: queues, buckets, streams, schedules.

    @portway.awslambda.on("sqs")
    def consume(event, context): ...

A function gets the event as Lambda delivered it and answers with what the service expects; an async
one runs on the environment's loop. It may be registered on a handler or, for `portway.awslambda.main`,
on the module: there is one registry per process, as there is one function per process.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Function = Callable[[Any, Any], Any]
    F = TypeVar("F", bound=Callable[..., Any])

_SOURCES = {
    "aws:sqs": "sqs",
    "aws:sns": "sns",
    "aws:s3": "s3",
    "aws:dynamodb": "dynamodb",
    "aws:kinesis": "kinesis",
    "aws:ses": "ses",
    "aws:kafka": "kafka",
    "SelfManagedKafka": "kafka",
    "aws:amq": "mq",
    "aws:rmq": "mq",
    "aws:codecommit": "codecommit",
}
KINDS = frozenset(_SOURCES.values()) | {"cognito", "edge-response", "eventbridge", "logs", "schedule", "*"}


def kind_of(event: Any) -> tuple[str, dict[str, str]]:
    """Return what kind of event this is, or "", and what a registration may match of it."""
    if not isinstance(event, dict):
        return "", {}
    records = event.get("Records")
    if isinstance(records, list) and records and isinstance(records[0], dict):
        return _kind_of_record(records[0])
    if isinstance(event.get("detail-type"), str):
        matched = {"source": str(event.get("source")), "detail_type": event["detail-type"]}
        scheduled = event["detail-type"] == "Scheduled Event"
        resources = event.get("resources")
        if scheduled and isinstance(resources, list) and resources:
            matched["rule"] = str(resources[0]).rpartition("/")[2]
        return ("schedule" if scheduled else "eventbridge"), matched
    if isinstance(event.get("awslogs"), dict):
        return "logs", {}
    if isinstance(event.get("triggerSource"), str):
        return "cognito", {"trigger": event["triggerSource"]}
    return _SOURCES.get(str(event.get("eventSource")), ""), {"source": str(event.get("eventSourceArn"))}


def _kind_of_record(record: dict[str, Any]) -> tuple[str, dict[str, str]]:
    if "cf" in record:
        return "edge-response", {}
    kind = _SOURCES.get(str(record.get("eventSource") or record.get("EventSource")), "")
    arn = record.get("eventSourceARN") or record.get("EventSubscriptionArn")
    if kind == "s3":
        bucket = record.get("s3", {}).get("bucket", {})
        return kind, {"source": str(bucket.get("arn")), "bucket": str(bucket.get("name"))}
    return kind, {"source": str(arn)}


class Registry:
    """Functions by kind of event."""

    def __init__(self) -> None:
        self._functions: list[tuple[str, dict[str, str], Function]] = []

    def on(self, kind: str, **match: str) -> Callable[[F], F]:
        """Register the decorated function for a kind of event.

        Args:
            kind: "sqs", "sns", "s3", "dynamodb", "kinesis", "eventbridge", "schedule", "logs", "cognito",
                "kafka", "mq", "ses", "codecommit", "edge-response", or "*" for whatever nobody else takes
                (a direct invocation, or EventBridge Scheduler with a payload of its own).
            match: What must be equal besides: `source` (an ARN, or EventBridge's source), `bucket`,
                `detail_type`, `rule`, `trigger`.

        Raises:
            ValueError: No such kind.
        """
        if kind not in KINDS:
            raise ValueError(f"no kind of event is called {kind!r}; there are {', '.join(sorted(KINDS))}")

        def register(function: F) -> F:
            self._functions.append((kind, match, function))
            return function

        return register

    def find(self, event: Any) -> Function | None:
        """Return the function for an event: the first registered that matches it, "*" last."""
        kind, facts = kind_of(event)
        for wanted, match, function in self._functions:
            if wanted == kind and all(facts.get(name) == value for name, value in match.items()):
                return function
        for wanted, _, function in self._functions:
            if wanted == "*":
                return function
        return None


registry = Registry()
