"""A Lambda function behind a front door, without AWS: an HTTP request becomes the event that API Gateway, a
Function URL or a load balancer makes of it, and the function's answer becomes the response.

    door      how the front door is set up, and its limits
    request   the request, and what a door adds to every one
    bodies    text or base64
    building  request → event
    answers   answer → response, or BadAnswer
    response  the response, and what a door says in its own name

These are plain translations: no socket, no clock, no thread. They are the other direction of `events`.
"""

from .answers import BadAnswer, read_answer
from .building import build_event
from .door import Door
from .request import HTTPRequest, Match, Stamp
from .response import Refusal, Response, refusal

__all__ = [
    "BadAnswer",
    "Door",
    "HTTPRequest",
    "Match",
    "Refusal",
    "Response",
    "Stamp",
    "build_event",
    "read_answer",
    "refusal",
]
