"""A Lambda handler that answers with its event."""

import json
from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer with the event as JSON, in a form that every front door takes."""
    body = json.dumps(event)
    if "elb" in event["requestContext"]:
        return {"statusCode": 200, "multiValueHeaders": {"Content-Type": ["application/json"]}, "body": body}
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": body}
