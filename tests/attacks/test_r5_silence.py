"""A log that was caught with two truths, and keeps quiet: silence is no way out of a doubt (wire.md section 6)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from roomkey.client.log_records import MANIFESTS, ProvedManifest
from roomkey.errors import RoomkeyError

from tests.attacks.test_t_claims import ALICE_AND_BOB, invited, logged
from tests.support.attacked_logs import HOME, LYING, LoggedScene, Person, attacked_logs
from tests.support.forged_log import DAY, ForgedLog
from tests.support.simulator import until


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


async def doubted(person: Person, identity: str) -> None:
    """Nothing that the log said before serves in place of what it does not say now."""
    proof = (await person.client._logs.prove([identity], stands_in=DAY))[identity]
    assert isinstance(proof, RoomkeyError), "expected no proof by a log in doubt"
    assert (proof.code, proof.details.get("doubt")) == ("log-unproven", True)


@pytest.mark.parametrize("answers_first", [True, False])
async def test_a_log_in_doubt_keeps_quiet(scene: LoggedScene, answers_first: bool) -> None:
    """Alice is lied to; Carol shows the true head. Whether the service answers once more or never again: what it
    proved to Alice before is of the branch that is in doubt, and serves for nobody, also after a restart.
    """
    async with scene.people(*ALICE_AND_BOB, ("carol", HOME)) as (alice, bob, carol):
        await carol.client.set_service(scene.services.at(LYING).url, [LYING])
        assert await carol.fetched(bob.identity) == ["fetched"]
        true = (await carol.client._logs.views([bob.identity]))[0].head
        assert true is not None
        log = await two_truths(scene, bob, true.checkpoint.size + 3)
        conference = await alice.call(bob)
        await invited(alice, conference, carol)
        assert isinstance(await proof_of(alice, bob), ProvedManifest)
        if not answers_first:
            scene.hide_log()
        await carol.client.conferences()[0].send(b"hello")
        await until(lambda: "log-unproven" in alice.errors, "who was lied to to say so")
        scene.hide_log()
        await doubted(alice, bob.identity)
        await alice.reopen()
        await doubted(alice, bob.identity)
        log.append()
        scene.other_log(log)  # it goes on as before, and never joins what Carol was shown
        await doubted(alice, bob.identity)


async def test_a_log_that_says_nothing_of_somebody_is_not_out_of_doubt(scene: LoggedScene) -> None:
    """ "No answer" is an answer without a head: nothing is held against what Carol showed."""
    async with scene.people(*ALICE_AND_BOB, ("carol", HOME)) as (alice, bob, carol):
        await carol.client.set_service(scene.services.at(LYING).url, [LYING])
        assert await carol.fetched(bob.identity) == ["fetched"]
        true = (await carol.client._logs.views([bob.identity]))[0].head
        assert true is not None
        await two_truths(scene, bob, true.checkpoint.size + 3)
        conference = await alice.call(bob)
        await invited(alice, conference, carol)
        scene.proxy.instead.clear()
        scene.change_answers(lambda answers: answers.replace(consistency=(), answers=(None,) * len(answers.answers)))
        await carol.client.conferences()[0].send(b"hello")
        await until(lambda: "log-unproven" in alice.errors, "who was lied to to say so")
        await doubted(alice, bob.identity)


async def two_truths(scene: LoggedScene, bob: Person, size: int) -> ForgedLog:
    """Another log answers who is lied to; of Bob it says the truth."""
    log = scene.forged_log()
    log.append(await logged(bob))
    while log.size < size:
        log.append()
    scene.other_log(log)
    return log


async def proof_of(person: Person, other: Person) -> ProvedManifest | None:
    data = (await person.stored(MANIFESTS)).get(MANIFESTS + other.identity)
    return None if data is None else ProvedManifest.decode(data)
