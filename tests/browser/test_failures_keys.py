"""Init keys that somebody altered on their way, or that are not good any more: refused by name, and only theirs.

A service's answers pass through a proxy that changes them. The other person of the same claim is not harmed, and right
after it the same fetch, unaltered, leads to a conference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from roomkey.federation import messages
from roomkey.federation.init_keys import InitKeySet, InitKeySetBundle, set_id
from roomkey.federation.messages import UserInitKey

from tests.support.native_people import Publisher, run
from tests.support.person_browser import Person, World, expect, world_of
from tests.support.tampering_proxy import CLAIM, Proxy, tampering_proxy

ALICE, BOB, DORA = "alice@email1.example", "bob@email2.example", "dora@email2.example"
DAY = 86400.0
SETS = 60  # one for each fetch of this module, with room
# The keys are kept: were they collected as garbage, the next fetch would get the same ones again.
FETCH = """const { keys, missing } = await me.fetchInitKeys(values);
  (globalThis.kept ??= []).push(keys);
  return { keys, missing };"""
Change = Callable[[InitKeySetBundle], InitKeySetBundle]


class Scene:
    """Alice in her page; Bob and Dora at the service that she reaches through the proxy."""

    def __init__(self, world: World, proxy: Proxy, folder: Path) -> None:
        self.proxy = proxy
        service = world.services.at("email2.example")
        self.bob, self.dora = (Publisher(service, name, folder).enrol() for name in (BOB, DORA))
        for person in (self.bob, self.dora):
            person.publish(person.sets(SETS))
        self.calls = 0
        self.alice: Person = world.person(ALICE).load().enrol()

    def fetch(self, *people: str) -> dict[str, str]:
        """How the fetch went for each: the code of the error, or "fetched"."""
        result = self.alice.do(FETCH, list(people))
        for item in result["missing"]:
            expect(item["error"], item["error"]["code"])
        self.missing = {item["identity"]: item["error"] for item in result["missing"]}
        return {item["identity"]: "fetched" for item in result["keys"]} | {
            name: error["code"] for name, error in self.missing.items()
        }

    def meet(self) -> None:
        """Does the thing right: fetches Bob's keys as they are, and has him in a conference."""
        self.proxy.behave()
        self.calls += 1
        name = f"call {self.calls}"
        self.alice.do("await me.createConference({ name: values })", name)
        self.alice.invite(name, BOB)
        state = self.alice.look(name)
        assert (state["epoch"], state["members"]) == (1, [ALICE, BOB])


@pytest.fixture(scope="module")
def scene(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("services")
    with world_of(assets, chromium, folder, ["http://127.0.0.1:*"]) as world:
        service = world.services.at("email2.example")
        with tampering_proxy(world.services.proxies[service.domain], service.port) as proxy:
            world.addresses[service.domain] = proxy.url
            yield Scene(world, proxy, tmp_path_factory.mktemp("publishers"))


def index(change: Callable[[UserInitKey], UserInitKey]) -> Change:
    """A change of the signed index."""
    return lambda one: one.replace(set=one.set.replace(user_init_key=change(one.set.user_init_key)))


def packages(change: Callable[[InitKeySet], InitKeySet]) -> Change:
    """A change of the key packages beside it."""
    return lambda one: one.replace(set=change(one.set))


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def renamed(key: UserInitKey) -> UserInitKey:
    basic = key.credential.require_basic().replace(identity=DORA.encode())
    return key.replace(credential=key.credential.replace(basic=basic))


def other_leaf_key(item: InitKeySet) -> InitKeySet:
    first, *rest = item.key_packages
    leaf = first.leaf_node.replace(encryption_key=flipped(first.leaf_node.encryption_key))
    return item.replace(key_packages=(first.replace(leaf_node=leaf), *rest))


ALTERATIONS: dict[str, tuple[Change, str, int | None]] = {
    "signature": (index(lambda key: key.replace(signature=flipped(key.signature))), "invalid-signature", 2),
    "no signature": (index(lambda key: key.replace(signature=b"")), "invalid-signature", 2),
    "id": (index(lambda key: key.replace(user_init_key_id=flipped(key.user_init_key_id))), "invalid-signature", 2),
    "init keys in another order": (
        index(lambda key: key.replace(init_keys=(key.init_keys[1], key.init_keys[0], *key.init_keys[2:]))),
        "invalid-signature",
        2,
    ),
    "a suite and its key less": (
        index(lambda key: key.replace(cipher_suites=key.cipher_suites[:-1], init_keys=key.init_keys[:-1])),
        "invalid-signature",
        2,
    ),
    "the credential's identity": (index(renamed), "identity-mismatch", 1),
    "a key package less": (
        packages(lambda item: item.replace(key_packages=item.key_packages[:-1])),
        "invalid-index",
        3,
    ),
    "a key package twice": (
        packages(lambda item: item.replace(key_packages=(*item.key_packages, item.key_packages[0]))),
        "invalid-index",
        3,
    ),
    "key packages in another order": (
        packages(lambda item: item.replace(key_packages=item.key_packages[::-1])),
        "invalid-index",
        3,
    ),
    "a leaf's key": (packages(other_leaf_key), "invalid-index", 3),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_set_is_refused(scene: Scene, name: str) -> None:
    change, code, step = ALTERATIONS[name]
    scene.proxy.alter_sets_of(BOB, change)
    assert scene.fetch(BOB, DORA) == {BOB: code, DORA: "fetched"}
    assert scene.missing[BOB]["details"]["step"] == step
    scene.meet()


def test_a_bundle_for_nobody_asked_is_refused(scene: Scene) -> None:
    scene.proxy.alter_sets_of(BOB, lambda one: one.replace(identity=b"mallory@email2.example"))
    assert scene.fetch(BOB, DORA) == {BOB: "identity-mismatch", DORA: "fetched"}
    scene.meet()


def test_another_persons_set_is_refused(scene: Scene) -> None:
    scene.proxy.alter_claims(
        lambda bundles: tuple(one.replace(identity=BOB.encode() if one.identity == DORA.encode() else one.identity)
                              for one in bundles if one.identity != BOB.encode())
    )  # fmt: skip
    assert scene.fetch(BOB, DORA) == {BOB: "identity-mismatch", DORA: "no-keys"}
    scene.meet()


def test_an_emptied_answer_is_no_keys(scene: Scene) -> None:
    scene.proxy.alter_claims(lambda bundles: tuple(one for one in bundles if one.identity != BOB.encode()))
    assert scene.fetch(BOB, DORA) == {BOB: "no-keys", DORA: "fetched"}
    scene.meet()


def test_half_an_answer_is_the_services_fault(scene: Scene) -> None:
    scene.proxy.alter[CLAIM] = lambda body: body[: len(body) // 2]
    assert scene.fetch(BOB, DORA) == {BOB: "service-error", DORA: "service-error"}
    scene.meet()


def test_a_set_is_taken_once(scene: Scene) -> None:
    served: list[InitKeySetBundle] = []

    def remember(one: InitKeySetBundle) -> InitKeySetBundle:
        served.append(one)
        return served[0]

    scene.proxy.alter_sets_of(BOB, remember)
    scene.alice.do("await me.createConference({ name: 'replayed' })")
    scene.alice.invite("replayed", BOB)
    assert scene.fetch(BOB, DORA) == {BOB: "replayed", DORA: "fetched"}
    assert len(served) == 2
    scene.meet()


@pytest.mark.parametrize(
    ("made", "lifetime", "code"),
    [
        (-40 * DAY, 30 * DAY, "keys-expired"),
        (2 * DAY, 30 * DAY, "keys-not-yet-valid"),
        (0.0, 400 * DAY, "lifetime-too-long"),
    ],
)
def test_keys_of_another_time_are_refused(scene: Scene, made: float, lifetime: float, code: str) -> None:
    (genuine,) = scene.bob.sets(made=made, lifetime=lifetime)  # Bob's own, signed by him
    scene.proxy.alter_sets_of(BOB, packages(lambda item: genuine))
    assert scene.fetch(BOB, DORA) == {BOB: code, DORA: "fetched"}
    scene.meet()


def test_a_known_persons_other_keys_are_refused(scene: Scene) -> None:
    scene.meet()  # from now on Alice knows Bob's key
    impostor = Publisher(scene.bob.service, BOB, Path())
    (forged,) = impostor.sets()
    scene.proxy.alter_sets_of(BOB, packages(lambda item: forged))
    assert scene.fetch(BOB, DORA) == {BOB: "identity-changed", DORA: "fetched"}
    scene.meet()


def test_withheld_suites_are_noticed(scene: Scene) -> None:
    scene.meet()  # from now on Alice knows which suites Bob offers
    (fewer,) = scene.bob.sets(suites=(2,))
    scene.proxy.alter_sets_of(BOB, packages(lambda item: fewer))
    assert scene.fetch(BOB, DORA) == {BOB: "suite-withheld", DORA: "fetched"}
    scene.meet()


def of_unknown_suite(item: InitKeySet, signer: Publisher) -> InitKeySet:
    """The first key package alone, as one for a suite that nobody here knows, in an index that its owner signed."""
    unknown = 0x0A0A
    package = item.key_packages[0].replace(cipher_suite=unknown)
    keys = signer.person.keys
    unsigned = UserInitKey(set_id((package,)), (unknown,), (package.init_key,), keys.credential)
    (signed,) = run(messages.sign(signer.person.crypto, [(unsigned, keys.pairs[keys.scheme])]))
    return InitKeySet(signed, (package,))


def test_no_common_suite_is_told(scene: Scene) -> None:
    (item,) = scene.bob.sets()
    strange = of_unknown_suite(item, scene.bob)
    scene.proxy.alter_sets_of(BOB, packages(lambda item: strange))
    assert scene.fetch(BOB, DORA) == {BOB: "no-common-suite", DORA: "fetched"}
    assert BOB in str(scene.missing[BOB])  # it says who offers what
    scene.meet()


def test_a_suite_that_the_conference_does_not_have_is_told(scene: Scene) -> None:
    frank = Publisher(scene.bob.service, "frank@email2.example", scene.bob.folder).enrol()
    frank.publish(frank.sets(2, suites=(2,)))  # P-256 only; the conference is made with suite 1
    scene.alice.do("await me.createConference({ name: 'mixed' })")
    scene.alice.refused(
        "no-common-suite", "await calls.mixed.invite(await fetchAll(values))", ["frank@email2.example", DORA]
    )
    state = scene.alice.look("mixed")
    assert (state["epoch"], state["members"]) == (0, [ALICE])  # all or nothing
    scene.alice.invite("mixed", DORA)
    assert scene.alice.look("mixed")["members"] == [ALICE, DORA]
    scene.meet()
