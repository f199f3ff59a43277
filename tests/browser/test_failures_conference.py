"""What goes wrong between members: races, removals, answers that get lost, a second tab. Nobody is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.native_people import Publisher
from tests.support.person_browser import Person, World, agreed, expect, until, world_of
from tests.support.tampering_proxy import COMMITS, Proxy, tampering_proxy

ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email1.example"
DORA, ERIK = "dora@email2.example", "erik@email1.example"  # published, with no page of their own
ROUNDS = 3


class Scene:
    """Three people in their pages. Alice reaches her own service, which orders her conferences, through a proxy."""

    def __init__(self, world: World, proxy: Proxy, folder: Path) -> None:
        self.proxy = proxy
        world.addresses["email1.example"] = proxy.url
        self.alice = world.person(ALICE).load().enrol(publish=4)
        world.addresses.clear()
        self.bob = world.person(BOB).load().enrol(publish=20)
        self.carol = world.person(CAROL).load().enrol(publish=20)
        for name in (DORA, ERIK):
            publisher = Publisher(world.services.at(name), name, folder).enrol()
            publisher.publish(publisher.sets(10))


@pytest.fixture(scope="module")
def scene(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with world_of(assets, chromium, tmp_path_factory.mktemp("services"), ["http://127.0.0.1:*"]) as world:
        service = world.services.at("email1.example")
        with tampering_proxy(world.services.proxies[service.domain], service.port) as proxy:
            yield Scene(world, proxy, tmp_path_factory.mktemp("publishers"))


def talk(name: str, *people: Person) -> None:
    """Everyone says something new, and everyone hears it, once."""
    for person in people:
        text = f"{person.name} after {len(person.texts(name))} messages"
        person.say(name, text)
        for other in people:
            other.hears(name, text)
            assert other.texts(name).count(text) == 1


def same_keys(name: str, *people: Person) -> dict[str, object]:
    held = [person.keys(name) for person in people]
    assert all(one == held[0] for one in held)
    return held[0]


def race(name: str, *steps: tuple[Person, str, object]) -> list[str]:
    """Begins all steps at once; how each came out: "done" or a typed code."""
    for person, body, values in steps:
        person.begin("race", body, values)
    outcomes = [person.ended("race") for person, _, _ in steps]
    for outcome in outcomes:
        if "error" in outcome:
            expect(outcome["error"], outcome["error"]["code"])
    return [outcome["error"]["code"] if "error" in outcome else "done" for outcome in outcomes]


def test_two_commits_at_once(scene: Scene) -> None:
    alice, bob, carol = scene.alice, scene.bob, scene.carol
    alice.call("race", bob, carol)
    epoch = alice.look("race")["epoch"]
    for _ in range(ROUNDS):
        assert (
            race("race", *((person, "await calls.race.update()", None) for person in (alice, bob, carol)))
            == ["done"] * 3
        )
        epoch += 3
        assert agreed("race", alice, bob, carol)["epoch"] == epoch
    same_keys("race", alice, bob, carol)
    talk("race", alice, bob, carol)
    for person in (alice, bob, carol):
        assert person.heard("race", "error") == []


def test_an_addition_and_a_removal_at_once(scene: Scene) -> None:
    alice, bob, carol = scene.alice, scene.bob, scene.carol
    alice.call("add and remove", bob, carol)
    alice.do("globalThis.fetched = await fetchAll(values)", [DORA])
    outcomes = race(
        "add and remove",
        (alice, "return await calls['add and remove'].invite(fetched)", None),
        (bob, "await calls['add and remove'].remove(values)", CAROL),
    )
    assert outcomes == ["done", "done"]
    state = agreed("add and remove", alice, bob, members=[ALICE, BOB, DORA])
    assert state["epoch"] == 3
    same_keys("add and remove", alice, bob)
    until("carol to be out", lambda: carol.look("add and remove")["status"] == "removed")
    talk("add and remove", alice, bob)


def test_the_same_removal_twice_at_once(scene: Scene) -> None:
    alice, bob, carol = scene.alice, scene.bob, scene.carol
    alice.call("twice", bob, carol)
    outcomes = race("twice", *((person, "await calls.twice.remove(values)", CAROL) for person in (alice, bob)))
    assert set(outcomes) <= {"done", "no-such-member"}
    assert "done" in outcomes
    assert agreed("twice", alice, bob)["epoch"] == 2
    alice.refused("no-such-member", "await calls.twice.remove(values)", CAROL)
    talk("twice", alice, bob)


def test_each_removes_the_other_at_once(scene: Scene) -> None:
    alice, bob, carol = scene.alice, scene.bob, scene.carol
    alice.call("duel", bob, carol)
    outcomes = race(
        "duel", (alice, "await calls.duel.remove(values)", BOB), (bob, "await calls.duel.remove(values)", ALICE)
    )
    assert sorted(outcomes) == ["done", "not-a-member"]
    winner, loser = (alice, bob) if outcomes[0] == "done" else (bob, alice)
    agreed("duel", winner, carol)
    until(f"{loser.name} to be out", lambda: loser.look("duel")["status"] == "removed")
    talk("duel", winner, carol)


def test_a_removed_member(scene: Scene) -> None:
    alice, bob, carol = scene.alice, scene.bob, scene.carol
    alice.call("removal", bob, carol)
    talk("removal", alice, carol)
    bob.do("const { clientId } = calls.removal.members.find((one) => one.identity === values);"
           "await calls.removal.remove({ clientId })", CAROL)  # fmt: skip
    agreed("removal", alice, bob)
    (ended,) = until("carol to hear of it", lambda: carol.heard("removal", "ended"))
    assert (ended["reason"], ended["by"]["identity"], ended["error"]) == ("removed", BOB, None)
    for body in (
        "await calls.removal.update()",
        "await calls.removal.remove('bob@email2.example')",
        "await calls.removal.invite(await fetchAll(['dora@email2.example']))",
        "await say('removal', 'still here')",
        "await keysOf('removal')",
        "await calls.removal.keyFingerprints({ profile: 'SRTP_AEAD_AES_128_GCM' })",
        "await calls.removal.exportSecret('label', new Uint8Array(), 16)",
    ):
        carol.refused("not-a-member", body)
    assert until("carol's reader to end", lambda: carol.heard("removal", "read")) == [2]
    assert len(carol.texts("removal")) == 2  # what she read, she keeps
    assert carol.do("return (await me.conferences()).find(({ name }) => name === 'removal').status") == "removed"
    # she goes on: in a conference of her own, and in this one when she is asked again
    carol.call("carol's own", bob)
    talk("carol's own", carol, bob)
    alice.call("removal, again", carol)
    talk("removal, again", alice, carol)
    talk("removal", alice, bob)


def test_who_leaves_is_let_go(scene: Scene) -> None:
    alice, bob, carol = scene.alice, scene.bob, scene.carol
    alice.call("leaving", bob, carol)
    talk("leaving", alice, carol)
    carol.do("await calls.leaving.leave()")
    assert [event["reason"] for event in carol.heard("leaving", "ended")] == ["left"]
    carol.refused("closed", "await say('leaving', 'still here')")
    assert until("carol's reader to end", lambda: carol.heard("leaving", "read")) == [2]
    assert carol.heard("leaving", "reader") == []  # it failed at nothing
    agreed("leaving", alice, bob)
    talk("leaving", alice, bob)


def test_an_answer_that_gets_lost(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob
    alice.call("lost answer", bob)
    scene.proxy.lose.add(COMMITS)  # the service takes the commit, and Alice does not hear it
    error = alice.refused("service-unreachable", "await calls['lost answer'].update()")
    assert error["details"]["pending"] is True
    assert alice.look("lost answer")["epoch"] == 1
    scene.proxy.behave()
    until("alice to find out by herself", lambda: alice.look("lost answer")["epoch"] == 2)
    assert agreed("lost answer", alice, bob)["epoch"] == 2
    talk("lost answer", alice, bob)


def test_a_commit_that_never_arrives(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob
    alice.call("lost commit", bob)
    scene.proxy.drop.add(COMMITS)
    alice.refused("service-unreachable", "await calls['lost commit'].update()")
    bob.do("await calls['lost commit'].update()")  # his own way to the service is free: he wins the epoch
    scene.proxy.behave()
    until("alice to follow", lambda: alice.look("lost commit") == bob.look("lost commit"))
    alice.do("await calls['lost commit'].update()")
    agreed("lost commit", alice, bob)
    talk("lost commit", alice, bob)


def test_who_is_asked_twice(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob
    alice.call("twice asked", bob)
    alice.refused("already-member", "await calls['twice asked'].invite(await fetchAll(values))", [BOB])
    alice.do("globalThis.used = await fetchAll(values); await calls['twice asked'].invite(used)", [ERIK])
    alice.refused("init-keys-used", "await calls['twice asked'].invite(used)")
    alice.refused("bad-argument", "await calls['twice asked'].remove(values)", ALICE)
    alice.refused("bad-argument", "await calls['twice asked'].invite(values)", [ERIK])  # names are not keys
    agreed("twice asked", alice, bob, members=[ALICE, BOB, ERIK])
    talk("twice asked", alice, bob)


def test_a_second_tab(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob
    bob.call("tabs", alice)
    first = bob.page
    bob.page = bob.context.new_page()
    bob.load()
    bob.refused("in-use-in-another-tab", "await open(values)", BOB)
    second, bob.page = bob.page, first
    talk("tabs", alice, bob)  # the first is not harmed
    bob.do("await me.close()")
    bob.refused("closed", "await me.publishInitKeys()")
    bob.page = second
    bob.do("await open(values)", BOB)
    assert agreed("tabs", alice, bob)["epoch"] == 1
    talk("tabs", alice, bob)
    first.close()


def test_a_page_that_may_not_take_keys(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob
    alice.call("closed book", bob)
    alice.close_tab()
    alice.page = alice.context.new_page()
    alice.load(exportKeys=False)
    alice.do("await open(values)", ALICE)
    alice.refused("export-not-allowed", "await keysOf('closed book')")
    alice.refused("export-not-allowed", "await calls['closed book'].exportSecret('label', new Uint8Array(), 16)")
    fingerprints = "return (await calls['closed book'].keyFingerprints({ profile: 'SRTP_AEAD_AES_128_GCM' })).keys"
    mine, his = ({key["identity"]: key["fingerprint"] for key in person.do(fingerprints)} for person in (alice, bob))
    assert mine == his
    assert len(set(mine.values())) == 2
    talk("closed book", alice, bob)
