"""Who once had a code or a device cannot keep an identity from its owner (wire.md section 6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.errors import RoomkeyError
from roomkey.transparency.manifest import Manifest
from roomkey_delivery.log import log as logs_own
from roomkey_delivery.log.submitting import MAX_A_DAY

from tests.delivery.people import Person, person
from tests.delivery.test_manifests import (
    ALICE,
    HOME,
    alice_of,
    code_for,
    enrol,
    listing,
    recovered,
    refused,
    signed,
)
from tests.support.logged_services import LoggedLocals


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[LoggedLocals]:
    made = LoggedLocals(tmp_path)
    assert await made.advance()
    yield made
    await made.close()


def following(before: Manifest, *who: Person) -> Manifest:
    return before.replace(
        version=before.version + 1, previous=before.hash(), clients=tuple(listing(item) for item in who)
    )


async def test_a_reset_code_is_good_for_one_reset_also_to_who_used_it(logs: LoggedLocals) -> None:
    """The thief used it first; the owner, by the recovery key, took the thief off the list. It stays so."""
    local = logs.at[HOME]
    _, first = await alice_of(logs)
    thief, owner = await person(ALICE), await person(ALICE)
    code = await code_for(local, reset=True)
    stolen = following(first, thief)
    data = await signed(stolen, thief)
    assert await enrol(local, thief, code, data, reset=True) == 2
    assert await enrol(local, thief, code, data, reset=True) == 2  # the answer may have been lost
    back = following(stolen, owner)
    assert await enrol(local, owner, None, await recovered(back)) == 3
    assert await enrol(local, thief, code, data, reset=True) == 2  # nothing new
    again = await signed(following(back, thief), thief)
    await refused("manifest-refused", enrol(local, thief, code, again, reset=True))
    newest = await logs.log().newest(ALICE)
    assert newest is not None
    assert newest.manifest == back


async def test_a_reset_code_is_good_for_one_of_two_who_race(
    logs: LoggedLocals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second knows what the first one is about to say, and comes right after."""
    local = logs.at[HOME]
    _, first = await alice_of(logs)
    one, two = await person(ALICE), await person(ALICE)
    code = await code_for(local, reset=True)
    by_one = following(first, one)
    by_two = following(by_one, two)
    arrived, goes_on = asyncio.Event(), asyncio.Event()
    honest = logs_own.Log.submit

    async def slow(log: object, item: object, now: float, *, reset: bool = False) -> int:
        version = await honest(log, item, now, reset=reset)  # type: ignore[arg-type]
        if version == 2:
            arrived.set()
            await goes_on.wait()
        return version

    monkeypatch.setattr(logs_own.Log, "submit", slow)
    racing = asyncio.ensure_future(enrol(local, one, code, await signed(by_one, one), reset=True))
    await arrived.wait()
    try:
        await refused("already-enrolled", enrol(local, two, code, await signed(by_two, two), reset=True))
    finally:
        goes_on.set()
        assert await racing == 2
    newest = await logs.log().newest(ALICE)
    assert newest is not None
    assert newest.manifest == by_one


@pytest.mark.parametrize("way", ["recovery", "reset"])
async def test_a_stolen_device_cannot_use_up_the_versions_of_a_day(logs: LoggedLocals, way: str) -> None:
    """Its versions change nothing, and keep the next one from being made by who could remove it."""
    local = logs.at[HOME]
    alice, newest = await alice_of(logs)
    for _ in range(MAX_A_DAY - 1):
        newest = following(newest, alice)
        await local.at(alice).submit_manifest(await signed(newest, alice))
    with pytest.raises(RoomkeyError) as caught:
        await local.at(alice).submit_manifest(await signed(following(newest, alice), alice))
    assert caught.value.code == "too-many-requests"
    owner = await person(ALICE)
    back = following(newest, owner)
    if way == "recovery":
        assert await enrol(local, owner, None, await recovered(back)) == MAX_A_DAY + 1
    else:
        code = await code_for(local, reset=True)
        assert await enrol(local, owner, code, await signed(back, owner), reset=True) == MAX_A_DAY + 1
