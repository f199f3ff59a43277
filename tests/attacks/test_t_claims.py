"""Attacks on what a log says of others, by the service that keeps it: on who claims keys through a proxy that lies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from roomkey.client.log_records import FORKS, HEADS, MANIFESTS, RESETS, ProvedManifest
from roomkey.conference.conference import Conference
from roomkey.errors import RoomkeyError
from roomkey.transparency.evidence import ForkEvidence, verify_evidence
from roomkey.transparency.exchange import ANSWERS_PATH, LOG_ANSWERS, AnswerRequest, Answers, AnswersRequest
from roomkey.transparency.manifest import SignedManifest

from tests.support.attacked_logs import HOME, LYING, LoggedScene, Person, attacked_logs
from tests.support.forged_log import CRYPTO, DAY, ForgedLog, manifest_of
from tests.support.simulator import until

ALICE_AND_BOB = (("alice", HOME), ("bob", LYING))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedScene]:
    with attacked_logs(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


async def known(person: Person, identity: str) -> ProvedManifest:
    """What somebody holds of another."""
    return ProvedManifest.decode((await person.stored(MANIFESTS))[MANIFESTS + identity])


async def test_an_honest_service(scene: LoggedScene) -> None:
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        assert await alice.fetched(bob.identity) == ["fetched"]
        conference = await alice.call(bob)
        assert [member.by for member in conference.members] == ["self", "transparency"]
        (theirs,) = bob.client.conferences()
        assert [member.by for member in theirs.members] == ["transparency", "self"]
        assert alice.errors == bob.errors == []


# -- T2: keys of the service's own, swapped and logged --


async def begun_anew(scene: LoggedScene, identity: str) -> Person:
    """The operator lets somebody begin anew under a name, logged by all rules: another person, or the same one."""
    mallory = scene.device(identity)
    await mallory.create(scene.services.at(identity).enrolment_code(identity, "--reset"), reset=True)
    await mallory.client.publish(4)
    return mallory


async def test_t2_contacts_see_a_reset_and_must_agree(scene: LoggedScene) -> None:
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        assert await alice.fetched(bob.identity) == ["fetched"]
        before = await known(alice, bob.identity)
        mallory = await begun_anew(scene, bob.identity)
        error = await alice.failure(bob.identity)
        assert (error.code, error.details["version"]) == ("identity-reset", 2)
        assert (await known(alice, bob.identity)).manifest == before.manifest
        with pytest.raises(RoomkeyError) as caught:  # what nobody was shown cannot be agreed to
            await alice.client.accept_reset(bob.identity, bytes(32))
        assert (caught.value.code, caught.value.details) == ("identity-reset", error.details)
        await alice.reopen()
        assert await alice.fetched(bob.identity) == ["identity-reset"]
        await alice.client.accept_reset(bob.identity, bytes.fromhex(str(error.details["manifest"])))
        assert await alice.stored(RESETS) == {}
        found = await alice.client.fetch([bob.identity])
        assert [item.client.client_id for item in found.keys[0].proved.sets] == [mallory.client.client_id]
        with pytest.raises(RoomkeyError) as caught:
            await alice.client.accept_reset(bob.identity, bytes.fromhex(str(error.details["manifest"])))
        assert caught.value.code == "bad-argument"
        assert "log-unproven" not in alice.errors


async def test_t2_the_owner_is_alarmed_and_a_stranger_is_not_misled_twice(scene: LoggedScene) -> None:
    """Who never met Bob believes the log of now; Bob sees it, and whoever holds on to the old keys is refused."""
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        old = await bob.client._pool._make(1, last_resort=False)
        await begun_anew(scene, bob.identity)
        assert await alice.fetched(bob.identity) == ["fetched"]
        bob.client._watch.moved()
        await until(lambda: "identity-hijacked" in bob.errors, "the owner's alarm")
        bundle = old[0].private.set
        scene.change_sets(lambda bundles: tuple(item.replace(set=bundle) for item in bundles))
        await alice.client.forget_contact(bob.identity)
        assert await alice.fetched(bob.identity) == ["not-in-manifest"]


def _without_manifests(answers: Answers) -> Answers:
    (answer,) = answers.answers
    assert answer is not None
    assert answer.presence is not None
    return answers.replace(answers=(answer.replace(presence=answer.presence.replace(manifests=())),))


# -- T4, D3: an older version; T12: a frozen head --


async def test_d3_the_versions_since_ours_are_left_out(scene: LoggedScene) -> None:
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        assert await alice.fetched(bob.identity) == ["fetched"]
        await scene.further_device(bob)
        scene.change_answers(_without_manifests)
        assert await alice.fetched(bob.identity) == ["log-proof-invalid"]
        assert (await known(alice, bob.identity)).manifest.version == 1
        scene.proxy.behave()
        assert await alice.fetched(bob.identity) == ["fetched"]
        assert (await known(alice, bob.identity)).manifest.version == 2


async def test_t4_an_older_version_under_an_older_head(scene: LoggedScene) -> None:
    """A device was removed; the service goes on answering as before."""
    async with scene.people(*ALICE_AND_BOB, ("carol", HOME)) as (alice, bob, carol):
        laptop = await scene.further_device(bob)
        scene.freeze_log(by_pin=False)
        assert await carol.fetched(bob.identity) == ["fetched"]  # what is told to everybody from now on
        answers = dict(scene.proxy.instead)
        scene.proxy.behave()
        await bob.client.remove_device(laptop.client.client_id)
        await alice_knows(alice, bob.identity, 3)
        scene.proxy.instead.update(answers)
        assert await alice.fetched(bob.identity) == ["log-unproven"]
        assert (await known(alice, bob.identity)).manifest.version == 3


async def alice_knows(alice: Person, identity: str, version: int) -> None:
    """Fetches until the log has shown this version."""
    async with asyncio.timeout(120):
        await alice.client._logs.prove([identity])
        while (await known(alice, identity)).manifest.version != version:
            await alice.client._logs.prove([identity])


async def test_t4_an_older_version_under_a_newer_head(scene: LoggedScene) -> None:
    """The log and its auditors lie together: they have the map go back."""
    (pair,) = await CRYPTO.generate_keys("ed25519", 1)
    async with scene.people(("alice", HOME)) as (alice,):
        bob, log = scene.name("bob", LYING), scene.forged_log()
        one = await manifest_of(bob, pair)
        two = await manifest_of(bob, pair, before=one.manifest, suites=(1, 3))
        log.append(one)
        log.append(two)
        scene.other_log(log)
        proofs = await alice.client._logs.prove([bob])
        assert isinstance(proofs[bob], ProvedManifest)
        log.chains[bob.encode()] = [one]
        log.append()
        assert await alice.fetched(bob) == ["log-proof-invalid"]
        assert (await known(alice, bob)).manifest == two.manifest


async def test_t12_a_frozen_head(scene: LoggedScene) -> None:
    """Good for a day, for nothing after it; but members of conferences may be believed for a day without the log."""
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        scene.freeze_log()
        for _ in range(2):
            assert await alice.fetched(bob.identity) == ["fetched"]
        alice.host.ahead = DAY - 600
        assert await alice.fetched(bob.identity) == ["fetched"]
        alice.host.ahead = DAY + 600
        assert await alice.fetched(bob.identity) == ["log-unproven"]
        proofs = await alice.client._logs.prove([bob.identity], stands_in=DAY)
        assert isinstance(proofs[bob.identity], ProvedManifest)
        alice.host.ahead = 2 * DAY
        proofs = await alice.client._logs.prove([bob.identity], stands_in=DAY)
        assert isinstance(proofs[bob.identity], RoomkeyError)


# -- T13: times of the future --


@pytest.mark.parametrize("age", [-3600, 2 * DAY])
async def test_t13_cosignatures_of_another_day(scene: LoggedScene, age: float) -> None:
    (pair,) = await CRYPTO.generate_keys("ed25519", 1)
    async with scene.people(("alice", HOME)) as (alice,):
        bob, log = scene.name("bob", LYING), scene.forged_log(age=age)
        log.append(await manifest_of(bob, pair))
        scene.other_log(log)
        code = "log-proof-invalid" if age < 0 else "log-unproven"
        assert (await alice.client._logs.prove([bob]))[bob].code == code  # type: ignore[union-attr]
        assert not any(LYING in name for name in await alice.stored(HEADS))


# -- T14: no answer, or a stale one --


async def test_t14_there_is_no_log(scene: LoggedScene) -> None:
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        scene.hide_log()
        error = await alice.failure(bob.identity)
        assert (error.code, error.retryable, error.details["reason"]) == ("log-unproven", True, "service-error")
        assert await alice.stored(MANIFESTS) == {}
        scene.change_answers(lambda answers: answers.replace(answers=(None,)))
        scene.proxy.instead.clear()
        assert await alice.fetched(bob.identity) == ["log-unproven"]
        scene.proxy.behave()
        assert await alice.fetched(bob.identity) == ["fetched"]


async def test_t14_a_log_that_is_not_configured_any_more(scene: LoggedScene) -> None:
    """A page without the settings is no way back to first use."""
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        assert await alice.fetched(bob.identity) == ["fetched"]
        trusts = scene.trusts
        try:
            scene.trusts = {HOME: trusts[HOME]}
            await alice.reopen()
            assert await alice.fetched(bob.identity) == ["log-unproven"]
        finally:
            scene.trusts = trusts


# -- T6, T7: other views --


async def test_t7_another_root_of_one_size(scene: LoggedScene) -> None:
    """Alice knows the log, and is shown another one of the same size, in which the operator's keys are Bob's."""
    async with scene.people(*ALICE_AND_BOB, ("carol", LYING)) as (alice, bob, carol):
        assert await alice.fetched(bob.identity) == ["fetched"]
        view = (await alice.client._logs.views([bob.identity]))[0]
        assert view.head is not None
        log = await impostors_log(scene, bob.identity, view.head.checkpoint.size)
        scene.other_log(log)
        assert await alice.fetched(bob.identity, carol.identity) == ["log-fork", "log-fork"]
        assert alice.errors == ["log-fork"]
        scene.proxy.behave()
        await alice.reopen()
        assert await alice.fetched(bob.identity, carol.identity) == ["log-fork", "log-fork"]
        (evidence,) = await alice.client.fork_evidence()
        assert evidence.origin == "email2.example/roomkey"
        proved = await verify_evidence(CRYPTO, ForkEvidence.decode(evidence.text))
        assert proved.log == scene.keys.log_key
        assert (await log.head()).checkpoint in (proved.first, proved.second)


async def test_t7_a_smaller_log(scene: LoggedScene) -> None:
    async with scene.people(*ALICE_AND_BOB) as (alice, bob):
        assert await alice.fetched(bob.identity) == ["fetched"]
        scene.other_log(await impostors_log(scene, bob.identity, 1))
        assert await alice.fetched(bob.identity) == ["log-unproven"]
        assert await alice.stored(FORKS) == {}
        scene.proxy.behave()
        assert await alice.fetched(bob.identity) == ["fetched"]


@pytest.mark.parametrize("more", [0, 3])
async def test_t6_two_people_are_shown_two_logs(scene: LoggedScene, more: int) -> None:
    """Log and auditors lie together to Alice, who never asked before; Carol sees the truth. Once they talk in one
    conference with somebody of that log, all of them know.
    """
    async with scene.people(*ALICE_AND_BOB, ("carol", HOME)) as (alice, bob, carol):
        await carol.client.set_service(scene.services.at(LYING).url, [LYING])
        assert await carol.fetched(bob.identity) == ["fetched"]
        true = (await carol.client._logs.views([bob.identity]))[0].head
        assert true is not None
        log = scene.forged_log()  # of Bob it says the truth: it is about others that it lies
        log.append(await logged(bob))
        while log.size < true.checkpoint.size + more:
            log.append()
        scene.other_log(log)
        conference = await alice.call(bob)
        await invited(alice, conference, carol)
        code = "log-unproven" if more else "log-fork"
        await conference.send(b"hello")
        await until(lambda: code in carol.errors and code in bob.errors, "those who saw the other log to say so")
        await carol.client.conferences()[0].send(b"hello")
        await until(lambda: code in alice.errors, "who was lied to to say so")
        for person in (alice, carol):
            assert await person.fetched(bob.identity) == [code]
            assert len(await person.client.fork_evidence()) == (0 if more else 1)
        await carol.reopen()
        assert await carol.fetched(bob.identity) == [code]


async def logged(person: Person) -> SignedManifest:
    """What the true log says of somebody."""
    body = AnswersRequest(0, (AnswerRequest(person.identity.encode(), 0),)).encode()
    answers = Answers.decode(await person.client.home.ask(ANSWERS_PATH, body, LOG_ANSWERS, LOG_ANSWERS))
    (answer,) = answers.answers
    assert answer is not None
    assert answer.presence is not None
    return answer.presence.manifests[-1]


async def invited(host: Person, conference: Conference, guest: Person) -> None:
    """Has somebody come into a conference."""
    found = await host.client.fetch([guest.identity])
    await host.client.invite(conference, found.keys)
    await until(guest.client.invitations, "an invitation")
    (invitation,) = guest.client.invitations()
    invitation.listen(guest.told.append)
    await guest.client.accept(invitation)


async def impostors_log(scene: LoggedScene, identity: str, size: int) -> ForgedLog:
    """A log of the liar's alone, without auditors, in which somebody has keys of the operator's."""
    (pair,) = await CRYPTO.generate_keys("ed25519", 1)
    log = scene.forged_log(auditors=False)
    log.append(await manifest_of(identity, pair))
    while log.size < size:
        log.append()
    return log
