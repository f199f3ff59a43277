"""Names are bound to keys by one-time codes and by admissions."""

from __future__ import annotations

from pathlib import Path

import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.messages import Credential
from roomkey.federation.requests import base64url
from roomkey_delivery.config import ADMISSION_LIFETIME, CODE_LIFETIME
from roomkey_delivery.enrolment import new_code

from tests.delivery.local import Local
from tests.delivery.people import Person, person

ALICE = "alice@email1.example"


async def code_for(local: Local, identity: str = ALICE) -> str:
    return await new_code(local.service.store, identity, local.domain, local.time)


async def refused(local: Local, who: Person, code: str | None) -> str:
    with pytest.raises(RoomkeyError) as caught:
        await local.at(who).enrol(who.keys.credential, code)
    return caught.value.code


async def test_a_code_binds_once(local: Local) -> None:
    code = await code_for(local)
    alice, thief = await person(ALICE), await person(ALICE)
    await local.at(alice).enrol(alice.keys.credential, code)
    await local.at(alice).enrol(alice.keys.credential, code)  # the first answer was lost: fine
    assert await refused(local, thief, code) == "already-enrolled"
    with pytest.raises(RoomkeyError) as caught:
        await code_for(local)
    assert caught.value.code == "already-enrolled"


async def test_codes_as_people_type_them(local: Local) -> None:
    alice = await person(ALICE)
    code = await code_for(local)
    assert len(code) == 23
    await local.at(alice).enrol(alice.keys.credential, f" {code.upper().replace('-', ' ')} ")


async def test_wrong_codes_tell_nothing(local: Local) -> None:
    code = await code_for(local)
    alice, bob = await person(ALICE), await person("bob@email1.example")
    assert await refused(local, bob, code) == "enrolment-refused"  # another's code
    assert await refused(local, alice, "x" * 10_000) == "enrolment-refused"
    assert await refused(local, alice, None) == "enrolment-refused"
    await local.at(alice).enrol(alice.keys.credential, code)
    thief = await person(ALICE)
    assert await refused(local, thief, "wrong") == "enrolment-refused"  # no hint that the name is taken


async def test_a_new_code_ends_the_old_one_and_codes_expire(local: Local) -> None:
    alice = await person(ALICE)
    old = await code_for(local)
    new = await code_for(local)
    assert await refused(local, alice, old) == "enrolment-refused"
    local.time += CODE_LIFETIME
    assert await refused(local, alice, new) == "enrolment-refused"


async def test_an_older_client_admits_a_further_one(local: Local) -> None:
    phone = await local.enrolled("alice")
    laptop, thief = await person(ALICE), await person(ALICE)
    await local.at(phone).admit(laptop.signer.client_id)
    assert await refused(local, thief, None) == "enrolment-refused"
    await local.at(laptop).enrol(laptop.keys.credential, None)
    bob = await person("bob@email1.example")
    await local.at(phone).admit(bob.signer.client_id)
    assert await refused(local, bob, None) == "enrolment-refused"  # alice admits alices only
    late = await person(ALICE)
    await local.at(laptop).admit(late.signer.client_id)
    local.time += ADMISSION_LIFETIME
    assert await refused(local, late, None) == "enrolment-refused"


async def test_another_domain_s_name(local: Local) -> None:
    mallory = await person("mallory@email2.example")
    assert await refused(local, mallory, "any") == "enrolment-refused"
    with pytest.raises(RoomkeyError):
        await code_for(local, "mallory@email2.example")


async def test_a_key_has_one_name(local: Local) -> None:
    alice = await local.enrolled("alice")
    code = await code_for(local, "bob@email1.example")
    as_bob = Person(alice.crypto, alice.keys._replace(identity="bob@email1.example"))
    assert await refused(local, as_bob, code) == "already-enrolled"


async def test_possession_of_the_key_is_proved(local: Local) -> None:
    """A credential of someone else's key, signed with mine."""
    code = await code_for(local)
    alice, mallory = await person(ALICE), await person(ALICE)
    with pytest.raises(RoomkeyError) as caught:
        await local.at(mallory).enrol(alice.keys.credential, code)
    assert caught.value.code == "bad-argument"  # our own client does not even send it
    with pytest.raises(RoomkeyError) as caught:
        await local.at(mallory)._caller.call_json(
            "POST", "/v1/clients", {"credential": _text(alice.keys.credential), "code": code}
        )
    assert caught.value.code == "unknown-client"
    await local.at(alice).enrol(alice.keys.credential, code)  # the code is still good


async def test_open_enrolment_is_for_free_names_only(tmp_path: Path) -> None:
    local = Local(tmp_path, unsafe_open_enrolment=True)
    try:
        alice, thief = await person(ALICE), await person(ALICE)
        await local.at(alice).enrol(alice.keys.credential, None)
        assert await refused(local, thief, None) == "already-enrolled"
    finally:
        await local.close()


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"{}", b'{"credential": 5}', b'{"credential": "A"}', b'{"credential": "AA"}', b"[" * 9999],
)
async def test_malformed_bodies(local: Local, body: bytes) -> None:
    mallory = await person("mallory@email1.example")
    headers = await local.signed(mallory, "POST", "/v1/clients", body, "application/json")
    answer = await local.bare.post("/v1/clients", headers=headers, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request")


def _text(credential: Credential) -> str:
    return base64url(credential.encode())
