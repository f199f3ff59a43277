"""People in conferences where logs judge them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from roomkey.conference.conference import Conference
from roomkey.conference.events import Event, Failed, MessageArrived
from roomkey.errors import RoomkeyError
from roomkey.host.interface import HttpResponse
from roomkey.transparency.exchange import ANSWERS_PATH, AnswersRequest

from tests.support.owners import ALICE, Device, Logged, owner
from tests.support.simulator import until

BOB, CAROL, DAVE = "bob@email2.example", "carol@email2.example", "dave@email1.example"


class Member(Device):
    """A device whose questions to logs a test can leave without an answer, and count."""

    def __init__(self, made: Device) -> None:
        super().__init__(made.world, made.identity, made.host)
        if hasattr(made, "client"):
            self.client, self.events = made.client, made.events
        self.heard: list[Event] = []
        self.log_is_down = False
        self.unproved: set[str] = set()  # identities about whom no log answers
        self.asked = 0
        self._http = self.host.http
        self.host.http = self  # type: ignore[assignment]

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float
    ) -> HttpResponse:
        if url.endswith(ANSWERS_PATH):
            self.asked += 1
            about = {item.identity.decode() for item in AnswersRequest.decode(body or b"").requests}
            if self.log_is_down or about & self.unproved:
                raise RoomkeyError("timeout", "expected an answer in time, got none")
        return await self._http.request(method, url, headers, body, timeout=timeout)

    async def stream(self, method: str, url: str, headers: Mapping[str, str], *, timeout: float) -> object:
        return await self._http.stream(method, url, headers, timeout=timeout)

    @property
    def failures(self) -> list[str]:
        """Codes of what failed in the background."""
        return [event.error.code for event in (*self.events, *self.heard) if isinstance(event, Failed)]

    @property
    def said(self) -> list[bytes]:
        """What this member was told by messages."""
        return [event.message.data for event in self.heard if isinstance(event, MessageArrived)]

    @property
    def conference(self) -> Conference:
        (conference,) = self.client.conferences()
        return conference

    async def begin(self) -> Conference:
        """A conference of this member alone."""
        conference = await self.client.create_conference("call")
        conference.listen(self.heard.append)
        return conference

    async def add(self, *others: Member) -> None:
        """Adds people, who need not accept at once."""
        found = await self.client.fetch([other.identity for other in others])
        assert not found.missing, found.missing
        await self.client.invite(self.conference, found.keys)

    async def invited(self) -> None:
        """Waits for an invitation, and accepts it."""
        await until(self.client.invitations, f"an invitation for {self.identity}")
        (invitation,) = self.client.invitations()
        invitation.listen(self.heard.append)
        await self.client.accept(invitation)

    def proved_version(self) -> int:
        """Looks at the log: which version of our own manifest is proved."""
        self.client._watch.moved()
        manifest = self.client._entry.manifest
        return 0 if manifest is None else manifest.version


async def together(*members: Member) -> None:
    """Waits until all are in one epoch of one group."""

    def places() -> set[tuple[bytes, int]]:
        return {(member.conference.id, member.conference.epoch) for member in members}

    await until(lambda: len(places()) == 1, "one epoch for all")
    assert len({member.conference.verification_digits for member in members}) == 1


async def member(world: Logged, identity: str) -> AsyncIterator[Member]:
    made = Member(await owner(world, identity, publish=3))
    yield made
    await made.close()


def make_old(who: Member, identity: str) -> None:
    """As if what this member proved of somebody was of yesterday."""
    pin = who.client._logs._pins[identity]
    who.client._logs._pins[identity] = pin.replace(proved=pin.proved - 7200)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Logged]:
    async with Logged(tmp_path) as made:
        yield made
        assert made.keys_used_twice() == 0


@pytest.fixture
async def alice(world: Logged) -> AsyncIterator[Member]:
    async for made in member(world, ALICE):
        yield made


@pytest.fixture
async def bob(world: Logged) -> AsyncIterator[Member]:
    async for made in member(world, BOB):
        yield made


@pytest.fixture
async def carol(world: Logged) -> AsyncIterator[Member]:
    async for made in member(world, CAROL):
        yield made


@pytest.fixture
async def dave(world: Logged) -> AsyncIterator[Member]:
    async for made in member(world, DAVE):
        yield made
