"""What browsers and strangers see: CORS, descriptions, sizes, unknown paths, bugs, logs."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.errors import CODES
from roomkey.federation.calls import SERVICE_CODES
from roomkey_delivery.config import MAX_JSON, Rate, Rates
from roomkey_delivery.problems import STATUS

from tests.delivery.local import NOW, Local, code_of
from tests.delivery.people import person

PAGE = "http://alice.demo.localhost:8000"
PREFLIGHT = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "signature"}
ACK = "/v1/inbox/acknowledgements"


async def test_description(local: Local) -> None:
    answer = await local.bare.get("/v1/service", headers={"origin": PAGE})
    said = answer.json()
    assert (said["protocol"], said["domain"], said["time"]) == ("roomkey-delivery/1", "email1.example", NOW)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (
        answer.headers["access-control-expose-headers"]
        == "Date, Retry-After, Signature, Signature-Input, Content-Digest"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers
    assert (await local.bare.get("/.well-known/roomkey")).status_code == 404


async def test_preflight(local: Local) -> None:
    answer = await local.bare.options("/v1/messages", headers=PREFLIGHT)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-max-age"] == "7200"
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    alice = await person("alice@email1.example")
    sent = await local.signed(alice, "POST", "/v1/messages", b"", "application/json")
    assert set(sent) <= allowed


async def test_origins_that_the_operator_lists(tmp_path: Path) -> None:
    local = Local(tmp_path, allow_origins=frozenset({PAGE}), public_url="https://ds.email1.example")
    try:
        for origin in ("https://evil.example", "null", PAGE + "0", "http://alice.demo.localhost"):
            for answer, readable in (
                (await local.bare.options("/v1/messages", headers=PREFLIGHT | {"origin": origin}), None),
                (await local.bare.post("/v1/messages", headers={"origin": origin}), None),
                (await local.bare.get("/v1/service", headers={"origin": origin}), origin),  # so that it learns why
            ):
                assert (answer.status_code, code_of(answer)) == (403, "origin-not-allowed")
                assert answer.headers.get("access-control-allow-origin") == readable
                assert answer.headers["vary"] == "Origin"
                assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        answer = await local.bare.options("/v1/messages", headers=PREFLIGHT)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, PAGE)
        answer = await local.bare.get("/v1/service", headers={"origin": PAGE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PAGE)
        answer = await local.bare.get("/.well-known/roomkey")  # no origin: no browser
        assert answer.json() == {"service": "https://ds.email1.example"}
    finally:
        await local.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/service/", 404),
        ("GET", "/v1/../v1/nothing", 404),
        ("DELETE", "/v1/inbox", 405),
        ("GET", "/v1/messages", 405),
        ("GET", "/v1/%00", 404),
    ],
)
async def test_unknown_paths_and_methods(local: Local, method: str, path: str, status: int) -> None:
    answer = await local.bare.request(method, path)
    assert (answer.status_code, code_of(answer)) == (status, "malformed-request")


async def test_declared_oversize(local: Local) -> None:
    alice = await local.enrolled("alice")
    for size in (str(MAX_JSON + 1), "9" * 30):
        headers = await local.signed(alice, "POST", ACK, b"{}", "application/json")
        answer = await local.bare.post(ACK, headers=headers | {"content-length": size}, content=b"{}")
        assert (answer.status_code, code_of(answer)) == (413, "request-too-large")


async def test_undeclared_oversize_is_not_read_to_its_end(local: Local) -> None:
    alice = await local.enrolled("alice")
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 1024
            yield bytes(1024)

    headers = await local.signed(alice, "POST", ACK, b"{}", "application/json")
    received = 0
    scope_pieces = pieces()

    async def receive() -> dict[str, object]:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": await anext(scope_pieces), "more_body": True}

    answers: list[dict[str, object]] = []

    async def send(event: dict[str, object]) -> None:
        answers.append(event)

    raw = [(name.encode(), value.encode()) for name, value in (headers | {"host": "ds.email1.example"}).items()]
    line = {"method": "POST", "path": ACK, "raw_path": ACK.encode(), "query_string": b"", "root_path": ""}
    ends = {"scheme": "https", "server": ("ds.email1.example", 443), "client": ("192.0.2.1", 1)}
    scope = {"type": "http", "http_version": "1.1", "headers": raw, **line, **ends}
    await local.app(scope, receive, send)  # type: ignore[arg-type]
    assert answers[0]["status"] == 413
    assert received == MAX_JSON // 1024 + 1


async def test_strangers_bodies_are_not_read(local: Local) -> None:
    """A body is read only once its signature is right (signed requests), or up to 16 kB (the others)."""
    mallory = await person("mallory@email1.example")
    headers = await local.signed(mallory, "POST", ACK, b"{}", "application/json")
    answer = await local.bare.post(ACK, headers=headers | {"content-length": "9" * 11}, content=b"{}")
    assert code_of(answer) == "unknown-client"


async def test_unsigned_requests_are_limited_by_address(tmp_path: Path) -> None:
    local = Local(tmp_path, rates=Rates(address=Rate(2, 1)))
    try:
        assert [(await local.bare.get("/v1/service")).status_code for _ in range(3)] == [200, 200, 429]
        assert (await local.bare.get("/v1/service")).headers["retry-after"] == "1"
        local.time += 1
        assert (await local.bare.get("/v1/service")).status_code == 200
    finally:
        await local.close()


async def test_a_bug_shows_and_logs_nothing_of_people(
    local: Local, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise ValueError("alice@email1.example")

    alice = await local.enrolled("alice")
    monkeypatch.setattr(local.service.store, "stock", broken)
    with caplog.at_level(logging.DEBUG, "roomkey_delivery"):
        headers = await local.signed(alice, "GET", "/v1/user-init-keys")
        answer = await local.bare.get("/v1/user-init-keys", headers=headers | {"origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (answer.status_code, code_of(answer)) == (500, "service-unavailable")
    assert "alice" not in caplog.text
    assert "alice" not in answer.text
    assert "ValueError at test_web.py" in caplog.text
    answer = await local.bare.get("/v1/service", headers={"origin": PAGE})
    assert answer.status_code == 200


def test_codes_of_errors_agree() -> None:
    assert set(STATUS) == set(SERVICE_CODES)
    assert set(CODES) >= SERVICE_CODES
    assert json.dumps(sorted(STATUS))  # plain text all of them
