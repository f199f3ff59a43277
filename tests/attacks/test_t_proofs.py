"""Attacks on what a log proves: one thing is altered in an honest answer on its way to a whole client. Afterwards
nothing of it is kept, and the honest answer serves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from roomkey.client.log_records import HEADS, MANIFESTS
from roomkey.errors import RoomkeyError
from roomkey.transparency.checkpoints import cosign
from roomkey.transparency.exchange import Answers
from roomkey.transparency.notes import COSIGNATURE, Note
from roomkey.transparency.verifier import Trust

from tests.attacks.test_t_claims import ALICE_AND_BOB, known
from tests.delivery.people import person as somebody
from tests.support.attacked_logs import HOME, LYING, LoggedScene, Person, attacked_logs
from tests.support.audited_log import CRYPTO, make_key
from tests.support.log_attacks import ABSENCE, CONSISTENCY, PLACES, SIGNATURES, Lie, signed_by


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


async def learned(person: Person, kind: str) -> dict[str, bytes]:
    """What somebody holds of the log that is lied about."""
    return {name: data for name, data in (await person.stored(kind)).items() if LYING in name}


async def refused(person: Person, identity: str, code: str, *, head: bool = True) -> None:
    """What is said is refused by this code, and nothing of it stays. head: nor the head, which is as bad."""
    kinds = (HEADS, MANIFESTS) if head else (MANIFESTS,)
    before = [await learned(person, kind) for kind in kinds]
    assert await person.fetched(identity) == [code]
    assert [await learned(person, kind) for kind in kinds] == before


# -- T1: keys that are not logged --


async def test_t1_a_swapped_key_that_is_not_logged(scene: LoggedScene) -> None:
    """Valid sets by a key of the service's own under Bob's name, to who knows Bob and to who does not."""
    async with scene.people(*ALICE_AND_BOB, ("carol", HOME)) as (alice, bob, carol):
        found = await alice.client.fetch([bob.identity])
        assert not found.missing
        (swapped,) = await (await somebody(bob.identity)).sets(time.time(), suites=(1, 3, 2))
        scene.change_sets(lambda bundles: tuple(item.replace(set=swapped) for item in bundles[:1]))
        for person in (alice, carol):
            assert await person.fetched(bob.identity) == ["not-in-manifest"]
        scene.proxy.behave()
        for person in (alice, carol):
            assert await person.fetched(bob.identity) == ["fetched"]


# -- T8: consistency --


@pytest.mark.parametrize("lie", CONSISTENCY, ids=lambda lie: lie.name)
async def test_t8_a_bad_proof_of_consistency(scene: LoggedScene, lie: Lie) -> None:
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        assert await alice.fetched(bob.identity) == ["fetched"]
        await scene.further_device(bob)
        scene.change_answers(lie.alter)
        await refused(alice, bob.identity, lie.code)
        scene.proxy.behave()
        assert await alice.fetched(bob.identity) == ["fetched"]
        assert (await known(alice, bob.identity)).manifest.version == 2


# -- T9: places --


async def test_t9_the_answer_about_somebody_else(scene: LoggedScene) -> None:
    async with scene.people(*ALICE_AND_BOB, ("carol", LYING)) as (alice, bob, carol):
        scene.change_answers(lambda answers: answers.replace(answers=tuple(reversed(answers.answers))))
        assert await alice.fetched(bob.identity, carol.identity) == ["log-proof-invalid"] * 2
        assert await alice.stored(MANIFESTS) == {}
        scene.proxy.behave()
        assert await alice.fetched(bob.identity, carol.identity) == ["fetched"] * 2


@pytest.mark.parametrize("lie", PLACES, ids=lambda lie: lie.name)
async def test_t9_a_proof_of_something_else(scene: LoggedScene, lie: Lie) -> None:
    async with scene.people(*ALICE_AND_BOB, ("carol", LYING)) as (alice, bob, _):
        scene.change_answers(lie.alter)
        await refused(alice, bob.identity, lie.code, head=False)
        assert await learned(alice, MANIFESTS) == {}
        scene.proxy.behave()
        assert await alice.fetched(bob.identity) == ["fetched"]


# -- T10, T11: who signed --


@pytest.mark.parametrize("lie", SIGNATURES, ids=lambda lie: lie.name)
async def test_t10_too_few_auditors(scene: LoggedScene, lie: Lie) -> None:
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        assert await alice.fetched(bob.identity) == ["fetched"]
        await scene.further_device(bob)
        scene.change_answers(lie.alter)
        await refused(alice, bob.identity, lie.code)
        scene.proxy.behave()
        assert await alice.fetched(bob.identity) == ["fetched"]


async def test_t10_one_auditor_twice(scene: LoggedScene) -> None:
    """Alice believes two auditors together, and one of them signs for both."""
    other, _ = await make_key("email3.example/auditor", COSIGNATURE)
    trusts = scene.trusts
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        mine = trusts[LYING]
        try:
            scene.trusts = {**trusts, LYING: Trust(mine.log, mine.vrf_key, (*mine.cosigners, other))}
            await alice.reopen()

            def twice(note: Note) -> Note:
                (line,) = [item for item in note.signatures if item.name == mine.cosigners[0].name]
                return note._replace(signatures=(*note.signatures, line))

            scene.change_answers(signed_by(twice))
            await refused(alice, bob.identity, "log-unproven")
        finally:
            scene.trusts = trusts
        scene.proxy.behave()
        await alice.reopen()
        assert await alice.fetched(bob.identity) == ["fetched"]


async def test_t11_a_foreign_cosignature(scene: LoggedScene) -> None:
    """Beside the auditor's it is passed over, in its place it counts for nothing."""
    foreign, pair = await make_key("email3.example/auditor", COSIGNATURE)
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        answers: list[Answers] = []

        def keep(body: Answers) -> Answers:
            answers.append(body)
            return body

        scene.change_answers(keep)
        assert await alice.fetched(bob.identity) == ["fetched"]
        (answer,) = answers[-1].answers
        assert answer is not None
        note = Note.decode(answer.checkpoint)
        line = await cosign(CRYPTO, note, foreign, pair, int(time.time()))
        await alice.client.forget_contact(bob.identity)
        kept = answers[-1].replace(consistency=())

        def instead(signatures: tuple[object, ...]) -> Answers:
            told = note._replace(signatures=signatures)  # type: ignore[arg-type]
            return kept.replace(answers=(answer.replace(checkpoint=told.encode()),))

        scene.change_answers(lambda _: instead((note.signatures[0], line)))
        assert await alice.fetched(bob.identity) == ["log-unproven"]
        scene.change_answers(lambda _: instead((*note.signatures, line)))
        assert await alice.fetched(bob.identity) == ["fetched"]


# -- T18: forged absence --


@pytest.mark.parametrize("lie", ABSENCE, ids=lambda lie: lie.name)
async def test_t18_forged_absence(scene: LoggedScene, lie: Lie) -> None:
    async with scene.people(*ALICE_AND_BOB, ("carol", HOME)) as (alice, bob, carol):
        assert await carol.fetched(bob.identity) == ["fetched"]
        scene.change_answers(lie.alter)
        for person in (alice, carol):  # who never met Bob, and who did
            await refused(person, bob.identity, lie.code, head=False)
        scene.proxy.behave()
        assert await alice.fetched(bob.identity) == ["fetched"]


# -- T20: names --


@pytest.mark.parametrize(
    "identity",
    [
        f"b\u043eb@{LYING}",  # a Cyrillic o
        f"bob @{LYING}",
        f"bob@{LYING}\x00",
        f"bob@bob@{LYING}",
        f"{'b' * 65}@{LYING}",
        f"bob@{'a' * 64}.example",
        "b" * (1 << 20),
    ],
)
async def test_t20_names_that_are_none(scene: LoggedScene, identity: str) -> None:
    """Refused before anybody is asked."""
    async with scene.people(("alice", HOME)) as (alice,):
        asked: list[Answers] = []

        def hear(answers: Answers) -> Answers:
            asked.append(answers)
            return answers

        scene.change_answers(hear)
        with pytest.raises(RoomkeyError) as caught:
            await alice.client.fetch([identity])
        assert caught.value.code == "invalid-identity"
        assert asked == []


async def test_t20_one_name_has_one_form(scene: LoggedScene) -> None:
    """However it is typed, the log is asked about one identity, and what it says of another is refused."""
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        with pytest.raises(RoomkeyError) as caught:  # a Cyrillic e: another domain, whose service nobody named
            await alice.client.fetch([bob.identity.replace("@e", "@\u0435")])
        assert caught.value.code == "no-route"
        found = await alice.client.fetch([bob.identity.upper(), f"{bob.identity}."])
        assert [keys.identity for keys in found.keys] == [bob.identity]
        assert list(await alice.stored(MANIFESTS)) == [MANIFESTS + bob.identity]
