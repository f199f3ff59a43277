"""D2, D4, D5, D6, D7: weaker or senseless offers, through the whole client. D1 and D3 are the log's (`test_t_…`), D8 is
the relay's, D9 and D10 are conferences'; D11 is that of media.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.attacked import Scene, attacked, meet
from tests.support.key_attacks import Attack, D, altered
from tests.support.tampering_proxy import CLAIM


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attacked(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


@pytest.mark.parametrize("attack", D, ids=lambda attack: attack.name)
async def test_offers_that_are_not_what_they_should_be(scene: Scene, attack: Attack) -> None:
    await scene.play(attack)


async def test_d2_exhausted_and_an_old_set_again(scene: Scene) -> None:
    """The service says by it that nothing new is left; what was used is refused, and no last resort is made of it."""
    bob = scene.publisher("bob")
    served: list[bytes] = []
    async with scene.client("alice", "email1.example") as (alice, _):

        def again(data: bytes) -> bytes:
            served.append(data)
            return served[0]

        scene.proxy.alter[CLAIM] = lambda body: altered(body, bob.identity, again)
        await meet(alice, bob.identity)
        fetched = await alice.fetch([bob.identity])
        assert [(item.error.code, item.error.details["step"]) for item in fetched.missing] == [("replayed", 7)]
        assert len(served) == 2
        scene.proxy.behave()
        await meet(alice, bob.identity)


async def test_d2_a_pool_that_is_truly_empty(scene: Scene) -> None:
    """The real service falls back to the last resort, of the same suites; the conference is of the same suite."""
    bob = scene.publisher("bob", sets=1)
    bob.publish(bob.sets(last_resort=True))
    async with scene.client("alice", "email1.example") as (alice, _):
        first = await meet(alice, bob.identity)
        second = await meet(alice, bob.identity)
        assert first.suite == second.suite == 1
        fetched = await alice.fetch([bob.identity])
        assert all(item.last_resort for keys in fetched.keys for item in keys.proved.sets)
