"""Answers that are too large: compressed when that helps, else an error that names the limit."""

from __future__ import annotations

import gzip
import importlib
import json
import random
from typing import Any

import pytest

from portway.awslambda.errors import BadSetting
from portway.awslambda.events import source_of
from portway.awslambda.limits import size_of
from tests.awslambda.applications import Application, Context
from tests.awslambda.conftest import Handler
from tests.awslambda.front_doors import DOORS, Answer, Wire, answered, edge

MEGABYTE = 1_000_000
LIMITED = pytest.mark.parametrize(
    ("door", "service", "size"),
    [
        ("function-url", "Lambda Function URL", 7 * MEGABYTE),
        ("http-api", "API Gateway HTTP API", 7 * MEGABYTE),
        ("rest-api", "API Gateway REST API", 7 * MEGABYTE),
        ("vpc-lattice", "VPC Lattice", 7 * MEGABYTE),
        ("alb-multi", "Application Load Balancer", 1_200_000),
        ("lambda-edge", "Lambda@Edge", 1_200_000),
    ],
)


def answer_of(
    door: str, made: Handler, application: Application, accepts: str = "", **options: Any
) -> Answer:
    """Return the client's view of a large answer."""
    wire = Wire(fields=(("Accept-Encoding", accepts),) if accepts else ())
    return answered(door, made(application.wsgi, **options)(DOORS[door](wire), Context()))


@LIMITED
def test_an_answer_that_is_too_large_is_named(
    door: str,
    service: str,
    size: int,
    made: Handler,
    application: Application,
    caplog: pytest.LogCaptureFixture,
) -> None:
    application.body = b"x" * size
    answer = answer_of(door, made, application)
    assert answer.status == 500
    assert f"the limit of {service} is ".encode() in answer.body
    assert f"the limit of {service} is " in caplog.text


@LIMITED
def test_compression_makes_it_fit(
    door: str, service: str, size: int, made: Handler, application: Application
) -> None:
    application.body = b"0123456789" * (size // 10)
    application.headers += [
        ("ETag", '"v1"'),
        ("Vary", "Cookie"),
        ("Content-Length", str(len(application.body))),
    ]
    answer = answer_of(door, made, application, "gzip;q=0.5, deflate")
    assert answer.status == 200
    assert gzip.decompress(answer.body) == application.body
    assert answer.values("content-encoding") == ["gzip"]
    assert answer.values("etag") == ['W/"v1"']
    assert answer.values("vary") == ["Cookie, Accept-Encoding"]
    assert answer.values("content-length") == []


@pytest.mark.parametrize(
    ("accepts", "headers", "status"),
    [
        ("", [], 200),
        ("identity", [], 200),
        ("gzip;q=0", [], 200),
        ("*", [], 200),
        ("gzip", [("Cache-Control", "public, No-Transform")], 200),
        ("gzip", [("Content-Encoding", "br")], 200),
        ("gzip", [("Content-Type", "application/zip")], 200),
        ("gzip", [("Content-Range", "bytes 0-6999999/8000000")], 206),
    ],
)
def test_what_may_not_be_compressed_is_not(
    accepts: str, headers: list[tuple[str, str]], status: int, made: Handler, application: Application
) -> None:
    application.body = b"0" * 7 * MEGABYTE
    application.status = status
    if headers and headers[0][0] == "Content-Type":
        application.headers = []
    application.headers += headers
    assert answer_of("http-api", made, application, accepts).status == 500


@pytest.mark.parametrize(
    ("coding", "package"), [("br", "brotli"), ("zstd", "compression.zstd"), ("zstd", "zstandard")]
)
def test_the_better_codings_where_a_package_has_them(
    coding: str, package: str, made: Handler, application: Application
) -> None:
    try:
        module: Any = importlib.import_module(package)
    except ImportError:
        module = None
    application.body = b"0123456789" * 700_000
    answer = answer_of("http-api", made, application, f"gzip, {coding}")
    assert answer.status == 200
    if module is None:
        assert answer.values("content-encoding")[0] in ("gzip", coding)
        return
    assert answer.values("content-encoding") == [coding]
    found = module.ZstdDecompressor().decompressobj() if package == "zstandard" else module
    assert found.decompress(answer.body) == application.body


def test_compression_can_be_switched_off(made: Handler, application: Application) -> None:
    application.body = b"0" * 7 * MEGABYTE
    assert answer_of("http-api", made, application, "gzip", compress="off").status == 500


def test_what_fits_is_not_compressed(made: Handler, application: Application) -> None:
    application.body = b"0" * 5 * MEGABYTE
    answer = answer_of("http-api", made, application, "gzip, br, zstd")
    assert (answer.status, answer.body) == (200, application.body)
    assert answer.values("content-encoding") == []


def test_noise_does_not_fit_either_way(made: Handler, application: Application) -> None:
    application.body = random.Random(1).randbytes(5 * MEGABYTE).hex().encode()[: 9 * MEGABYTE]
    application.body += random.Random(2).randbytes(2 * MEGABYTE).hex().encode()
    assert answer_of("http-api", made, application, "gzip").status == 500


def test_a_viewers_function_has_40_kilobytes(made: Handler, application: Application) -> None:
    application.body = b"x" * 50_000
    handler = made(application.wsgi)
    answer = answered("lambda-edge", handler(edge(Wire(), kind="viewer-request"), Context()))
    assert (answer.status, b"40000" in answer.body) == (500, True)
    assert answered("lambda-edge", handler(edge(Wire()), Context())).status == 200


def test_sizes_are_counted_as_lambda_writes_them() -> None:
    answer = {"body": 'é"\n\0', "statusCode": 200}
    assert size_of(answer) == len(json.dumps(answer, ensure_ascii=False).encode())


@pytest.mark.parametrize("door", ["alb", "lambda-edge", "http-api"])
def test_what_is_not_measured_surely_fits(door: str) -> None:
    source = source_of(door)
    limit = 40_000 if door == "lambda-edge" else source.limit
    assert source.surely_fits * 6 < limit


def test_options_are_checked(made: Handler, application: Application) -> None:
    with pytest.raises(BadSetting, match="must be one of fit, off, not 'maybe'"):
        made(application.wsgi, compress="maybe")
    with pytest.raises(BadSetting, match=r"handler\(\) takes app, factory"):
        made(application.wsgi, no_such_option=1)
