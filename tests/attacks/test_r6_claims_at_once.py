"""Two of a person's own tasks claim keys of the same people at once: each set is used once, or its owner refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.attacked_logs import HOME, LYING, LoggedScene, attacked_logs
from tests.support.simulator import until


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


async def test_a_set_that_was_proved_is_taken(scene: LoggedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a claim for two, Bob's set is on the disk already while Carol's is still being written: nobody else takes it.
    When who claimed it has gone, the next one does.
    """
    async with scene.people(("alice", HOME), ("bob", LYING), ("carol", HOME)) as (alice, bob, carol):
        store, begun, go_on = alice.client._store, asyncio.Event(), asyncio.Event()
        write = store.write

        async def late(puts: dict[str, bytes], *arguments: object, **options: object) -> None:
            if any(name.startswith(f"claimed/{carol.identity}/") for name in puts):
                begun.set()
                await go_on.wait()
            await write(puts, *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "write", late)
        first = asyncio.ensure_future(alice.client.fetch([bob.identity, carol.identity]))
        await begun.wait()
        (second,) = (await alice.client.fetch([bob.identity])).keys
        go_on.set()
        keys = (await first).keys
        assert [item.identity for item in keys] == [bob.identity, carol.identity]
        for name, sets in (("one", [keys[0]]), ("two", [second])):
            await alice.client.invite(await alice.client.create_conference(name, sets), sets)
        await until(lambda: len(bob.client.invitations()) == 2, "both invitations")
        assert bob.errors == []


async def test_what_nobody_waits_for_is_left_to_the_next(scene: LoggedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene.people(("alice", HOME), ("bob", LYING)) as (alice, bob):
        store, begun, go_on = alice.client._store, asyncio.Event(), asyncio.Event()
        write = store.write

        async def late(puts: dict[str, bytes], *arguments: object, **options: object) -> None:
            if any(name.startswith("claimed/") for name in puts):
                begun.set()
                await go_on.wait()
            await write(puts, *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "write", late)
        gone = asyncio.ensure_future(alice.client.fetch([bob.identity]))
        await begun.wait()
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        go_on.set()
        await until(lambda: not alice.client._contacts._claims, "the claim to end")
        ((_, kept),) = (await alice.stored("claimed/")).items()
        (keys,) = (await alice.client.fetch([bob.identity])).keys
        assert keys.proved.sets[0].set_id in kept
