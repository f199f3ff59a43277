"""Sets: published, counted, claimed; what the service refuses (attacks S4 to S8)."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import FEDERATION, INIT_KEY_SETS, init_key_requests
from roomkey.federation.init_keys import LIFETIME, InitKeySet, set_id
from roomkey.federation.messages import GetUserInitKeyRequest, GetUserInitKeyResponse, sign
from roomkey_delivery.config import Rate, Rates

from tests.delivery.local import NOW, Local, code_of
from tests.delivery.people import Person, person

CLAIM = "/v1/user-init-keys/claim"
BOB = b"bob@email1.example"


def ask(identity: bytes = BOB, *suites: int) -> GetUserInitKeyRequest:
    return GetUserInitKeyRequest(identity, suites)


async def claim(local: Local, who: Person, identity: bytes = BOB, *suites: int) -> list[InitKeySet]:
    return [bundle.set for bundle in await local.at(who).claim([ask(identity, *suites)])]


async def test_each_set_once_and_in_order(local: Local) -> None:
    alice, bob = await local.enrolled("alice"), await local.enrolled("bob")
    sets = await bob.sets(NOW, 3)
    assert await local.at(bob).publish(sets) == (3, False, int(NOW + LIFETIME))
    got = [await claim(local, alice) for _ in range(4)]
    assert got == [[sets[0]], [sets[1]], [sets[2]], []]
    assert await local.at(bob).stock() == (0, False, None)


async def test_a_set_for_each_client(local: Local) -> None:
    alice, phone = await local.enrolled("alice"), await local.enrolled("bob")
    laptop = await _second_client(local, phone)
    (one,), (other,) = await phone.sets(NOW), await laptop.sets(NOW)
    await local.at(laptop).publish([other])
    await local.at(phone).publish([one])
    assert sorted(s.set_id for s in await claim(local, alice)) == sorted([one.set_id, other.set_id])


async def test_last_resort_only_when_empty_and_again_and_again(local: Local) -> None:
    alice, bob = await local.enrolled("alice"), await local.enrolled("bob")
    (last,) = await bob.sets(NOW, last_resort=True)
    (plain,) = await bob.sets(NOW)
    await local.at(bob).publish([last, plain])
    assert await local.at(bob).stock() == (1, True, int(NOW + LIFETIME))
    assert [await claim(local, alice) for _ in range(3)] == [[plain], [last], [last]]
    (newer,) = await bob.sets(NOW, last_resort=True)
    await local.at(bob).publish([newer])
    assert await claim(local, alice) == [newer]
    assert await local.at(bob).publish([last]) == (0, True, int(NOW + LIFETIME))  # the replaced one does not come back
    assert await claim(local, alice) == [newer]


async def test_suites_asked_for(local: Local) -> None:
    """Draft numbers: 0 is P-256, 1 X25519; a set comes whole or stays."""
    alice, bob = await local.enrolled("alice"), await local.enrolled("bob")
    (p256,), (both,) = await bob.sets(NOW, suites=(2,)), await bob.sets(NOW, suites=(1, 3))
    (last,) = await bob.sets(NOW, suites=(2,), last_resort=True)
    await local.at(bob).publish([p256, both, last])
    assert await claim(local, alice, BOB, 4) == []
    assert await claim(local, alice, BOB, 4, 3) == [both]
    assert await claim(local, alice, BOB, 1) == []
    assert await claim(local, alice, BOB, 0) == [p256]
    assert await claim(local, alice) == [last]


async def test_uploads_are_idempotent_and_claimed_sets_never_return(local: Local) -> None:
    alice, bob = await local.enrolled("alice"), await local.enrolled("bob")
    sets = await bob.sets(NOW, 2)
    at = local.at(bob)
    assert (await at.publish(sets)).sets == 2
    assert (await at.publish(sets)).sets == 2
    assert await claim(local, alice) == [sets[0]]
    assert (await at.publish(sets)).sets == 1
    assert await claim(local, alice) == [sets[1]]
    assert (await at.publish(sets)).sets == 0


async def test_same_id_other_content(local: Local) -> None:
    alice, bob = await local.enrolled("alice"), await local.enrolled("bob", scheme="ecdsa_secp256r1_sha256")
    first, second = await bob.sets(NOW, 2)
    await local.at(bob).publish([first])
    pair = bob.keys.pairs[bob.keys.scheme]
    (signed,) = await sign(bob.crypto, [(first.user_init_key.replace(signature=b""), pair)])  # ECDSA: another signature
    other = first.replace(user_init_key=signed)
    assert other.set_id == first.set_id
    assert other != first
    assert await _refusal(local, bob, [second, other]) == "set-conflict"
    assert (await local.at(bob).stock()).sets == 1  # all or none
    assert await claim(local, alice) == [first]


async def _resigned(bob: Person, item: InitKeySet, **changes: object) -> InitKeySet:
    changed = item.user_init_key.replace(signature=b"", **changes)
    (signed,) = await sign(bob.crypto, [(changed, bob.keys.pairs[bob.keys.scheme])])
    return item.replace(user_init_key=signed)


async def test_what_is_not_a_set(local: Local) -> None:
    bob = await local.enrolled("bob")
    one, other = await bob.sets(NOW, 2)
    index = one.user_init_key
    broken = {
        "an altered signature": one.replace(user_init_key=index.replace(signature=bytes(64))),
        "another id": await _resigned(bob, one, user_init_key_id=bytes(32)),
        "other init keys": await _resigned(bob, one, init_keys=other.user_init_key.init_keys),
        "suites crossed": await _resigned(
            bob, one, cipher_suites=index.cipher_suites[::-1], init_keys=index.init_keys[::-1]
        ),
        "other key packages": one.replace(key_packages=other.key_packages),
        "fewer key packages": one.replace(key_packages=one.key_packages[:1]),
    }
    (last,) = await bob.sets(NOW, last_resort=True)
    mixed = (one.key_packages[0], last.key_packages[1])
    keys = tuple(package.init_key for package in mixed)
    broken["a mark on one only"] = await _resigned(
        bob, one.replace(key_packages=mixed), user_init_key_id=set_id(mixed), init_keys=keys
    )
    for name, item in broken.items():
        assert await _refusal(local, bob, [other, item]) == "invalid-set", name
    assert (await local.at(bob).stock()).sets == 0


async def test_expired_early_and_foreign_sets(local: Local) -> None:
    alice, bob = await local.enrolled("alice"), await local.enrolled("bob")
    assert await _refusal(local, bob, await bob.sets(NOW - 7200, lifetime=3600)) == "set-expired"
    assert await _refusal(local, bob, await bob.sets(NOW + 7200)) == "set-expired"
    assert await _refusal(local, alice, await bob.sets(NOW)) == "not-yours"
    (short,) = await bob.sets(NOW, lifetime=100)
    await local.at(bob).publish([short])
    local.time += 100
    assert await local.at(bob).stock() == (0, False, None)
    assert await claim(local, alice) == []


async def test_stock_is_bounded(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomkey_delivery.init_keys.MAX_STOCK", 2)
    bob = await local.enrolled("bob")
    sets = await bob.sets(NOW, 3)
    await local.at(bob).publish(sets[:2])
    assert await _refusal(local, bob, sets) == "stock-full"
    assert (await local.at(bob).stock()).sets == 2


async def test_the_draft_s_view(local: Local) -> None:
    alice, bob = await local.enrolled("alice"), await local.enrolled("bob")
    (one,) = await bob.sets(NOW)
    await local.at(bob).publish([one])
    body = ask(BOB, 1).encode()
    answer = await _post(local, alice, CLAIM, body, FEDERATION)
    assert answer.headers["content-type"] == FEDERATION
    response = GetUserInitKeyResponse.decode(answer.content)
    assert [(b.identity, b.user_init_key) for b in response.user_init_keys] == [(BOB, one.user_init_key)]
    answer = await _post(local, alice, CLAIM, body, FEDERATION)
    assert GetUserInitKeyResponse.decode(answer.content).user_init_keys == ()


async def test_unknown_and_key_less_identities_answer_alike(local: Local) -> None:
    alice, _ = await local.enrolled("alice"), await local.enrolled("bob")
    answers = []
    for identity in (BOB, b"nobody@email1.example", b"bob@elsewhere.example"):
        body = init_key_requests.encode((ask(identity),))
        answer = await _post(local, alice, CLAIM, body, INIT_KEY_SETS)
        answers.append((answer.status_code, answer.content, dict(answer.headers)))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][:2] == (200, b"\x00")


@pytest.mark.parametrize(
    "requests",
    [
        lambda: (),
        lambda: (ask(), ask()),
        lambda: tuple(ask(b"p%d@email1.example" % n) for n in range(51)),
        lambda: (ask(b"Bob@email1.example"),),
        lambda: (ask(b"bob'; DROP TABLE sets--@email1.example"),),
        lambda: (ask(b"../bob\r\nx: y@email1.example"),),
    ],
)
async def test_malformed_claims(local: Local, requests: Callable[[], tuple[GetUserInitKeyRequest, ...]]) -> None:
    alice = await local.enrolled("alice")
    answer = await _post(local, alice, CLAIM, init_key_requests.encode(requests()), INIT_KEY_SETS)
    assert (answer.status_code, code_of(answer)) == (400, "malformed-request")


@pytest.mark.parametrize("kind", ["application/json", "text/plain", INIT_KEY_SETS + "; charset=utf-8", ""])
async def test_other_media_types(local: Local, kind: str) -> None:
    alice = await local.enrolled("alice")
    answer = await _post(local, alice, CLAIM, init_key_requests.encode((ask(),)), kind)
    assert (answer.status_code, code_of(answer)) == (400, "malformed-request")


async def test_draining_is_limited_by_claimer_and_by_target(tmp_path_factory: pytest.TempPathFactory) -> None:
    for rates in (Rates(claimed=Rate(2, 0.1)), Rates(target=Rate(2, 0.1))):
        local = Local(tmp_path_factory.mktemp("drain"), rates=rates)
        try:
            alice, bob = await local.enrolled("alice"), await local.enrolled("bob")
            await local.at(bob).publish(await bob.sets(NOW, 3))
            await claim(local, alice)
            await claim(local, alice)
            with pytest.raises(RoomkeyError) as caught:
                await claim(local, alice)
            assert (caught.value.code, caught.value.retry_after) == ("too-many-requests", 10)
            assert (await local.at(bob).stock()).sets == 1
            local.time += 10
            assert len(await claim(local, alice)) == 1
        finally:
            await local.close()


async def _second_client(local: Local, first: Person) -> Person:
    second = await person(first.keys.identity)
    await local.at(first).admit(second.signer.client_id)
    await local.at(second).enrol(second.keys.credential, None)
    return second


async def _refusal(local: Local, who: Person, sets: list[InitKeySet]) -> str:
    with pytest.raises(RoomkeyError) as caught:
        await local.at(who).publish(sets)
    return caught.value.code


async def _post(local: Local, who: Person, path: str, body: bytes, kind: str) -> httpx.Response:
    headers = await local.signed(who, "POST", path, body, kind)
    return await local.bare.post(path, headers=headers, content=body)
