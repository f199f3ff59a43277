"""K1 to K6, K9, D2, D4 to D7 in the page: the same attacks as natively, by the same table, with the same outcomes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from roomkey.federation.delivery_messages import InboxItem

from tests.support.key_attacks import FETCHED, Attack, D, K, altered
from tests.support.native_people import Publisher
from tests.support.person_browser import Person, World, agreed, expect, until, world_of
from tests.support.tampering_proxy import CLAIM, Proxy, tampering_proxy

OPEN = "--unsafe-open-enrolment"  # people who are only fetched need no code
# The keys are kept: were they collected as garbage, the next fetch would get the same ones again.
FETCH = """const { keys, missing } = await me.fetchInitKeys(values);
  (globalThis.kept ??= []).push(keys);
  return { keys, missing };"""


class Scene:
    """Alice in her page; email2.example is reached through a proxy that lies."""

    def __init__(self, world: World, proxy: Proxy, folder: Path) -> None:
        self.world, self.proxy, self._folder = world, proxy, folder
        self._numbers = itertools.count(1)
        self.dora = self.publisher("dora", 80)
        self.alice: Person = world.person("alice@email1.example").load().enrol()

    def publisher(self, name: str, sets: int = 3, scheme: str = "ed25519") -> Publisher:
        service = self.world.services.at("email2.example")
        identity = f"{name}{next(self._numbers)}@email2.example"
        made = Publisher(service, identity, self._folder, scheme).enrol(coded=False)  # type: ignore[arg-type]
        made.publish(made.sets(sets))
        return made

    def meet(self, person: Publisher) -> None:
        """A conference with this person, by the keys that come now."""
        name = f"call {next(self._numbers)}"
        self.alice.do("await me.createConference({ name: values })", name)
        self.alice.invite(name, person.identity)
        assert self.alice.look(name)["members"] == ["alice@email1.example", person.identity]


@pytest.fixture(scope="module")
def scene(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("services")
    with world_of(assets, chromium, folder, ["http://127.0.0.1:*"], [OPEN]) as world:
        service = world.services.at("email2.example")
        with tampering_proxy(world.services.proxies[service.domain], service.port) as proxy:
            world.addresses[service.domain] = proxy.url
            yield Scene(world, proxy, tmp_path_factory.mktemp("publishers"))


@pytest.mark.parametrize("attack", [*K, *D], ids=lambda attack: attack.name)
def test_keys_that_must_not_be_used(scene: Scene, attack: Attack) -> None:
    bob, dora, proxy = scene.publisher("bob", scheme=attack.scheme), scene.dora, scene.proxy
    if attack.met:
        scene.meet(bob)
    forged = attack.forge(bob)
    proxy.alter[CLAIM] = lambda body: altered(body, bob.identity, forged)
    result = scene.alice.do(FETCH, [bob.identity, dora.identity])
    proxy.behave()
    missing = {item["identity"]: item["error"] for item in result["missing"]}
    outcome = {item["identity"]: FETCHED for item in result["keys"]} | {
        identity: error["code"] for identity, error in missing.items()
    }
    assert outcome == {bob.identity: attack.code, dora.identity: attack.other}
    if attack.code != FETCHED:
        expect(missing[bob.identity], attack.code)
        assert missing[bob.identity]["details"].get("step") == attack.step
    scene.meet(bob)


def reported(person: Person) -> list[str]:
    return [error["code"] for error in person.heard(person.identity, "error")]


def test_k2_one_set_for_two_and_k3_a_welcome_again(scene: Scene) -> None:
    """The service answers two people with one set, and hands out each item of Bob's inbox twice."""
    world, alice, proxy = scene.world, scene.alice, scene.proxy
    bob = world.person("bob@email2.example").load().enrol(publish=3)
    carol = world.person("carol@email1.example").load().enrol()
    served: list[bytes] = []

    def again(data: bytes) -> bytes:
        served.append(data)
        return served[0]

    def twice(item: InboxItem) -> list[InboxItem]:
        first = item.replace(sequence=2 * item.sequence)
        return [item] if item.sequence == 0 else [first, first.replace(sequence=first.sequence + 1)]

    proxy.alter[CLAIM] = lambda body: altered(body, bob.identity, again)
    proxy.items = twice
    proxy.drop.add("/v1/inbox/acknowledgements")  # they would be for numbers that the service does not have
    alice.do("await me.createConference({ name: values })", "first")
    alice.invite("first", bob.identity)
    until("the Welcome to come twice", lambda: reported(bob) == ["welcome-not-for-us"])  # K3
    carol.do("await me.createConference({ name: values })", "second")
    carol.invite("second", bob.identity)
    until("the second Welcome", lambda: len(reported(bob)) == 3)  # K2, and it too came twice
    assert set(reported(bob)) == {"welcome-not-for-us"}
    assert [item["name"] for item in bob.do("await me.invitations()")] == ["first"]
    bob.accept("first")
    agreed("first", alice, bob)
    alice.say("first", "said once")
    bob.hears("first", "said once")
    assert bob.texts("first") == ["said once"]
    assert len(served) == 2
