"""Clients of other domains: their keys come from their own service, and from nowhere else (attack S14)."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation import fanout
from roomkey.federation.messages import Credential
from roomkey.federation.requests import base64url
from roomkey.host.native import NativeHost
from roomkey_delivery.config import Rate, Rates
from roomkey_delivery.service import Service

from tests.delivery.local import Local, code_of
from tests.delivery.people import Person, person
from tests.delivery.processes import Services, enrolled

PEER = "https://ds.email2.example"


async def test_two_services(services: Services, host: NativeHost) -> None:
    """Alice of email1 claims Bob's set at email2 and sends him a message there."""
    first = services.start("email1.example")
    second = services.start("email2.example", "--peer", f"email1.example={first.url}")
    alice = await enrolled(host, first, "alice@email1.example")
    bob = await enrolled(host, second, "bob@email2.example", "ecdsa_secp256r1_sha256")
    (one,) = await bob.sets(host.now())
    await bob.at(host, second.url).publish([one])
    routes = fanout.Routes()
    for service in (first, second):
        routes = routes.with_service(alice.at(host, service.url), [service.domain])
    claimed = await fanout.claim(routes, ["bob@email2.example"])
    assert [bundle.set for bundle in claimed.keys["bob@email2.example"]] == [one]
    recipients = [
        fanout.Recipient("bob@email2.example", bob.signer.client_id),
        fanout.Recipient("alice@email1.example", alice.signer.client_id),
    ]
    assert await fanout.send(routes, b"hello", recipients) == ()
    inbox = bob.at(host, second.url).inbox()
    assert await anext(inbox) == (1, b"hello")
    await inbox.aclose()
    # what is a foreign client's at home only
    for attempt in (
        alice.at(host, second.url).publish(await alice.sets(host.now())),
        anext(alice.at(host, second.url).inbox()),
        alice.at(host, second.url).admit(bytes(32)),
    ):
        with pytest.raises(RoomkeyError) as caught:
            await attempt
        assert caught.value.code == "not-yours"
    first.kill()
    stranger = await person("eve@email1.example")
    with pytest.raises(RoomkeyError) as caught:
        await stranger.at(host, second.url).stock()
    assert (caught.value.code, caught.value.retryable) == ("service-unavailable", True)
    assert await alice.at(host, second.url).send(b"known for five minutes", [bob.signer.client_id]) == ()


class Peer:
    """The service of email2.example as an attacker might run it: answers what the test says."""

    def __init__(self, answer: object, status: int = 200) -> None:
        self.answer, self.status = answer, status
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        content = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return httpx.Response(self.status, content=content)


async def ask(folder: Path, peer: Peer, who: Person, *, times: int = 1, rates: Rates = Rates()) -> tuple[int, str]:  # noqa: B008
    local = Local(folder, peers={"email2.example": PEER}, rates=rates)
    await local.service._http.aclose()
    client = httpx.AsyncClient(transport=httpx.MockTransport(peer))
    local.service = Service(local.service.config, local.service.store, clock=lambda: local.time, http=client)
    local.app.state.service = local.service
    try:
        for _ in range(times):
            answer = await local.bare.get(
                "/v1/user-init-keys", headers=await local.signed(who, "GET", "/v1/user-init-keys")
            )
        return answer.status_code, "" if answer.status_code == 200 else code_of(answer)
    finally:
        await local.close()


def credential(who: Person, **changes: object) -> dict[str, str]:
    basic = who.keys.credential.require_basic().replace(**changes)
    return {"credential": base64url(Credential.of(basic.identity, basic.algorithm, basic.public_key).encode())}


async def test_a_foreign_key_is_asked_for_once(tmp_path: Path) -> None:
    eve = await person("eve@email2.example")
    peer = Peer(credential(eve))
    assert await ask(tmp_path, peer, eve, times=3) == (200, "")
    assert peer.asked == [f"{PEER}/v1/clients/lookup"]


async def test_what_a_peer_may_not_say(tmp_path: Path) -> None:
    eve, other = await person("eve@email2.example"), await person("eve@email2.example")
    for answer in (
        {},
        {"credential": 5},
        {"credential": "????"},
        {"credential": base64url(b"no credential")},
        credential(other),  # another key
        credential(eve, identity=b"eve@email1.example"),  # a name of ours
        credential(eve, identity=b"Eve@email2.example"),  # not canonical
    ):
        assert await ask(tmp_path, Peer(answer), eve) == (401, "unknown-client")
    for peer in (Peer({}, 500), Peer({}, 302), Peer(b"no json"), Peer([]), Peer(b" " * 20_000)):
        assert await ask(tmp_path, peer, eve) == (503, "service-unavailable")


async def test_lookups_are_limited(tmp_path: Path) -> None:
    eve = await person("eve@email2.example")
    peer = Peer({}, 500)
    assert await ask(tmp_path, peer, eve, times=3, rates=Rates(lookup=Rate(2, 1))) == (429, "too-many-requests")
    assert len(peer.asked) == 2


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "0.0.0.0", "224.0.0.1", "::ffff:127.0.0.1"],
)
async def test_a_domain_that_points_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """No request is made to a server whose name resolves to an address that is not public."""
    resolve(monkeypatch, address)
    eve = await person("eve@inside.example")
    peer = Peer(credential(eve))
    assert await ask(tmp_path, peer, eve) == (503, "service-unavailable")
    assert peer.asked == []
    resolve(monkeypatch, "93.184.216.34", address)  # one public address among them does not help
    assert await ask(tmp_path, peer, eve) == (503, "service-unavailable")
    assert peer.asked == []


async def test_a_public_service_is_found_by_its_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "93.184.216.34")
    eve = await person("eve@email3.example")
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if request.url.path == "/.well-known/roomkey":
            return httpx.Response(200, json={"service": "https://ds.email3.example:8443"})
        return httpx.Response(200, json=credential(eve))

    assert await ask(tmp_path, answer, eve) == (200, "")  # type: ignore[arg-type]  # a function serves as well
    assert [(str(r.url), r.headers["host"], r.extensions["sni_hostname"]) for r in requests] == [
        ("https://93.184.216.34/.well-known/roomkey", "email3.example", "email3.example"),
        ("https://93.184.216.34:8443/v1/clients/lookup", "ds.email3.example:8443", "ds.email3.example"),
    ]


@pytest.mark.parametrize(
    "service", ["http://127.0.0.1:22", "http://ds.email3.example", "ftp://x", "https://u:p@x", 5, None, "https://x/y"]
)
async def test_what_a_well_known_document_may_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: object
) -> None:
    resolve(monkeypatch, "93.184.216.34")
    eve = await person("eve@email3.example")
    peer = Peer({"service": service})
    status, code = await ask(tmp_path, peer, eve)
    assert (status, code) in ((401, "unknown-client"), (503, "service-unavailable"))
    assert peer.asked == ["https://93.184.216.34/.well-known/roomkey"]


async def test_a_home_that_is_no_domain(local: Local) -> None:
    eve = await person("eve@email2.example")
    for home in ("127.0.0.1", "localhost:22", "a/b", "EMAIL2.example", "x" * 300):
        as_eve = Person(eve.crypto, eve.keys._replace(identity=f"eve@{home}"))
        answer = await local.bare.get(
            "/v1/user-init-keys", headers=await local.signed(as_eve, "GET", "/v1/user-init-keys")
        )
        assert (answer.status_code, code_of(answer)) == (400, "malformed-request")


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
