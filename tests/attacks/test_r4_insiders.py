"""Members who use what follows on a group against the others (RFC 9420 sections 11.2 and 11.3)."""

from __future__ import annotations

from typing import Any

import pytest
from roomkey.conference import following, records
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import named_client
from roomkey.mls import successor
from roomkey.mls.proposals import ReInit
from roomkey.mls.version import MLS10

from tests.attacks.mallory import crypto_of, group_of, heard, put
from tests.attacks.test_d9_weak_suites import left_behind
from tests.attacks.test_s13_branch import junk
from tests.support.people import Person, call
from tests.support.simulator import until


@pytest.mark.parametrize("code", ["log-unproven", "identity-reset"])
async def test_a_welcome_that_cannot_be_judged_yet_holds_up_nothing(
    alice: Person, bob: Person, mallory: Person, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Mallory founds a branch of an epoch that is over, which nobody waits for, with only herself and Alice in it; and
    her own service sees to it that it can neither be proved nor refused. Then the group needs a branch indeed.
    """
    conference = await call(alice, bob, mallory)
    old = group_of(mallory)
    await alice.conference.update()
    await heard(alice, mallory, b"the next epoch")
    waiting = await _hostile_welcomes(mallory, alice, old, 2)
    hostile = {group_id for group_id, _ in waiting}
    admission = alice.conference._session.around.admission
    honest = admission.admit

    async def withholding(group: Any, *arguments: Any, **options: Any) -> Any:
        if group.group_id in hostile:
            raise RoomkeyError(code, "expected an answer of mallory's service")
        return await honest(group, *arguments, **options)

    monkeypatch.setattr(type(admission), "admit", lambda self, *a, **o: withholding(*a, **o))
    for _, welcome in waiting:
        await put(mallory, welcome, alice)
    await heard(mallory, alice, b"come and see")
    session = alice.conference._session
    store = session.around.store

    async def held() -> int:
        return len(await store.list(records.welcome_name(session.key)))

    async with session.lock:
        assert not await following.follow(session)
    assert await held() == 1  # of each founder
    before = conference.id
    await junk(mallory)
    await mallory.client.close()
    alice.conference.settle()
    bob.conference.settle()
    await until(lambda: alice.conference.id != before, "alice's branch")


async def _hostile_welcomes(mallory: Person, victim: Person, old: Any, count: int) -> list[tuple[bytes, bytes]]:
    session, made = mallory.conference._session, []
    people = [member for member in session.members if member.client == victim.client.client_id]
    for number in range(count):
        found, missing = await session.around.heirs.keys(people, old.suite.number)
        assert missing is None
        package = found[victim.client.client_id].package_for(old.suite.number)
        ours = await session.around.heirs.own(old.suite.number)
        branch = await successor.branch_group(
            crypto_of(mallory), old, ours, [package], b"hostile %d" % number, mallory.host.now(),
            extensions=old.context.extensions, who=named_client,
        )  # fmt: skip
        assert branch.welcome is not None
        made.append((branch.group.group_id, branch.welcome))
    return made


async def test_a_reinit_for_nothing(alice: Person, bob: Person, mallory: Person) -> None:
    """One after the other, each would use up a set of keys of everybody's, and a minute."""
    await call(alice, bob, mallory)
    await left_behind(alice, bob, mallory, ReInit(b"same" * 8, MLS10, 1, group_of(mallory).context.extensions))
