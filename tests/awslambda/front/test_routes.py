"""Which resource of a REST API takes a path."""

from __future__ import annotations

import pytest

from portway.awslambda.front.request import Match
from portway.awslambda.front.routes import Routes

ROUTES = Routes(
    [
        "/",
        "/users",
        "/users/me",
        "/users/{id}",
        "/users/{id}/photos/{photo}",
        "/files/{path+}",
        "/files/list",
        "/a/b/c",
        "/a/{x}/d",
        "/café",
    ]
)


@pytest.mark.parametrize(
    ("path", "resource", "parameters"),
    [
        ("/", "/", {}),
        ("/users", "/users", {}),
        ("/users/", "/users", {}),
        ("/users/me", "/users/me", {}),
        ("/users/7", "/users/{id}", {"id": "7"}),
        ("/users/a%2Fb", "/users/{id}", {"id": "a%2Fb"}),
        ("/users/7/photos/8/", "/users/{id}/photos/{photo}", {"id": "7", "photo": "8"}),
        ("/files/list", "/files/list", {}),
        ("/files/a/b.txt", "/files/{path+}", {"path": "a/b.txt"}),
        ("/files/list/x", "/files/{path+}", {"path": "list/x"}),
        ("/a/b/d", "/a/{x}/d", {"x": "b"}),
        ("/caf%C3%A9", "/café", {}),
        ("/%75sers", "/users", {}),
    ],
)
def test_match(path: str, resource: str, parameters: dict[str, str]) -> None:
    assert ROUTES.match(path) == Match(resource, parameters)


@pytest.mark.parametrize(
    "path",
    ["//", "/Users", "/users//", "/users/7/photos", "/users/7/photos//", "/files", "/x", "/" + "a" * 9000],
)
def test_no_match(path: str) -> None:
    assert ROUTES.match(path) is None


def test_an_api_without_resources() -> None:
    assert Routes([]).match("/") is None
