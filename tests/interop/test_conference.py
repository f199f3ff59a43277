"""Different applications on one service (draft-omara-mls-federation-00 section 3.2): conferences of full Roomkey
clients and of somebody whose application runs ts-mls, over delivery services. What such an application needs to know
stands in web/docs/other-clients.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from roomkey.conference.conference import Conference
from roomkey.conference.records import REMOVED as ENDED
from roomkey.mls.extensions import ExtensionType, ExternalPub
from roomkey.mls.framing import MLSMessage, message
from roomkey.mls.policy import EXTERNAL_JOINS
from roomkey.mls.welcome import GroupInfo, sign_group_info

from tests.interop.conference_world import Ours, Theirs, code_for, in_epoch, ours, until
from tests.interop.members import APPLICATION, COMMIT, REMOVED
from tests.interop.peer import Peer
from tests.support.services import DOMAINS, TwoServices, two_services

HERE, THERE = DOMAINS

Enrol = Callable[[str], Awaitable[Ours]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoServices]:
    with two_services(tmp_path_factory.mktemp("services")) as services:
        yield services


@pytest.fixture
def addresses(both: TwoServices) -> dict[str, str]:
    return {domain: service.url for domain, service in both.running.items()}


@pytest.fixture
async def enrol(both: TwoServices, addresses: dict[str, str], tmp_path: Path) -> AsyncIterator[Enrol]:
    """Makes Roomkey clients, which end with the test without a failure in the background."""
    people: list[Ours] = []

    async def make(identity: str) -> Ours:
        people.append(await ours(tmp_path, identity, addresses, await code_for(both.at(identity), identity)))
        return people[-1]

    yield make
    for person in people:
        await person.client.close()
        await person.host.close()
    assert [person.failures for person in people] == [[]] * len(people)


@pytest.mark.parametrize(("domain", "suites"), [(HERE, (1, 3)), (THERE, (1, 3, 2)), (THERE, (2, 1))], ids=str)
async def test_a_conference_of_ours(
    ts_mls: Peer, both: TwoServices, enrol: Enrol, addresses: dict[str, str], domain: str, suites: tuple[int, ...]
) -> None:
    names = {name: f"{name}-{domain[5]}-{len(suites)}-{suites[0]}" for name in ("alice", "bob", "carol")}
    alice, carol = await enrol(f"{names['alice']}@{HERE}"), await enrol(f"{names['carol']}@{HERE}")
    bob = Theirs(ts_mls, f"{names['bob']}@{domain}", addresses, suites[0])
    await bob.enrol(await code_for(both.at(bob.identity), bob.identity), *suites[1:])

    # we invite it
    fetched = await alice.client.fetch([bob.identity])
    assert not fetched.missing
    conference = await alice.client.create_conference("stand-up", fetched.keys)
    conference.listen(alice.told.append)
    await alice.client.invite(conference, fetched.keys)
    await bob.joined()
    await bob.sees(conference)

    # messages both ways
    await conference.send(b"from us")
    assert await bob.next(APPLICATION) == (APPLICATION, b"from us")
    await bob.say(b"from them")
    assert await alice.heard(b"from them") == bob.identity

    # it invites one of ours, and everybody gets new keys
    assert await bob.add(carol.identity)
    await carol.invited()
    await in_epoch(alice, 2)
    await carol.conference.update()
    assert (await bob.next(COMMIT)).kind == COMMIT
    assert await bob.commit(public=True)
    await in_epoch(alice, 4)
    await in_epoch(carol, 4)
    for person in (alice, carol):
        await bob.sees(person.conference)
    await bob.say(b"to both")
    assert [await person.heard(b"to both") for person in (alice, carol)] == [bob.identity] * 2

    # two commits in one epoch: the register's counts
    await conference.update()
    assert not await bob.commit()
    assert await bob.commit()
    await in_epoch(carol, 6)
    await bob.sees(carol.conference)

    # it removes one of ours, and is removed
    assert await bob.remove(carol.identity)
    await until(lambda: carol.conference.status == ENDED, "carol removed")
    await in_epoch(alice, 7)
    await conference.remove(identity=bob.identity)
    await bob.next(REMOVED)
    assert [member.identity for member in conference.members] == [alice.identity]


async def ticket_of(conference: Conference) -> bytes:
    """A ticket with external_pub as ts-mls reads it (`faults.BARE_EXTERNAL_PUB`), signed as the member who makes it."""
    made = MLSMessage.decode(await conference.ticket()).body
    assert isinstance(made, GroupInfo)
    session = conference._session
    bare = [
        item.replace(extension_data=ExternalPub.decode(item.extension_data).external_pub)
        if item.extension_type == ExtensionType.EXTERNAL_PUB
        else item
        for item in made.extensions
    ]
    signed = await sign_group_info(
        session.around.crypto, session.live.suite, session.live.signature, made.signer, made.group_context, tuple(bare),
        made.confirmation_tag,
    )  # fmt: skip
    return message(signed).encode()


async def test_in_by_a_ticket(ts_mls: Peer, both: TwoServices, enrol: Enrol, addresses: dict[str, str]) -> None:
    """Another engine joins by a ticket of ours; who came so is a member like all others."""
    alice, carol = await enrol(f"alice-ticket@{HERE}"), await enrol(f"carol-ticket@{THERE}")
    bob = Theirs(ts_mls, f"bob-ticket@{THERE}", addresses)
    await bob.enrol(await code_for(both.at(bob.identity), bob.identity))
    conference = await alice.client.create_conference("open house", policy=EXTERNAL_JOINS)
    conference.listen(alice.told.append)
    late = await ticket_of(conference)
    await conference.update()
    assert not await bob.come_in(late)
    assert await bob.come_in(await ticket_of(conference))
    await in_epoch(alice, 2)
    await bob.sees(conference)
    await conference.send(b"from us")
    assert await bob.next(APPLICATION) == (APPLICATION, b"from us")
    await bob.say(b"from them")
    assert await alice.heard(b"from them") == bob.identity

    # one of ours comes in by itself, and it follows
    await carol.client.join_conference(await conference.ticket())
    assert (await bob.next(COMMIT)).kind == COMMIT
    await bob.sees(carol.conference)
    assert await bob.remove(carol.identity)
    await until(lambda: carol.conference.status == ENDED, "carol removed")


@pytest.mark.parametrize("name", [None, "their call"], ids=["bare", "with_roomkey_group"])
async def test_a_group_of_theirs(
    ts_mls: Peer, both: TwoServices, enrol: Enrol, addresses: dict[str, str], name: str | None
) -> None:
    """Without roomkey_group the creator's home service orders."""
    tag = "bare" if name is None else "named"
    alice = await enrol(f"alice-{tag}@{HERE}")
    bob = Theirs(ts_mls, f"bob-{tag}@{THERE}", addresses)
    await bob.enrol(await code_for(both.at(bob.identity), bob.identity))
    await bob.create(tag.encode(), name)
    assert await bob.add(alice.identity)
    conference = await alice.invited()
    assert (conference.ordering, conference.name) == (THERE, name or "")
    assert conference.inviter is not None
    assert conference.inviter.identity == bob.identity
    await bob.sees(conference)
    await conference.send(b"from us")
    assert await bob.next(APPLICATION) == (APPLICATION, b"from us")

    # we invite one of ours, who never heard of the creator's service
    carol = await enrol(f"carol-{tag}@{HERE}")
    fetched = await alice.client.fetch([carol.identity])
    await alice.client.invite(conference, fetched.keys)
    await bob.next(COMMIT)
    assert (await carol.invited()).ordering == THERE
    await bob.sees(carol.conference)
    await bob.say(b"to both")
    assert [await person.heard(b"to both") for person in (alice, carol)] == [bob.identity] * 2


@pytest.mark.parametrize("public", [False, True], ids=["private", "public"])
async def test_it_leaves(
    ts_mls: Peer, both: TwoServices, enrol: Enrol, addresses: dict[str, str], public: bool
) -> None:
    alice = await enrol(f"alice-leave-{public}@{HERE}".lower())
    bob = Theirs(ts_mls, f"bob-leave-{public}@{THERE}".lower(), addresses)
    await bob.enrol(await code_for(both.at(bob.identity), bob.identity))
    fetched = await alice.client.fetch([bob.identity])
    conference = await alice.client.create_conference("stand-up", fetched.keys)
    await alice.client.invite(conference, fetched.keys)
    await bob.joined()
    await bob.leave(public=public)
    await until(lambda: len(conference.members) == 1, "bob seen off")
    await bob.next(REMOVED)
