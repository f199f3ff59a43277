"""S6, S7, S14, S15, S17: what clients and other services do to a delivery service."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from roomkey.federation.delivery_messages import INIT_KEY_SETS, JSON, init_key_sets
from roomkey.federation.requests import base64url, content_digest
from roomkey_delivery.config import MAX_JSON
from roomkey_delivery.peers.reaching import is_public

from tests.delivery.local import NOW, Local, code_of
from tests.delivery.people import person


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    made = Local(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize(
    "address",
    ["64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::127.0.0.1", "fec0::1", "64:ff9b:1::1",
     "::ffff:10.0.0.1", "100.64.0.1", "ff0e::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
)  # fmt: skip
def test_addresses_that_lead_inside_by_a_detour(address: str) -> None:
    """S14: 6to4, NAT64, site-local and IPv4-compatible addresses; Python calls most of these global."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


async def test_a_packed_answer_is_not_unpacked(tmp_path: Path) -> None:
    """A few kilobytes of gzip are megabytes of memory."""
    packed = gzip.compress(b'{"credential":"' + b"A" * (64 << 20) + b'"}')

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Pieces(packed))

    local = Local(tmp_path, peers={"email2.example": "https://ds.email2.example"})
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    local.service.directory._http = http
    eve = await person("eve@email2.example")
    reply = await local.bare.get("/v1/user-init-keys", headers=await local.signed(eve, "GET", "/v1/user-init-keys"))
    assert (reply.status_code, code_of(reply)) == (503, "service-unavailable")
    assert Pieces.read <= MAX_JSON + Pieces.SIZE
    await http.aclose()
    await local.close()


class Pieces(httpx.AsyncByteStream):
    """A body that notes how much of it was read."""

    SIZE = 4096
    read = 0

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), self.SIZE):
            Pieces.read += self.SIZE
            yield self._data[start : start + self.SIZE]


@pytest.mark.parametrize("code", ["\ud800", "x" * 10_000, "' OR 1=1 --", "\r\nX: y", "%00", ""])
async def test_codes_that_are_none(local: Local, code: str) -> None:
    """S15: any text is refused as a wrong code; none is a fault of the service."""
    eve = await person("eve@email1.example")
    body = json.dumps({"credential": base64url(eve.keys.credential.encode()), "code": code}).encode()
    answer = await local.bare.post(
        "/v1/clients", headers=await local.signed(eve, "POST", "/v1/clients", body, JSON), content=body
    )
    assert (answer.status_code, code_of(answer)) == (403, "enrolment-refused")


@pytest.mark.parametrize("lifetime", [10.0**9, 2.0**62, 2.0**63 - NOW * 2])
async def test_sets_that_live_too_long_are_not_taken(local: Local, lifetime: float) -> None:
    """K1, S6: nobody could use them, and the largest do not fit the store."""
    alice = await local.enrolled("alice")
    body = init_key_sets.encode(tuple(await alice.sets(NOW, lifetime=lifetime)))
    answer = await local.bare.post(
        "/v1/user-init-keys",
        headers=await local.signed(alice, "POST", "/v1/user-init-keys", body, INIT_KEY_SETS),
        content=body,
    )
    assert (answer.status_code, code_of(answer)) == (422, "set-expired")


async def test_numbers_that_do_not_fit(local: Local) -> None:
    """S15: JSON numbers of any size, and things that are none."""
    alice = await local.enrolled("alice")
    for through in ("1e400", "-1", "9223372036854775808", "1" * 5000, '"1"', "true", "[]", "NaN"):
        body = b'{"through":' + through.encode() + b"}"
        path = "/v1/inbox/acknowledgements"
        answer = await local.bare.post(path, headers=await local.signed(alice, "POST", path, body, JSON), content=body)
        assert (answer.status_code, code_of(answer)) == (400, "malformed-request"), through


async def test_a_body_that_was_not_signed_for_does_nothing(local: Local) -> None:
    """S10: the digest is signed, and the body must have it."""
    alice = await local.enrolled("alice")
    path, body, other = "/v1/inbox/acknowledgements", b'{"through":1}', b'{"through":9}'
    headers = await local.signed(alice, "POST", path, body, JSON)
    answer = await local.bare.post(path, headers=headers, content=other)
    assert (answer.status_code, code_of(answer)) == (401, "request-refused")
    headers["content-digest"] = content_digest(other)
    answer = await local.bare.post(path, headers=headers, content=other)
    assert (answer.status_code, code_of(answer)) == (401, "request-refused")
