"""B11: a device that was away for many epochs, longer than keys of ended epochs are kept, reads all that was said."""

from __future__ import annotations

import pytest
from roomkey.conference import upkeep
from roomkey.conference.session import Session
from roomkey.mls.group import PAST_EPOCHS

from tests.support.conferences import said
from tests.support.people import Person, call, together
from tests.support.simulator import Simulation, origin_of, until


async def test_who_was_away_reads_every_epoch(
    simulation: Simulation, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    conference = await call(alice, bob)
    await bob.host.bury()
    spoken = [b"%d" % number for number in range(PAST_EPOCHS + 4)]
    for text in spoken:
        await conference.send(text)
        await conference.update()
    await until(lambda: not _waiting(alice), "everything to be in bob's inbox")

    async def wait(session: Session) -> None:
        """The inbox comes first (`upkeep.INBOX_FIRST`), however slow this machine is."""

    monkeypatch.setattr(upkeep, "settle", wait)
    await bob.power_cut()
    await together(conference, bob)
    assert said(bob) == spoken
    assert bob.errors == []


async def test_messages_that_came_while_the_register_was_down_are_read(alice: Person, bob: Person) -> None:
    """They are held, and read epoch by epoch once it is back."""
    conference = await call(alice, bob)
    bob.host.unreachable.add(origin_of("email1.example"))
    spoken = [b"%d" % number for number in range(PAST_EPOCHS + 4)]
    for text in spoken:
        await conference.send(text)
        await conference.update()
    await until(lambda: "service-unreachable" in bob.errors, "bob to ask in vain")
    await until(lambda: not _waiting(alice), "everything to be in bob's inbox")
    bob.host.unreachable.clear()
    await together(conference, bob)
    await until(lambda: said(bob) == spoken, "bob to read everything")


def _waiting(person: Person) -> list[str]:
    return [name for name in person.host.disks[person.identity].records if name.startswith("out/")]
