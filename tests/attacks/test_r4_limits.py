"""What one request, one client or one audited log may cost a service."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey_delivery.audit import replay
from roomkey_delivery.audit.auditor import MAX_WAITING
from roomkey_delivery.audit.protocol import AddCheckpoint
from roomkey_delivery.audit.witnesses import Refused
from roomkey_delivery.config import Rate, Rates

from tests.delivery.federated import Federated
from tests.delivery.test_ordering import GROUP, commit, hashed, token
from tests.support.audited_log import leaf
from tests.support.auditing import Audit
from tests.support.logged_services import LoggedLocals
from tests.support.services import DOMAINS


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[LoggedLocals]:
    made = LoggedLocals(tmp_path)
    assert await made.advance()
    yield made
    await made.close()


@pytest.mark.parametrize("level", ["0", "1", "63", "entries"])
@pytest.mark.parametrize(
    "place", ["x999/x999/x999/x999/x999/x999/999", "x036/x028/x797/x018/x963/968", "x009/x223/x372/x036/x854/x775/808"]
)
async def test_a_place_that_no_tree_has_is_not_there(logs: LoggedLocals, level: str, place: str) -> None:
    """Numbers beyond what the database can say were a fault of ours."""
    for width in ("", ".p/1"):
        answer = await logs.at[DOMAINS[0]].bare.get(f"/v1/log/tile/{level}/{place}{width}")
        assert answer.status_code == 404


def test_what_a_service_keeps_is_its_operators_alone(tmp_path: Path) -> None:
    """Names, who writes to whom and when, and the openings of the log: whatever the umask is."""
    before = os.umask(0)
    try:
        LoggedLocals(tmp_path)
    finally:
        os.umask(before)
    kept = [file for file in tmp_path.iterdir() if file.name.endswith((".db", "-wal", "-shm"))]
    assert len(kept) == 6
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}


async def _registers(at: DeliveryService, count: int) -> None:
    for number in range(count):
        await at.register_group(b"%d" % number, hashed(0))


async def _commits(at: DeliveryService, count: int) -> None:
    await at.register_group(GROUP, hashed(0))
    for epoch in range(count):
        await at.submit_commit(GROUP, epoch, commit(epoch, bytes(1000)), token(epoch), token(epoch + 1))


@pytest.mark.parametrize("fill", [_registers, _commits])
async def test_a_register_is_no_place_to_fill_a_disk(
    tmp_path: Path, fill: Callable[[DeliveryService, int], Awaitable[None]]
) -> None:
    """What stands in registers nobody looks at, and it stays: one client, and one domain with any number of clients,
    has a limit, which nobody else feels.
    """
    rates = Rates(
        groups=Rate(3, 0.001), domain_groups=Rate(7, 0.001), commits=Rate(3500, 0.001),
        domain_commits=Rate(8000, 0.001),
    )  # fmt: skip
    federated = Federated(tmp_path, rates=rates)
    mallory, bob = await federated.second.enrolled("mallory"), await federated.second.enrolled("bob")
    others = [await federated.first.enrolled(name) for name in ("a", "b", "c")]
    await _refused(fill(federated.second.at(mallory), 4))
    for who, count in zip(others, (4, 4, 1), strict=True):  # the last for what the others of the domain did
        await _refused(fill(federated.relay(who), count))
    honest = federated.second.at(bob)
    await honest.register_group(b"bob's", hashed(0))
    await honest.submit_commit(b"bob's", 0, commit(0, group=b"bob's"), token(0), token(1))
    await federated.close()


async def _refused(work: Awaitable[None]) -> None:
    with pytest.raises(RoomkeyError) as caught:
        await work
    assert caught.value.code == "too-many-requests"


async def test_a_log_that_never_ends_fills_no_auditor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the log can make up any number of people; its auditor keeps them all, in memory and on disk."""
    monkeypatch.setattr(replay, "MAX_LEAVES", 5)
    audit = await Audit.make(tmp_path)
    audit.log.append(*(leaf(number) for number in range(5)))
    assert (await audit.collect()).signatures
    audit.log.append(leaf(0, 2))  # new versions of who is there
    assert (await audit.collect(old=1)).signatures
    audit.log.append(leaf(5))
    (outcome,) = (await audit.collect(old=2)).outcomes.values()
    assert isinstance(outcome, Refused)
    assert outcome.status == 503
    assert audit.store.refusals() == []  # it did nothing wrong
    await audit.stop()


@pytest.mark.parametrize("size", [1, 2])
async def test_old_heads_that_anybody_can_send_keep_no_new_one_out(tmp_path: Path, size: int) -> None:
    """A log's checkpoints are public: only one that is new is worth waiting for."""
    audit = await Audit.make(tmp_path)
    for number in range(2):
        audit.log.append(leaf(number))
    assert (await audit.collect()).signatures
    old = AddCheckpoint(size, (), await audit.log.checkpoint(size))
    flood = [asyncio.create_task(audit.post(old)) for _ in range(4 * MAX_WAITING)]
    audit.log.append(leaf(2))
    answer = await audit.ask(audit.log, 2)
    assert {item.status_code for item in await asyncio.gather(*flood)} <= {200, 409}
    assert answer.status_code == 200
    await audit.stop()
