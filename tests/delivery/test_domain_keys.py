"""Services prove to each other who they are, and vouch for clients of their own (attacks S10 and S14)."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from roomkey.crypto.provider import KeyPair
from roomkey.errors import RoomkeyError
from roomkey.federation import requests
from roomkey.federation.delivery_messages import (
    DELIVERY,
    FEDERATION,
    INIT_KEY_SETS,
    JSON,
    MessageDelivery,
    init_key_requests,
)
from roomkey.federation.messages import GetUserInitKeyRequest
from roomkey.federation.requests import base64url, client_id, content_digest, sign_as_domain
from roomkey.host.native_crypto import NativeCrypto
from roomkey_delivery.config import Rate, Rates
from roomkey_delivery.peers import commands, keys
from roomkey_delivery.peers.carrier import MESSAGES_PATH
from roomkey_delivery.peers.keys import DomainKeys
from roomkey_delivery.peers.peers import ASK_AGAIN, KNOWN_FOR, read_document, read_peer_key
from roomkey_delivery.peers.relay import CLAIM_PATH, SYNCHRONOUS

from tests.delivery.federated import ELSEWHERE, Federated
from tests.delivery.local import NOW, code_of
from tests.delivery.people import person
from tests.delivery.processes import run_cli

ALICE = "alice@email1.example"
CLIENT = bytes(range(32))
MESSAGES = "/v1/messages"
CLAIM = init_key_requests.encode((GetUserInitKeyRequest(b"bob@email2.example", ()),))
WELL_KNOWN = "/.well-known/roomkey"


@pytest.fixture
async def federated(tmp_path: Path) -> AsyncIterator[Federated]:
    made = Federated(tmp_path)
    yield made
    await made.close()


async def vouch(
    federated: Federated,
    *,
    domain: str = "email1.example",
    identity: str = ALICE,
    client: bytes = CLIENT,
    path: str = CLAIM_PATH,
    body: bytes = CLAIM,
    kind: str = INIT_KEY_SETS,
    key: KeyPair | None = None,
    crypto: NativeCrypto | None = None,
    now: float | None = None,
) -> dict[str, str]:
    """The headers of a request at email2.example that the service of `domain` signs."""
    return await sign_as_domain(
        crypto or NativeCrypto(), key or federated.keys["email1.example"].signing, domain, client, identity, "POST",
        federated.second.url + path, body, kind, federated.second.time if now is None else now,
    )  # fmt: skip


async def send(
    federated: Federated, headers: dict[str, str], path: str = CLAIM_PATH, body: bytes = CLAIM
) -> tuple[int, str]:
    answer = await federated.second.bare.post(path, headers=headers, content=body)
    return answer.status_code, "" if answer.status_code < 300 else code_of(answer)


# -- the keys and their document --


def test_a_file_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    made = keys.load_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.load_or_make(path) == made
    (old,) = made.public
    both = keys.roll(path)
    assert (both.public[0], both.signing.public, len(both.public)) == (old, old, 2)
    after = keys.roll(path)
    assert after.public == both.public[1:]
    assert keys.load_or_make(path) == after
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["keys"]
    for damaged in ("", "{}", '{"seeds": []}', '{"seeds": ["AAAA"]}', '{"seeds": 5}', "[" * 100_000, "é"):
        path.write_text(damaged)
        with pytest.raises(RoomkeyError) as caught:
            keys.load_or_make(path)
        assert caught.value.code == "bad-argument"
    for missing in (tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(RoomkeyError) as caught:
            keys.load_or_make(missing)
        assert caught.value.code == "bad-argument"


def test_processes_that_start_together_have_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys"
    first = keys.load_or_make(path)
    monkeypatch.setattr(Path, "exists", lambda self: False)  # the other process looked before the file was there
    assert keys.load_or_make(path) == first


def test_the_command(tmp_path: Path) -> None:
    database = str(tmp_path / "service.db")
    first = run_cli("domain-key", "--db", database)
    assert (first.returncode, first.stdout.count("\n")) == (0, 1)
    assert run_cli("domain-key", "--db", database).stdout == first.stdout
    both = run_cli("domain-key", "--db", database, "--roll").stdout
    assert both.startswith(first.stdout)
    assert run_cli("domain-key", "--domain-key", database + ".domain-key").stdout == both
    key = first.stdout.strip()
    assert commands.peer_keys([f"email1.example={key}"]) == {"email1.example": (read_peer_key(f"x.y={key}")[1],)}
    for bad in ("email1.example", f"={key}", "email1.example=AAAA", f"Email1.example={key}", "email1.example=?"):
        with pytest.raises(RoomkeyError):
            commands.peer_keys([bad])
    with pytest.raises(RoomkeyError):
        commands.peer_keys([f"email1.example={key}"] * 3)


async def test_the_document(federated: Federated) -> None:
    said = (await federated.first.bare.get(WELL_KNOWN)).json()
    assert said == {"keys": [base64url(federated.keys["email1.example"].signing.public)]}
    assert read_document(said | {"service": "https://DS.email1.example/"}, NOW) == (
        NOW, "https://ds.email1.example", federated.keys["email1.example"].public,
    )  # fmt: skip


@pytest.mark.parametrize("listed", [None, 5, {}, ["?"], [5], [base64url(bytes(31))], [base64url(bytes(33))]])
def test_keys_that_are_none(listed: object) -> None:
    assert read_document({"keys": listed, "service": "http://email1.example"}, NOW) == (NOW, None, ())


def test_a_document_lists_two_keys_at_most() -> None:
    listed = [base64url(bytes([number]) * 32) for number in range(5)]
    assert read_document({"keys": listed}, NOW).keys == (bytes(32), b"\1" * 32)


# -- who is believed --


async def test_what_a_service_passes_on_is_taken_once(federated: Federated) -> None:
    headers = await vouch(federated)
    assert await send(federated, headers) == (200, "")
    assert await send(federated, headers) == (401, "request-replayed")
    assert await send(federated, await vouch(federated)) == (200, "")


async def test_another_service_another_path_another_client(federated: Federated) -> None:
    """S10: every part of what was signed is looked at."""

    async def document(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"keys": [base64url(keys.new_keys().signing.public)]})

    federated.between.played[f"ds.{ELSEWHERE}"] = document
    headers = await vouch(federated)
    delivery = MessageDelivery((CLIENT,), b"message").encode()
    for name, (path, changed, body) in {
        "another path": ("/v1/groups", {}, CLAIM),
        "a query": (CLAIM_PATH + "?a=b", {}, CLAIM),
        "another client": (CLAIM_PATH, {"roomkey-client": f"{base64url(bytes(32))} {ALICE}"}, CLAIM),
        "another identity": (CLAIM_PATH, {"roomkey-client": f"{base64url(CLIENT)} carol@email1.example"}, CLAIM),
        "another domain": (CLAIM_PATH, {"roomkey-home": ELSEWHERE}, CLAIM),
        "another body": (CLAIM_PATH, {"content-digest": content_digest(delivery)}, delivery),
        "another service": (CLAIM_PATH, {"host": "ds.email1.example"}, CLAIM),
        "no client": (CLAIM_PATH, {"roomkey-client": ""}, CLAIM),
        "a client's tag": (
            CLAIM_PATH, {"signature-input": headers["signature-input"].replace("roomkey-domain", "roomkey")}, CLAIM,
        ),
        "not covered": (
            CLAIM_PATH, {"signature-input": headers["signature-input"].replace(' "roomkey-client"', "")}, CLAIM,
        ),
    }.items():  # fmt: skip
        answer = await federated.second.bare.post(path, headers=headers | changed, content=body)
        assert answer.status_code in (400, 401), name
        assert code_of(answer) in ("request-refused", "malformed-request", "unknown-client", "service-unavailable"), (
            name
        )
    assert await send(federated, headers) == (200, "")  # and what was signed is good still


async def test_a_body_that_was_not_signed(federated: Federated) -> None:
    headers = await vouch(federated)
    other = init_key_requests.encode((GetUserInitKeyRequest(b"carol@email2.example", ()),))
    assert await send(federated, headers, body=other) == (401, "request-refused")


@pytest.mark.parametrize("off", [-301, 301])
async def test_an_old_signature(federated: Federated, off: float) -> None:
    assert await send(federated, await vouch(federated, now=NOW + off)) == (401, "clock-skew")


@pytest.mark.parametrize(
    "whom",
    ["bob@email2.example", "eve@email3.example", "Alice@email1.example", "alice", "", "alice@email1.example x"],
)
async def test_whom_a_domain_cannot_vouch_for(federated: Federated, whom: str) -> None:
    status, code = await send(federated, await vouch(federated, identity=whom))
    assert (status, code) in ((401, "request-refused"), (400, "malformed-request"))


async def test_nobody_vouches_for_our_own_clients(federated: Federated) -> None:
    """Not even with our own key: what comes from outside is not us."""
    mine = federated.keys["email2.example"].signing
    headers = await vouch(federated, domain="email2.example", identity="bob@email2.example", key=mine)
    federated.between.services["ds.email2.example"] = federated.second
    status, code = await send(federated, headers)
    assert (status, code) in ((401, "request-refused"), (401, "unknown-client"), (503, "service-unavailable"))


async def test_a_client_key_is_no_domain_key(federated: Federated) -> None:
    alice = await federated.first.enrolled("alice")
    pair = alice.signer.key
    headers = await vouch(federated, key=pair, crypto=alice.crypto)
    assert await send(federated, headers) == (401, "unknown-client")
    # and a domain key is no client's
    domain_key = federated.keys["email1.example"].signing
    as_client = await federated.second.signed(alice, "POST", CLAIM_PATH, CLAIM, INIT_KEY_SETS)
    assert await send(federated, as_client) == (200, "")
    mine, theirs = base64url(client_id(pair.public)), base64url(client_id(domain_key.public))
    as_client = await federated.second.signed(alice, "POST", CLAIM_PATH, CLAIM, INIT_KEY_SETS)
    swapped = as_client | {"signature-input": as_client["signature-input"].replace(mine, theirs)}
    assert await send(federated, swapped) == (401, "unknown-client")


async def test_a_client_does_not_name_whom_it_vouches_for(federated: Federated) -> None:
    alice = await federated.first.enrolled("alice")
    extra = {"roomkey-client": f"{base64url(CLIENT)} {ALICE}"}
    headers = await federated.second.signed(alice, "POST", CLAIM_PATH, CLAIM, INIT_KEY_SETS)
    assert await send(federated, headers | extra) == (401, "request-refused")
    covered = await requests._signed(
        alice.crypto, "ed25519", alice.signer.key, requests.TAG, {requests.HOME: "email1.example"} | extra, "POST",
        federated.second.url + CLAIM_PATH, CLAIM, INIT_KEY_SETS, NOW,
    )  # fmt: skip
    assert await send(federated, covered) == (401, "request-refused")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/user-init-keys", INIT_KEY_SETS),
        ("/v1/inbox/acknowledgements", JSON),
        ("/v1/clients/admissions", JSON),
        ("/v1/relay", "application/roomkey-relay"),
    ],
)
async def test_what_no_service_does_for_a_client(federated: Federated, path: str, kind: str) -> None:
    """A domain's signature counts where requests are passed on, and nowhere else."""
    headers = await vouch(federated, path=path, body=b"{}", kind=kind)
    assert await send(federated, headers, path, b"{}") == (401, "request-refused")


@pytest.mark.parametrize(
    ("path", "kind"),
    [(path, next(iter(rule.types))[0]) for path, rule in SYNCHRONOUS.items()] + [(MESSAGES_PATH, DELIVERY)],
)
async def test_whatever_is_passed_on_is_taken(federated: Federated, path: str, kind: str) -> None:
    """What a home service passes on is not refused for its signature; here it makes no sense, or there is no log."""
    headers = await vouch(federated, path=path, body=b"?", kind=kind)
    status, code = await send(federated, headers, path, b"?")
    assert (status, code) in ((400, "malformed-request"), (404, "malformed-request"))


async def test_a_service_that_vouches_for_a_client_of_ours_by_its_id(federated: Federated) -> None:
    """Its id alone makes nobody our client: we pass nothing on for who comes by another service."""
    bob = await federated.second.enrolled("bob")
    asked = GetUserInitKeyRequest(b"eve@email3.example", ()).encode()
    headers = await vouch(federated, client=bob.signer.client_id, body=asked, kind=FEDERATION)
    assert await send(federated, headers, body=asked) == (200, "")
    assert [request.url.path for request in federated.between.asked] == [WELL_KNOWN]


# -- whose keys --


async def test_a_key_is_asked_for_once_an_hour(federated: Federated) -> None:
    def asked() -> int:
        return sum(request.url.path == WELL_KNOWN for request in federated.between.asked)

    for _ in range(3):
        assert await send(federated, await vouch(federated)) == (200, "")
    assert asked() == 1
    federated.pass_time(KNOWN_FOR)
    assert await send(federated, await vouch(federated)) == (200, "")
    assert asked() == 2


async def test_a_new_key_is_known_at_once_and_the_old_one_for_an_hour(federated: Federated) -> None:
    old = federated.keys["email1.example"]
    assert await send(federated, await vouch(federated)) == (200, "")
    relay = federated.first.service.relay
    assert relay is not None
    both = old.rolled()
    relay.keys = both
    federated.pass_time(ASK_AGAIN)
    assert await send(federated, await vouch(federated, key=both.pairs[1])) == (200, "")
    assert await send(federated, await vouch(federated, key=old.signing)) == (200, "")
    relay.keys = both.rolled()
    assert await send(federated, await vouch(federated, key=old.signing)) == (200, "")
    federated.pass_time(KNOWN_FOR)
    assert await send(federated, await vouch(federated, key=old.signing)) == (401, "unknown-client")
    assert await send(federated, await vouch(federated, key=both.pairs[1])) == (200, "")


async def test_unknown_keys_do_not_make_us_ask_for_each(federated: Federated) -> None:
    strangers = [keys.new_keys().signing for _ in range(5)]
    for stranger in strangers:
        assert await send(federated, await vouch(federated, key=stranger)) == (401, "unknown-client")
    assert [request.url.path for request in federated.between.asked] == [WELL_KNOWN]
    federated.pass_time(ASK_AGAIN)
    assert await send(federated, await vouch(federated, key=strangers[0])) == (401, "unknown-client")
    assert [request.url.path for request in federated.between.asked] == [WELL_KNOWN] * 2


async def test_requests_at_the_same_time_ask_once(federated: Federated) -> None:
    headers = [await vouch(federated) for _ in range(10)]
    assert set(await asyncio.gather(*(send(federated, one) for one in headers))) == {(200, "")}
    assert [request.url.path for request in federated.between.asked] == [WELL_KNOWN]


async def test_a_pinned_key_is_the_only_one(tmp_path: Path) -> None:
    pinned = keys.new_keys()
    federated = Federated(tmp_path, peer_keys={"email1.example": pinned.public})
    try:
        assert await send(federated, await vouch(federated)) == (401, "unknown-client")
        assert await send(federated, await vouch(federated, key=pinned.signing)) == (200, "")
        assert federated.between.asked == []
    finally:
        await federated.close()


async def test_a_domain_whose_document_does_not_come(federated: Federated) -> None:
    federated.between.down.add("email1.example")
    assert await send(federated, await vouch(federated)) == (503, "service-unavailable")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00::1", "64:ff9b::7f00:1"])
async def test_s14_a_domain_that_points_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Neither a request that names it nor a client that wants it makes us ask an address inside."""

    def getaddrinfo(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(0, 0, 0, "", (address, 443))]

    federated = Federated(tmp_path, peers={"email1.example": "https://ds.email1.example"})
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        headers = await vouch(federated, domain="inside.example", identity="eve@inside.example")
        assert await send(federated, headers) == (503, "service-unavailable")
        alice = await federated.first.enrolled("alice")
        with pytest.raises(RoomkeyError) as caught:
            await federated.relay(alice, "inside.example").claim([GetUserInitKeyRequest(b"eve@inside.example", ())])
        assert (caught.value.code, caught.value.details["domain"]) == ("service-unavailable", "inside.example")
        await federated.relay(alice, "inside.example").send(b"message", [CLIENT])
        await federated.carry()
        assert federated.between.asked == []
    finally:
        await federated.close()


async def test_s14_a_public_domain_whose_service_is_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The document is public; the address that it names is not."""

    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", ("10.0.0.1" if host.startswith("ds.") else "93.184.216.34", 443))]

    federated = Federated(tmp_path, peers={})

    async def document(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"service": "https://ds.inside.example"})

    federated.between.played["93.184.216.34"] = federated.between.played["ds.inside.example"] = document
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        alice = await federated.first.enrolled("alice")
        with pytest.raises(RoomkeyError) as caught:
            await federated.relay(alice, "inside.example").claim([GetUserInitKeyRequest(b"eve@inside.example", ())])
        assert caught.value.code == "service-unavailable"
        assert [str(request.url) for request in federated.between.asked] == [
            "https://93.184.216.34/.well-known/roomkey"
        ]
    finally:
        await federated.close()


# -- how much --


async def test_one_domain_is_limited_as_a_whole(tmp_path: Path) -> None:
    federated = Federated(tmp_path, rates=Rates(peer=Rate(3, 1)))
    try:
        results = [await send(federated, await vouch(federated, client=bytes([n]) * 32)) for n in range(4)]
        assert results == [(200, "")] * 3 + [(429, "too-many-requests")]
    finally:
        await federated.close()


async def test_one_client_of_a_domain_is_limited_by_itself(tmp_path: Path) -> None:
    federated = Federated(tmp_path, rates=Rates(client=Rate(2, 1)))
    try:
        results = [await send(federated, await vouch(federated)) for _ in range(3)]
        assert results == [(200, "")] * 2 + [(429, "too-many-requests")]
        assert await send(federated, await vouch(federated, client=bytes(32))) == (200, "")
    finally:
        await federated.close()


async def test_looking_domains_up_is_limited(tmp_path: Path) -> None:
    federated = Federated(tmp_path, rates=Rates(lookup=Rate(2, 1)), peers={})
    try:
        eve = await person("eve@email1.example")
        assert eve.keys.identity == "eve@email1.example"
        results = []
        for number in range(3):
            domain = f"d{number}.invalid"
            results.append(await send(federated, await vouch(federated, domain=domain, identity=f"eve@{domain}")))
        assert results[:2] == [(503, "service-unavailable")] * 2
        assert results[2] == (429, "too-many-requests")
    finally:
        await federated.close()


def test_keys_show_no_secret() -> None:
    made: DomainKeys = keys.new_keys()
    private = made.signing.private
    assert isinstance(private, bytes)
    assert private.hex() not in repr(made)
    assert repr(private) not in repr(made)
