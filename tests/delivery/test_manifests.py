"""The service's rules for manifests: who enrols, who is told the newest one, whose sets are taken and handed out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from roomkey.client import manifests
from roomkey.errors import RoomkeyError
from roomkey.federation.messages import GetUserInitKeyRequest
from roomkey.federation.requests import base64url
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.leaf_node import MAX_LIFETIME
from roomkey.transparency.devices import prove_recovery, recovery_key, recovery_pair
from roomkey.transparency.manifest import NO_PREVIOUS, Manifest, ManifestClient, sign_manifest
from roomkey_delivery.cli import main
from roomkey_delivery.enrolment import code_hash, new_code
from roomkey_delivery.store.interface import Client

from tests.delivery.local import Local
from tests.delivery.people import Person, person
from tests.support.logged_services import LoggedLocals

HOME = "email1.example"
ALICE, BOB = f"alice@{HOME}", f"bob@{HOME}"
SUITES = (1, 3)
CRYPTO = NativeCrypto()
RECOVERY = recovery_pair(CRYPTO, bytes(range(32)))


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[LoggedLocals]:
    made = LoggedLocals(tmp_path)
    assert await made.advance()
    yield made
    await made.close()


def listing(who: Person, suites: tuple[int, ...] = SUITES) -> ManifestClient:
    return ManifestClient(manifests.own_key(who.keys), suites, (1,))


def first(*clients: ManifestClient, identity: str = ALICE) -> Manifest:
    return Manifest(identity.encode(), 1, NO_PREVIOUS, clients, MAX_LIFETIME, recovery_key(RECOVERY).hash())


async def signed(manifest: Manifest, by: Person) -> bytes:
    return (await manifests.signed_by_us(by.crypto, by.keys, manifest)).encode()


async def recovered(manifest: Manifest) -> bytes:
    return (await sign_manifest(CRYPTO, manifest, recovery_key(RECOVERY), RECOVERY)).encode()


async def code_for(local: Local, identity: str = ALICE, *, reset: bool = False) -> str:
    return await new_code(local.service.store, identity, HOME, local.time, reset=reset)


async def enrol(
    local: Local, who: Person, code: str | None, manifest: bytes | None = None, *, reset: bool = False
) -> int | None:
    return await local.at(who).enrol(who.keys.credential, code, manifest=manifest, reset=reset)


async def refused(code: str, call: Awaitable[object]) -> None:
    with pytest.raises(RoomkeyError) as caught:
        await call
    assert caught.value.code == code


async def alice_of(logs: LoggedLocals) -> tuple[Person, Manifest]:
    """Alice's first client, listed under a cosigned checkpoint."""
    local, alice = logs.at[HOME], await person(ALICE)
    manifest = first(listing(alice))
    assert await enrol(local, alice, await code_for(local), await signed(manifest, alice)) == 1
    assert await logs.advance()
    return alice, manifest


async def test_a_code_takes_version_1_signed_by_who_enrols(logs: LoggedLocals) -> None:
    local, alice, mallory = logs.at[HOME], await person(ALICE), await person(ALICE)
    code, own = await code_for(local), first(listing(alice))
    await refused("manifest-refused", enrol(local, alice, code))
    for manifest, by in (
        (first(listing(mallory)), alice),  # lists another
        (first(listing(alice), listing(mallory)), mallory),  # signed by another
        (first(listing(alice), identity=BOB), alice),  # of another name
        (own.replace(version=2, previous=own.hash()), alice),  # no first one
    ):
        await refused("manifest-refused", enrol(local, alice, code, await signed(manifest, by)))
    await refused("malformed-request", enrol(local, alice, code, b"manifest"))
    await refused("enrolment-refused", enrol(local, alice, "wrong", await signed(own, alice)))
    await refused("enrolment-refused", enrol(local, alice, code, await signed(own, alice), reset=True))
    assert await logs.log().newest(ALICE) is None
    assert await enrol(local, alice, code, await signed(own, alice)) == 1
    assert await enrol(local, alice, code, await signed(own, alice)) == 1  # the first answer was lost: fine
    other = first(listing(alice, (1,)))
    await refused("identity-taken", enrol(local, alice, code, await signed(other, alice)))
    await refused("already-enrolled", enrol(local, mallory, code, await signed(first(listing(mallory)), mallory)))


async def test_who_is_listed_needs_no_code(logs: LoggedLocals) -> None:
    local, (phone, manifest), laptop = logs.at[HOME], await alice_of(logs), await person(ALICE)
    await refused("enrolment-refused", enrol(local, laptop, None))
    await local.at(phone).submit_manifest(
        await signed(manifests.after(manifest, (listing(phone), listing(laptop))), phone)
    )
    assert await enrol(local, laptop, None) == 2  # at once: it need not be cosigned yet


async def test_a_recovery_is_signed_by_the_recovery_key(logs: LoggedLocals) -> None:
    local, (lost, manifest), found = logs.at[HOME], await alice_of(logs), await person(ALICE)
    service, key = local.at(found), recovery_key(RECOVERY)
    proof = await prove_recovery(CRYPTO, RECOVERY, found.keys.client_id)
    newest = await service.newest_manifest(found.keys.credential, recovery=(key.encode(), proof))
    assert newest == await signed(manifest, lost)
    fresh = recovery_pair(CRYPTO, bytes(32))
    for wrong in (
        (key.encode(), await prove_recovery(CRYPTO, RECOVERY, lost.keys.client_id)),
        (recovery_key(fresh).encode(), await prove_recovery(CRYPTO, fresh, found.keys.client_id)),
    ):
        await refused("manifest-refused", service.newest_manifest(found.keys.credential, recovery=wrong))
    follows = manifests.after(manifest, (listing(found),))
    await refused("manifest-refused", enrol(local, found, None, await signed(follows, found)))
    await refused("manifest-refused", enrol(local, found, None, await signed(follows, lost)))
    old = first(listing(found))
    await refused("manifest-refused", enrol(local, found, None, await recovered(old)))
    assert await enrol(local, found, None, await recovered(follows)) == 2


async def test_a_reset_takes_a_code_for_it(logs: LoggedLocals) -> None:
    local, (lost, manifest), anew = logs.at[HOME], await alice_of(logs), await person(ALICE)
    service = local.at(anew)
    await refused("enrolment-refused", service.newest_manifest(anew.keys.credential, code="wrong"))
    await refused("enrolment-refused", service.newest_manifest(anew.keys.credential))
    code = await code_for(local, reset=True)
    assert await service.newest_manifest(anew.keys.credential, code=code) == await signed(manifest, lost)
    follows = await signed(manifests.after(manifest, (listing(anew),)), anew)
    await refused("enrolment-refused", enrol(local, anew, code, follows))
    assert await enrol(local, anew, code, follows, reset=True) == 2
    assert await logs.advance()
    assert (await local.at(lost).stock()).sets == 0  # it is known still, and vouched for no more
    for who, vouched in ((lost, False), (anew, True)):
        answer = await local.bare.post(
            "/v1/clients/lookup", json={"client": _text(who)}, headers={"content-type": "application/json"}
        )
        assert ("credential" in answer.json()) == vouched


async def test_sets_are_those_that_the_log_promises(logs: LoggedLocals) -> None:
    local, alice = logs.at[HOME], await person(ALICE)
    manifest, service = first(listing(alice)), local.at(alice)
    await enrol(local, alice, await code_for(local), await signed(manifest, alice))
    await refused("manifest-unproven", service.publish(await alice.sets(logs.time, suites=SUITES)))
    assert await logs.advance()
    for suites in ((1,), (1, 3, 2)):
        await refused("not-in-manifest", service.publish(await alice.sets(logs.time, suites=suites)))
    await service.publish(await alice.sets(logs.time, 2, suites=SUITES))
    laptop = await person(ALICE)
    await service.submit_manifest(await signed(manifests.after(manifest, (listing(laptop),)), alice))
    assert await enrol(local, laptop, None) == 2
    await refused("not-in-manifest", service.publish(await alice.sets(logs.time, suites=SUITES)))
    await refused("manifest-unproven", local.at(laptop).publish(await laptop.sets(logs.time, suites=SUITES)))
    asked = [GetUserInitKeyRequest(ALICE.encode(), ())]
    assert len(await service.claim(asked)) == 1  # until auditors have seen that the phone is off the list
    await local.at(laptop).submit_manifest(
        await signed(manifests.after(manifests.after(manifest, (listing(laptop),)), (listing(laptop, (1,)),)), laptop)
    )
    assert await logs.advance()
    await refused("not-in-manifest", local.at(laptop).publish(await laptop.sets(logs.time, suites=SUITES)))
    assert await service.claim(asked) == ()
    assert (await service.stock()).sets == 1  # withheld, not lost


async def test_names_that_go_to_who_comes_first(tmp_path: Path) -> None:
    logs = LoggedLocals(tmp_path, unsafe_open_enrolment=True)
    try:
        local, alice, thief = logs.at[HOME], await person(ALICE), await person(ALICE)
        assert await enrol(local, alice, None, await signed(first(listing(alice)), alice)) == 1
        await refused("identity-taken", enrol(local, thief, None, await signed(first(listing(thief)), thief)))
    finally:
        await logs.close()


async def test_a_service_without_a_log_passes_manifests_over(local: Local) -> None:
    alice = await person(ALICE)
    assert await enrol(local, alice, await code_for(local), await signed(first(listing(alice)), alice)) is None
    await refused("manifest-refused", local.at(alice).newest_manifest(alice.keys.credential))
    other = await person(ALICE)
    await refused("enrolment-refused", enrol(local, other, await code_for(local, reset=True), reset=True))


async def test_the_operator_s_command(local: Local, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`roomkey-delivery enrol --reset NAME` gives out a code for a name that is taken, and nothing else does."""
    alice, anew = await local.enrolled("alice"), await person(ALICE)
    database = str(tmp_path / f"{HOME}.db")
    assert _command("enrol", ALICE, "--db", database) == 1
    capsys.readouterr()
    assert _command("enrol", "--reset", ALICE, "--db", database) == 0
    code = capsys.readouterr().out.strip()
    store = local.service.store
    client = Client(anew.keys.client_id, ALICE, 0x0807, alice.signer.key.public)
    assert await store.check_code(client, code_hash(code), local.time)


def _command(*arguments: str) -> int:
    """Runs a command, which has an event loop of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(main, list(arguments)).result()


def _text(who: Person) -> str:
    return base64url(who.keys.client_id)
