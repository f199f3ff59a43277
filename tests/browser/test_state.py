"""What lasts: a page that is closed and opened again is where it was, wherever it was closed (attack B7).

Each story is stopped before each of its effects in turn (tests/support/power_cut.py). Then a new tab has the state
before or the state after, the others agree with it, nothing that was said is lost or doubled, and all go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.person_browser import Person, World, agreed, expect, until, world_of
from tests.support.power_cut import every_cut

ALICE, BOB = "alice@email1.example", "bob@email2.example"
STOCK = 60  # one set for each turn of the stories that invite
# the commit and its candidate, the submission, the new epoch, what goes to the others, the end of that
COMMIT_EFFECTS = ["write", "POST /v1/commits", "write", "POST /v1/messages", "write"]
ACCEPT_NEXT = """
  const next = new Promise((resolve) => me.addEventListener("invitation", resolve, { once: true }));
  await (await next).detail.accept();
"""


class Scene:
    def __init__(self, world: World) -> None:
        self.world = world
        self.alice = world.person(ALICE).load().enrol(publish=2)
        self.bob = world.person(BOB).load().enrol(publish=STOCK)


@pytest.fixture(scope="module")
def scene(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with world_of(assets, chromium, tmp_path_factory.mktemp("services")) as world:
        yield Scene(world)


def goes_on(name: str, *people: Person) -> None:
    """All agree, commit anew, hold the same keys, and hear each other.

    A commit that was cut off may still win meanwhile, so an epoch may be later than it was agreed on a moment ago.
    """
    epoch = agreed(name, *people)["epoch"]
    for person in people:
        person.do("await calls[values].update()", name)
        state = agreed(name, *people)
        assert state["epoch"] > epoch
        epoch = state["epoch"]
    assert len({str(person.keys(name)) for person in people}) == 1
    for person in people:
        text = f"{person.name} in epoch {epoch}"
        person.say(name, text)
        for other in people:
            other.hears(name, text)
    same_texts(name, *people)


def same_texts(name: str, *people: Person) -> list[str]:
    """What all have read: the same, nothing twice."""
    read = [sorted(person.texts(name)) for person in people]
    assert all(texts == read[0] for texts in read)
    assert len(set(read[0])) == len(read[0])
    return read[0]


def test_a_page_closed_and_opened_is_where_it_was(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob
    alice.call("reload", bob)
    bob.say("reload", "before")
    alice.hears("reload", "before")
    for person in (alice, bob):
        look, keys = person.look("reload"), person.keys("reload")
        members = "return calls.reload.members.map(({ identity, verified, own, leafIndex }) =>" \
                  " ({ identity, by: verified.by, own, leafIndex }))"  # fmt: skip
        who = person.do(members)
        person.close_tab()
        person.reopen()
        assert (person.look("reload"), person.keys("reload"), person.do(members)) == (look, keys, who)
        person.hears("reload", "before")
        assert person.do("roomkey.identities()") == [{"identity": person.identity, "open": True}]
    # what was sent and committed while a tab was closed is there when it opens
    bob.close_tab()
    alice.say("reload", "while you were out")
    alice.do("await calls.reload.update()")
    alice.say("reload", "in a new epoch")
    bob.reopen()
    for text in ("before", "while you were out", "in a new epoch"):
        bob.hears("reload", text)
    goes_on("reload", alice, bob)


def test_an_invitation_waits(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob
    alice.do("await me.createConference({ name: 'waiting' })")
    alice.invite("waiting", BOB)
    until("bob to be invited", lambda: bob.do("(await me.invitations()).length"))
    bob.close_tab()
    alice.do("await calls.waiting.update()")
    bob.reopen()
    bob.accept("waiting")
    goes_on("waiting", alice, bob)


def test_cut_at_every_step_of_a_commit(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob
    alice.call("commit", bob)
    epochs: list[int] = []

    def story(cut: int, arm: Callable[[], None]) -> Callable[[], bool]:
        epochs.append(agreed("commit", alice, bob)["epoch"])
        arm()
        alice.begin("work", "await calls.commit.update()")
        return lambda: bool(bob.look("commit")["epoch"] == epochs[-1] + 1)

    def check(cut: int) -> None:
        # before it was written there was no commit, and from then on it goes through by itself
        wanted = epochs[-1] + (1 if cut else 0)
        until("both to be where they should", lambda: agreed("commit", alice, bob)["epoch"] == wanted)
        goes_on("commit", alice, bob)

    assert every_cut(alice, story, check) == COMMIT_EFFECTS


def test_cut_at_every_step_of_an_invitation(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob

    def story(cut: int, arm: Callable[[], None]) -> Callable[[], bool]:
        name = f"invitation {cut}"
        alice.do("await me.createConference({ name: values })", name)
        alice.do("globalThis.fetched = await fetchAll(values); return null", [BOB])
        arm()
        alice.begin("work", "await calls[values].invite(fetched)", name)
        return lambda: BOB in alice.look(name)["members"] and bool(bob.do("(await me.invitations()).length"))

    def check(cut: int) -> None:
        name = f"invitation {cut}"
        if cut == 0:
            assert alice.look(name)["members"] == [ALICE]
            alice.invite(name, BOB)
        bob.accept(name)
        goes_on(name, alice, bob)

    assert every_cut(alice, story, check) == COMMIT_EFFECTS


def test_cut_at_every_step_of_joining(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob

    def story(cut: int, arm: Callable[[], None]) -> Callable[[], bool]:
        name = f"joining {cut}"
        alice.do("await me.createConference({ name: values })", name)
        arm()
        bob.begin("work", ACCEPT_NEXT)
        alice.invite(name, BOB)
        return lambda: name in bob.do("Object.keys(calls)")

    def check(cut: int) -> None:
        name = f"joining {cut}"
        if name not in bob.do("Object.keys(calls)"):
            bob.accept(name)
        goes_on(name, alice, bob)

    effects = every_cut(bob, story, check)
    # the group and the set used up are stored before the inbox may forget the Welcome; a new set is published
    assert effects.index("write") < effects.index("POST /v1/inbox/acknowledgements")
    assert "POST /v1/user-init-keys" in effects


def test_cut_at_every_step_of_sending(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob
    alice.call("sending", bob)

    def story(cut: int, arm: Callable[[], None]) -> Callable[[], bool]:
        arm()
        alice.begin("work", "await say('sending', values)", f"cut {cut}")
        return lambda: f"cut {cut}" in bob.texts("sending")

    def check(cut: int) -> None:
        goes_on("sending", alice, bob)
        # before it was written it was never said, and from then on it is said for good
        assert (f"cut {cut}" in same_texts("sending", alice, bob)) is (cut > 0)

    assert every_cut(alice, story, check) == ["write", "POST /v1/messages", "write"]


def test_cut_at_every_step_of_receiving(scene: Scene) -> None:
    alice, bob = scene.alice, scene.bob
    alice.call("receiving", bob)

    def story(cut: int, arm: Callable[[], None]) -> Callable[[], bool]:
        arm()
        alice.say("receiving", f"cut {cut}")
        alice.do("await calls.receiving.update()")
        epoch = alice.look("receiving")["epoch"]
        return lambda: f"cut {cut}" in bob.texts("receiving") and bob.look("receiving")["epoch"] == epoch

    def check(cut: int) -> None:
        bob.hears("receiving", f"cut {cut}")
        goes_on("receiving", alice, bob)

    effects = every_cut(bob, story, check)
    # what was read is stored before the inbox may forget it; a commit is the one that its ordering service has
    assert effects.index("write") < effects.index("POST /v1/inbox/acknowledgements")
    assert "POST /v1/commits/read" in effects


def test_cut_at_every_step_of_enrolment(scene: Scene) -> None:
    frank = scene.world.person("frank@email1.example").load()
    codes: list[str] = []

    def who(cut: int) -> str:
        return f"frank-{cut}@email1.example"

    def story(cut: int, arm: Callable[[], None]) -> Callable[[], bool]:
        codes.append(scene.world.services.at(frank.identity).enrolment_code(who(cut)))
        arm()
        frank.begin("work", "await create(values[0], values[1])", [who(cut), codes[-1]])
        return lambda: bool(frank.do("globalThis.me !== undefined"))

    def back() -> None:
        frank.page = frank.context.new_page()
        frank.load()

    def check(cut: int) -> None:
        if not frank.do("globalThis.me !== undefined"):
            result = frank.do("attempt(() => open(values))", who(cut))
            if "error" in result:  # it did not come to its end: the same code takes it up, whatever the service knows
                expect(result["error"], "no-such-identity")
                frank.do("await create(values[0], values[1])", [who(cut), codes[-1]])
        assert frank.do("me.publishInitKeys({ count: 1 })")["available"] == 1
        assert frank.do("me.identity") == who(cut)
        frank.do("await me.close(); globalThis.me = undefined")

    effects = every_cut(frank, story, check, back)
    assert effects.count("POST /v1/clients") == 1
