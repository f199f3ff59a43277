"""Others' keys where there is a log: claimed, proved and remembered; and members of conferences."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from pathlib import Path

import pytest
from roomkey.client.log_records import MANIFESTS, LogFork, ProvedManifest
from roomkey.client.log_view import ShownBy
from roomkey.client.logs import RECENT, STANDS_IN, Proof
from roomkey.errors import RoomkeyError
from roomkey.transparency.exchange import Answers, AnswersRequest

from tests.support.owners import ALICE, Device, Logged, device, owner

BOB = "bob@email2.example"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Logged]:
    async with Logged(tmp_path) as made:
        yield made


@pytest.fixture
async def alice(world: Logged) -> AsyncIterator[Device]:
    made = await owner(world, ALICE, publish=2)
    yield made
    await made.close()


@pytest.fixture
async def bob(world: Logged) -> AsyncIterator[Device]:
    made = await owner(world, BOB, publish=2)
    yield made
    await made.close()


async def test_a_claim_is_proved_by_the_log(alice: Device, bob: Device) -> None:
    fetched = await alice.client.fetch([BOB])
    assert not fetched.missing, fetched.missing
    (keys,) = fetched.keys
    assert (keys.proved.trust.by, keys.proved.trust.absent) == ("transparency", ())
    stored = ProvedManifest.decode(alice.host.disks[ALICE].records[MANIFESTS + BOB])
    assert stored.manifest == (await bob.logged()).manifest
    assert any(name.startswith("log/email2.example/roomkey+") for name in alice.host.disks[ALICE].records)


async def test_a_recent_proof_is_no_way_around_a_fork_or_a_doubt(alice: Device, bob: Device) -> None:
    await alice.client.fetch([BOB])
    logs = alice.client._logs
    (view,) = await logs.views([BOB])
    assert view.head is not None
    proofs = await logs.prove([BOB], within=RECENT, stands_in=STANDS_IN)
    assert isinstance(proofs[BOB], ProvedManifest)
    newer = view.head._replace(checkpoint=view.head.checkpoint._replace(size=view.head.checkpoint.size + 9))
    view.pending[ShownBy(BOB)] = newer
    for _ in range(2):  # at first it was shown, then it is in doubt
        proof = (await logs.prove([BOB], within=RECENT, stands_in=STANDS_IN))[BOB]
        assert isinstance(proof, RoomkeyError)
        assert (proof.code, proof.details["doubt"]) == ("log-unproven", True)
    assert alice.errors == ["log-unproven"]
    view.doubts.clear()
    note = view.head.note.encode()
    view.fork = LogFork(1, note, note)
    proof = (await logs.prove([BOB], within=RECENT, stands_in=STANDS_IN))[BOB]
    assert isinstance(proof, RoomkeyError)
    assert proof.code == "log-fork"


async def test_a_reset_that_was_seen_is_not_forgotten_while_the_log_is_silent(
    world: Logged, alice: Device, bob: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.client.fetch([BOB])
    logs = alice.client._logs
    again = await device(world, BOB)
    await again.create(await world.reset_code(BOB), reset=True)
    await again.listed(1)
    assert await _code(logs.prove([BOB])) == "identity-reset"
    monkeypatch.setattr(world.log_of(BOB), "answers", _nothing)
    assert await _code(logs.prove([BOB], stands_in=STANDS_IN)) == "identity-reset"
    assert await _code(logs.prove([BOB], within=RECENT, stands_in=STANDS_IN)) == "identity-reset"
    assert await _code(logs.prove([BOB])) == "identity-reset"
    await again.close()


async def _code(asked: Awaitable[Mapping[str, Proof]]) -> str:
    """The code by which one person is not proved."""
    (proof,) = (await asked).values()
    assert isinstance(proof, RoomkeyError)
    return proof.code


async def _nothing(request: AnswersRequest, *own: object) -> Answers:
    return Answers((), (None,) * len(request.requests))
