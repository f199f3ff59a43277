"""Who sent a request: the rules of `roomkey_delivery.signatures`, each broken once (attack S10 among them)."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from roomkey.crypto.suites import Scheme
from roomkey.errors import RoomkeyError
from roomkey.federation.requests import content_digest
from roomkey_delivery.config import Rate, Rates

from tests.delivery.local import NOW, Local, code_of
from tests.delivery.people import person

STOCK = "/v1/user-init-keys"
ACK = "/v1/inbox/acknowledgements"
BODY = b'{"through":0}'


@pytest.mark.parametrize("scheme", ["ed25519", "ecdsa_secp256r1_sha256"])
async def test_a_signed_request_is_taken_once(local: Local, scheme: Scheme) -> None:
    alice = await local.enrolled("alice", scheme=scheme)
    headers = await local.signed(alice, "GET", STOCK)
    assert (await local.bare.get(STOCK, headers=headers)).status_code == 200
    again = await local.bare.get(STOCK, headers=headers)
    assert (again.status_code, code_of(again)) == (401, "request-replayed")
    local.time += 299
    again = await local.bare.get(STOCK, headers=headers)
    assert code_of(again) == "request-replayed"
    local.time += 2  # now it is too old anyhow
    again = await local.bare.get(STOCK, headers=headers)
    assert code_of(again) == "clock-skew"


async def test_nonces_are_forgotten_after_600_seconds(local: Local) -> None:
    store = local.service.store
    assert await store.use_nonce(b"a", "n", NOW, 600)
    assert not await store.use_nonce(b"a", "n", NOW + 599, 600)
    assert await store.use_nonce(b"b", "n", NOW, 600)  # each client has nonces of its own
    assert await store.use_nonce(b"a", "n", NOW + 600, 600)


@pytest.mark.parametrize("off", [-301, 301, 86400 * 365])
async def test_clock_skew_tells_the_time(local: Local, off: float) -> None:
    alice = await local.enrolled("alice")
    answer = await local.bare.get(STOCK, headers=await local.signed(alice, "GET", STOCK, now=NOW + off))
    assert (answer.status_code, code_of(answer), answer.json()["time"]) == (401, "clock-skew", NOW)


async def test_the_client_corrects_its_clock_once(local: Local) -> None:
    alice = await local.enrolled("alice")
    local.skew = 3600.0
    at = local.at(alice)
    local.requests = 0
    assert (await at.stock()).sets == 0
    assert local.requests == 2
    assert (await at.stock()).sets == 0  # and remembers
    assert local.requests == 3


async def test_relayed_to_another_service(tmp_path: Path, local: Local) -> None:
    """A service that got a signed request cannot use it at another one, not even with the other's Host."""
    alice = await local.enrolled("alice")
    headers = await local.signed(alice, "GET", STOCK)
    answer = await local.bare.get(STOCK, headers=headers | {"host": "ds.email2.example"})
    assert (answer.status_code, code_of(answer)) == (401, "request-refused")
    local.url = "https://ds.email2.example"
    headers = await local.signed(alice, "GET", STOCK)
    answer = await local.bare.get(STOCK, headers=headers)  # signed for email2, sent to email1 as email1
    assert (answer.status_code, code_of(answer)) == (401, "request-refused")
    answer = await local.bare.get(STOCK, headers=headers | {"host": "ds.email2.example"})  # and as email2
    assert (answer.status_code, code_of(answer)) == (401, "request-refused")


async def test_each_covered_part_is_covered(local: Local) -> None:
    alice = await local.enrolled("alice")
    headers = await local.signed(alice, "POST", ACK, BODY, "application/json")
    cases = {
        "another path": ("POST", "/v1/clients/admissions", {}, BODY),
        "a query": ("POST", ACK + "?a=b", {}, BODY),
        "another body": ("POST", ACK, {}, b'{"through":1}'),
        "another body with its digest": (
            "POST",
            ACK,
            {"content-digest": content_digest(b'{"through":1}')},
            b'{"through":1}',
        ),
    }
    for name, (method, path, changed, body) in cases.items():
        answer = await local.bare.request(method, path, headers=headers | changed, content=body)
        assert (answer.status_code, code_of(answer)) == (401, "request-refused"), name
    # the digest is looked at last, so the nonce of "another body" is used up; a fresh one is good
    headers = await local.signed(alice, "POST", ACK, BODY, "application/json")
    assert (await local.bare.post(ACK, headers=headers, content=BODY)).status_code == 200


@pytest.mark.parametrize(
    "missing", ["@method", "@authority", "@path", "@query", "content-type", "content-digest", "roomkey-home"]
)
async def test_each_part_must_be_covered(local: Local, missing: str) -> None:
    alice = await local.enrolled("alice")
    headers = await local.signed(alice, "POST", ACK, BODY, "application/json")
    headers["signature-input"] = headers["signature-input"].replace(f'"{missing}" ', "").replace(f' "{missing}"', "")
    answer = await local.bare.post(ACK, headers=headers, content=BODY)
    assert (answer.status_code, code_of(answer)) == (401, "request-refused")


async def test_without_or_with_several_signatures(local: Local) -> None:
    alice = await local.enrolled("alice")
    headers = await local.signed(alice, "GET", STOCK)
    for changed in (
        {},
        {"signature": headers["signature"]},
        {"signature-input": headers["signature-input"]},
        headers | {"signature": "roomkey=:AAAA:"},
        headers | {"signature-input": headers["signature-input"].replace('tag="roomkey"', 'tag="other"')},
        headers | {"signature-input": headers["signature-input"].replace("keyid=", "alg=")},
    ):
        answer = await local.bare.get(STOCK, headers=changed)
        assert (answer.status_code, code_of(answer)) == (401, "request-refused")
    twice = [*headers.items(), ("signature", headers["signature"])]
    answer = await local.bare.get(STOCK, headers=twice)
    assert code_of(answer) == "request-refused"


async def test_who_is_not_enrolled(local: Local) -> None:
    mallory = await person("mallory@email1.example")
    answer = await local.bare.get(STOCK, headers=await local.signed(mallory, "GET", STOCK))
    assert (answer.status_code, code_of(answer)) == (401, "unknown-client")


async def test_another_client_s_name_on_my_signature(local: Local) -> None:
    alice, bob = await local.enrolled("alice"), await local.enrolled("bob")
    headers = await local.signed(alice, "GET", STOCK)
    mine = headers["signature-input"].partition('keyid="')[2][:43]
    theirs = (await local.signed(bob, "GET", STOCK))["signature-input"].partition('keyid="')[2][:43]
    headers["signature-input"] = headers["signature-input"].replace(mine, theirs)
    answer = await local.bare.get(STOCK, headers=headers)
    assert (answer.status_code, code_of(answer)) == (401, "request-refused")


async def test_a_raw_signature_is_not_der(local: Local) -> None:
    bob = await local.enrolled("bob", scheme="ecdsa_secp256r1_sha256")
    headers = await local.signed(bob, "GET", STOCK)
    raw = base64.b64decode(headers["signature"][9:-1])
    assert len(raw) == 64
    headers["signature"] = f"roomkey=:{base64.b64encode(b'0D' + raw).decode()}:"
    answer = await local.bare.get(STOCK, headers=headers)
    assert (answer.status_code, code_of(answer)) == (401, "request-refused")


async def test_rate_of_one_client(tmp_path: Path) -> None:
    local = Local(tmp_path, rates=Rates(client=Rate(3, 0.5)))
    try:
        alice, bob = await local.enrolled("alice"), await local.enrolled("bob")  # one request each
        at = local.at(alice)
        await at.stock()
        await at.stock()
        with pytest.raises(RoomkeyError) as caught:
            await at.stock()
        assert (caught.value.code, caught.value.retry_after) == ("too-many-requests", 2)
        await local.at(bob).stock()  # bob is not alice
        local.time += 2
        await at.stock()
    finally:
        await local.close()
