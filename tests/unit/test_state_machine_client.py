"""A hypothesis state machine over clients at two real delivery services: conferences, a bad network, power cuts.

It plays the same examples each time. For more, and other ones each time: ROOMKEY_STATE_EXAMPLES=100.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from roomkey.conference import records
from roomkey.conference.conference import Conference
from roomkey.conference.events import Ended, MessageArrived
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import MessageDelivery
from roomkey.mls.group import PAST_EPOCHS

from tests.support.people import Person, enrol
from tests.support.simulator import Simulation, origin_of, until

MORE = int(os.environ.get("ROOMKEY_STATE_EXAMPLES", "0"))
PEOPLE = ("alice@email1.example", "bob@email2.example", "carol@email1.example")
ORIGINS = (origin_of("email1.example"), origin_of("email2.example"))
PATHS = ("/v1/commits", "/v1/messages", "/v1/inbox/acknowledgements", "/v1/commits/read")
# What a person may be told when they ask for something at the wrong moment, or while the network is bad.
ANSWERS = frozenset({
    "service-unreachable", "service-unavailable", "timeout", "too-many-requests", "commit-conflict", "already-member",
    "no-such-member", "not-a-member", "request-replayed", "no-keys", "invalid-welcome",
})  # fmt: skip
# What may be told in the background.
TOLD = ANSWERS | {
    "wrong-epoch", "key-consumed", "welcome-not-for-us", "wrong-token", "wrong-group", "own-message", "unknown-client",
    "external-commit-refused",
}  # fmt: skip
T = TypeVar("T")
picks = st.integers(0, 1 << 10)
cuts = st.one_of(st.just(0), st.integers(1, 40))  # the power goes at the so manieth step; 0: it does not


@dataclass(frozen=True)
class Said:
    """A message whose sending was acknowledged. `readers`: how often each member had been in the conference by then."""

    sender: str
    epoch: int
    text: bytes
    readers: frozenset[tuple[str, int]]


class Clients(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.people: list[Person] = []
        self.spells = dict.fromkeys(PEOPLE, 0)
        self.said: list[Said] = []
        self.count = 0
        self.asked = False  # whether anybody was ever asked to invite
        self.read: set[tuple[str, bytes]] = set()  # who was seen to have which message
        self.group_id = b""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    # -- a conference --

    @initialize(invited=st.sampled_from([True, True, True, False]))
    def begin(self, invited: bool) -> None:
        async def work() -> None:
            self.simulation = Simulation(Path(self.folder.name))
            await self.simulation.__aenter__()
            for identity in PEOPLE:
                self.people.append(await enrol(self.simulation, identity, publish=2))
            conference = self.people[0].listen(await self.people[0].client.create_conference("one"))
            self.group_id = conference.id

        self.run(work())
        for whom in (1, 2) if invited else ():
            self.invite(0, whom, 0)
            self.run(until(self.people[whom].client.invitations, "an invitation"))
            self.answer(whom, True, 0)

    def conference_of(self, person: Person) -> Conference | None:
        """The person's part in the conference while it goes on."""
        return next((one for one in person.client.conferences() if one.status == records.ACTIVE), None)

    def act(self, person: Person, work: Callable[[], Awaitable[T]], cut: int) -> T | None:
        """What somebody asks for, its answer if there is one; perhaps the power goes meanwhile."""

        async def acted() -> T | None:
            person.host.stop_after(cut or None)
            running = asyncio.ensure_future(work())
            stopped = asyncio.ensure_future(person.host.stopped.wait())
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
            went = person.host.stopped.is_set()
            if went:
                await person.power_cut()
                running.cancel()
            person.host.stop_after(None)
            stopped.cancel()
            answer, _ = await asyncio.gather(running, stopped, return_exceptions=True)
            if went or isinstance(answer, asyncio.CancelledError):
                return None
            if isinstance(answer, RoomkeyError):
                assert answer.code in ANSWERS, answer
                return None
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return self.run(acted())

    @rule(who=picks, whom=picks, cut=cuts)
    def invite(self, who: int, whom: int, cut: int) -> None:
        self.asked = True
        person, other = self.people[who % 3], self.people[whom % 3]
        conference = self.conference_of(person)
        if conference is None or person is other:
            return
        if other.identity not in {one.identity for one in conference.members}:
            self.spells[other.identity] += 1

        async def work() -> None:
            fetched = await person.client.fetch([other.identity])
            for item in fetched.missing:
                raise item.error
            await person.client.invite(conference, fetched.keys)

        self.act(person, work, cut)

    @precondition(lambda self: self.asked)  # not who is invited by now: that is a matter of time, and no drawing may be
    @rule(who=picks, accepts=st.booleans(), cut=cuts)
    def answer(self, who: int, accepts: bool, cut: int) -> None:
        invited = [person for person in self.people if person.client.invitations()]
        if not invited:
            return
        person = invited[who % len(invited)]
        invitation = person.client.invitations()[-1]
        person.listen(invitation)
        if not accepts:
            self.spells[person.identity] += 1
        self.act(person, lambda: person.client.accept(invitation) if accepts else invitation.leave(), cut)

    @rule(who=picks, cut=cuts, count=st.integers(1, 3))
    def send(self, who: int, cut: int, count: int) -> None:
        """Some messages in a row; the power may go during the last."""
        for left in range(count - 1, -1, -1):
            self._send(self.people[who % 3], 0 if left else cut)

    def _send(self, person: Person, cut: int) -> None:
        conference = self.conference_of(person)
        if conference is None:
            return
        self.count += 1
        text = b"%d" % self.count
        here = {one.identity for one in self.people if self.conference_of(one) or one.client.invitations()}
        readers = frozenset((name, self.spells[name]) for name in here & {one.identity for one in conference.members})
        sent = self.act(person, lambda: conference.send(text), cut)
        if sent is not None:
            self.said.append(Said(person.identity, sent.epoch, text, readers))

    @rule(who=picks, cut=cuts)
    def update(self, who: int, cut: int) -> None:
        person = self.people[who % 3]
        conference = self.conference_of(person)
        if conference is not None:
            self.act(person, conference.update, cut)

    @rule(who=picks, by=picks)
    def update_at_once(self, who: int, by: int) -> None:
        """A race: one commit wins, the other is made anew."""
        both = [(person, self.conference_of(person)) for person in (self.people[who % 3], self.people[by % 3])]

        async def work() -> None:
            updates = [conference.update() for _, conference in both if conference is not None]
            for answer in await asyncio.gather(*updates, return_exceptions=True):
                assert answer is None or (isinstance(answer, RoomkeyError) and answer.code in ANSWERS), answer

        self.run(work())

    @rule(who=picks, whom=picks, cut=cuts)
    def remove(self, who: int, whom: int, cut: int) -> None:
        person, other = self.people[who % 3], self.people[whom % 3]
        conference = self.conference_of(person)
        if conference is not None and person is not other:
            self.spells[other.identity] += 1
            self.act(person, lambda: conference.remove(identity=other.identity), cut)

    @rule(who=st.integers(1, 2), cut=cuts)
    def leave(self, who: int, cut: int) -> None:
        """Alice stays, so that the conference does."""
        person = self.people[who]
        conference = self.conference_of(person)
        if conference is not None:
            self.spells[person.identity] += 1
            self.act(person, conference.leave, cut)

    # -- a bad network --

    @rule(origin=st.sampled_from(ORIGINS), who=st.sampled_from([None, 0, 1, 2]))
    def cut_off(self, origin: str, who: int | None) -> None:
        """A service that nobody, or one device, can reach."""
        (self.simulation.network if who is None else self.people[who].host).unreachable.add(origin)

    @rule(
        origin=st.sampled_from(ORIGINS), what=st.sampled_from(["lose_answers", "refuse"]), path=st.sampled_from(PATHS)
    )
    def spoil(self, origin: str, what: str, path: str) -> None:
        getattr(self.simulation.network, what).add(f"{origin} {path}")

    @rule()
    def mend(self) -> None:
        network = self.simulation.network
        for broken in (network.unreachable, network.lose_answers, network.refuse):
            broken.clear()
        for person in self.people:
            person.host.unreachable.clear()

        async def wake() -> None:
            for person in self.people:
                person.client._outbox.wake()  # its waits are of real seconds here

        self.run(wake())

    @rule(who=picks, which=picks)
    def repeat(self, who: int, which: int) -> None:
        """An inbox brings what it brought before, or what was for somebody else."""
        sent = []
        for body in self.simulation.network.bodies:
            try:
                sent.append(MessageDelivery.decode(body).message)
            except RoomkeyError:
                continue
        if sent:
            self.run(self.people[who % 3].client._inbox.take(sent[which % len(sent)]))

    @rule(who=picks)
    def restart(self, who: int) -> None:
        self.run(self.people[who % 3].power_cut())

    @rule()
    def wait(self) -> None:
        self.run(asyncio.sleep(0.02))

    # -- what must hold --

    @precondition(lambda self: not (self.simulation.network.unreachable or self.simulation.network.refuse))
    @rule()
    def heal(self) -> None:
        """All members agree on epoch and members, and have read what was said."""
        self.mend()
        self.run(self._agree())
        for person in self.people:
            for invitation in person.client.invitations():
                person.listen(invitation)
                self.act(person, lambda i=invitation, p=person: p.client.accept(i), 0)  # type: ignore[misc]
        self.run(self._agree())
        self.run(self._have_read())

    def _views(self) -> list[tuple[Person, Conference]]:
        found = [(person, self.conference_of(person)) for person in self.people]
        return [(person, conference) for person, conference in found if conference is not None]

    def _converged(self) -> bool:
        views = self._views()
        here = {person.client.client_id for person, _ in views}
        here |= {person.client.client_id for person in self.people if person.client.invitations()}
        states = {
            (one.id, one.epoch, one.verification_digits, tuple(member.client for member in one.members))
            for _, one in views
        }
        settled = all(one._session.pending is None and not one._session.record.departing for _, one in views)
        members = {member.client for _, one in views for member in one.members}
        return len(states) <= 1 and settled and members <= here and all(p.client.client_id in members for p, _ in views)

    async def _agree(self) -> None:
        await until(self._converged, "everybody to agree", seconds=120)
        for person in self.people:
            assert set(person.errors) <= TOLD, person.errors
            ends = [event for event in person.told if isinstance(event, Ended)]
            assert all(event.reason in ("removed", "left") for event in ends)

    async def _have_read(self) -> None:
        """Each has what members said to them. What commits have overtaken by more than a few epochs nobody can open,
        and who was removed, and did not know it yet, is heard no more.
        """
        for person, conference in self._views():
            here = {one.identity for one in conference.members}
            wanted = {
                said.text
                for said in self.said
                if (person.identity, self.spells[person.identity]) in said.readers
                and (said.sender, self.spells[said.sender]) in said.readers
                and (
                    (person.identity, said.text) in self.read
                    or (said.sender in here and said.epoch >= conference.epoch - PAST_EPOCHS)
                )
            }
            texts: list[bytes] = []
            for _ in range(6000):
                texts = [message.data for message in await conference.history.messages(limit=1000)]
                if wanted <= set(texts):
                    break
                await asyncio.sleep(0.01)
            self.read |= {(person.identity, text) for text in texts}
            assert wanted <= set(texts), f"{person.identity} misses {wanted - set(texts)}"
            assert len(texts) == len(set(texts)), "a message was stored twice"
            heard = [event.message.data for event in person.told if isinstance(event, MessageArrived)]
            assert len(heard) == len(set(heard)), "a message was shown twice"

    def teardown(self) -> None:
        try:
            if len(self.people) == len(PEOPLE):
                self.heal()
                assert self.simulation.keys_used_twice() == 0
        finally:
            self.run(self._close())
            self.loop.close()
            self.folder.cleanup()

    async def _close(self) -> None:
        for person in self.people:
            await person.close()
            await person.host.bury()
        if hasattr(self, "simulation"):
            await self.simulation.__aexit__()


TestClients = Clients.TestCase
TestClients.settings = settings(
    max_examples=MORE or 24,
    stateful_step_count=30,
    derandomize=not MORE,
    deadline=None,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    phases=(Phase.explicit, Phase.generate),  # what is a matter of time shrinks to nonsense, for many minutes
    suppress_health_check=list(HealthCheck),
)
