"""A log that lies, and what auditors and a log's own restart make of it: T5, T9, T11, T15, T16 of attacks.md."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from roomkey.errors import RoomkeyError
from roomkey.transparency.checkpoints import cosign, cosignatures
from roomkey.transparency.evidence import ForkEvidence, TwoTruths, verify_evidence
from roomkey.transparency.exchange import MapUpdates
from roomkey.transparency.identity_map import MISSING, IdentityMap, MapLeaf
from roomkey.transparency.notes import COSIGNATURE
from roomkey_delivery.audit.auditor import Auditor
from roomkey_delivery.audit.store import AuditStore
from roomkey_delivery.audit.witnesses import Ahead, Refused

from tests.support.audited_log import CRYPTO, leaf, make_key
from tests.support.auditing import Audit


@pytest.fixture
async def audit(tmp_path: Path) -> AsyncIterator[Audit]:
    made = await Audit.make(tmp_path)
    made.log.append(leaf(1), leaf(2))
    made.log.append(leaf(3))
    assert (await made.collect()).signatures
    yield made
    await made.stop()


async def expect_end(audit: Audit, reason: str) -> None:
    """The log's head gets no cosignature, nor does any after it, nor after a restart."""
    for _ in range(2):
        for _ in range(2):
            (outcome,) = (await audit.collect()).outcomes.values()
            assert isinstance(outcome, Refused)
            assert outcome.status == 422
        (refusal,) = audit.store.refusals()
        assert reason in refusal.reason
        await audit.restart()
    audit.log.append()
    assert not (await audit.collect(old=3)).signatures


def updates_of(*leaves: MapLeaf) -> bytes:
    return MapUpdates(tuple(sorted(leaves, key=lambda item: item.index))).encode()


def root_of(*leaves: MapLeaf) -> bytes:
    return IdentityMap(leaves).root()


async def test_t5_a_map_root_that_omits_an_update(audit: Audit) -> None:
    root = root_of(leaf(1), leaf(2), leaf(3), leaf(5))
    audit.log.append(leaf(4), leaf(5), map_root=root)
    await expect_end(audit, "epoch 2: expected the root of the map")


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (root_of(leaf(1), leaf(2)), ()),  # one taken away
        (root_of(leaf(1), leaf(2, 2), leaf(3), leaf(4)), (leaf(4),)),  # one changed without a word
        (root_of(leaf(1), leaf(2), leaf(3), leaf(4), leaf(5)), (leaf(4),)),  # one added without a word
    ],
    ids=["removed", "changed", "added"],
)
async def test_t5_a_map_root_that_does_what_no_update_says(
    audit: Audit, root: bytes, said: tuple[MapLeaf, ...]
) -> None:
    audit.log.append(*said, map_root=root)
    await expect_end(audit, "epoch 2: expected the root of the map")


@pytest.mark.parametrize("version", [0, 1, 3, 2**63 - 1])
async def test_t5_a_version_that_is_not_the_next(audit: Audit, version: int) -> None:
    audit.log.append(leaf(2, version))
    await expect_end(audit, f"epoch 2: expected version 2 of an index, got {version}")


@pytest.mark.parametrize("version", [0, 2])
async def test_t5_a_new_identity_that_does_not_begin_with_version_1(audit: Audit, version: int) -> None:
    audit.log.append(leaf(9, version))
    await expect_end(audit, "epoch 2: expected version 1 of an index")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("number", 3, "expected its number, got 3"),
        ("number", 1, "expected its number, got 1"),
        ("time", 1_795_000_001, "expected a time of at least"),
        ("previous_root", MISSING, "expected the root of the epoch before"),
        ("previous_root", root_of(leaf(1)), "expected the root of the epoch before"),
    ],
)
async def test_t5_epochs_that_do_not_follow(audit: Audit, field: str, value: Any, reason: str) -> None:
    audit.log.append(leaf(4), **{field: value})
    await expect_end(audit, reason)


async def test_t5_updates_that_are_not_in_the_form(audit: Audit) -> None:
    """Twice the same index, so that one of the two could be shown to one auditor and the other to another."""
    log, first, second = audit.log, leaf(4), leaf(4).replace(commitment=bytes(32))
    body = MapUpdates((first,)).encode()[4:] + MapUpdates((second,)).encode()[4:]
    body = len(body).to_bytes(4, "big") + body
    log.append(first, updates_hash=hashlib.sha256(body).digest())
    log.updates[2] = body
    await expect_end(audit, "epoch 2: MapUpdates.updates: expected rising indexes")


async def test_t5_an_entry_that_is_no_epoch(audit: Audit) -> None:
    """A leaf of the log's tree that is shorter than an EpochLeaf, under a right signature."""
    audit.log.append(leaf(4))

    audit.log.entries[2] = audit.log.entries[2][:-1]
    await expect_end(audit, "epoch 2: EpochLeaf.updates_hash: expected 32 bytes, got 31")


async def test_t5_an_epoch_of_the_future_waits_for_its_time(audit: Audit) -> None:
    audit.log.append(leaf(4), time=int(audit.time) + 400)
    (outcome,) = (await audit.collect()).outcomes.values()
    assert isinstance(outcome, Refused)
    assert outcome.status == 503
    audit.time += 100
    assert (await audit.collect()).signatures


async def test_t6_two_truths_at_an_auditor_are_kept_as_evidence(audit: Audit, caplog: pytest.LogCaptureFixture) -> None:
    other = audit.log.fork()
    audit.log.append(leaf(4))
    other.append(leaf(5))
    honest, lie = await audit.log.checkpoint(), await other.checkpoint()
    assert (await audit.collect()).signatures
    assert (await audit.ask(other, 3)).status_code == 422
    (kept,) = audit.store.refusals()
    evidence = ForkEvidence.decode(kept.evidence or "")
    assert (evidence.first, evidence.second) == (honest, lie)
    proved = await verify_evidence(CRYPTO, evidence)
    assert proved == TwoTruths(audit.log.key, audit.log.head(), other.head())
    assert "two roots of size 3" in caplog.text
    await expect_end(audit, "two roots of size 3")


async def test_t6_an_older_size_with_another_root_is_evidence_too(audit: Audit) -> None:
    other = audit.log.fork()
    other.alter(1, time=1)
    audit.log.append(leaf(4))
    assert (await audit.collect()).signatures
    await audit.ask(other, 0, 2)
    (kept,) = audit.store.refusals()
    await verify_evidence(CRYPTO, ForkEvidence.decode(kept.evidence or ""))
    await expect_end(audit, "two roots of size 2")


async def test_t9_a_node_of_the_tree_is_no_epoch_and_an_epoch_no_node(audit: Audit) -> None:
    """A tree whose two first leaves are passed off as one: 64 bytes that hash as a node do not hash as a leaf."""
    first, second = audit.log.hashes()
    audit.log.append(leaf(4))
    audit.log.append(leaf(5))
    confused = audit.log.fork()
    bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in (first + second, b"", b"", b""))
    audit.log.altered = {"tile/entries/000.p/4": bundle}
    (audit.folder / "fresh").mkdir()
    fresh = await Audit.make(audit.folder / "fresh", audit.log)
    try:
        (outcome,) = (await fresh.collect(confused)).outcomes.values()
        assert isinstance(outcome, Refused)
        assert outcome.status == 503
        assert fresh.store.read(audit.log.key.name).tree.size == 0
    finally:
        await fresh.stop()
    (outcome,) = (await audit.collect(confused)).outcomes.values()
    assert isinstance(outcome, Refused)


async def test_t11_a_foreign_cosignature_is_passed_over(audit: Audit) -> None:
    """In the request, and in what the log puts beside the auditor's line."""
    foreign, pair = await make_key("somebody.example/witness", COSIGNATURE)
    note = await audit.log.checkpoint()
    line = await cosign(CRYPTO, note, foreign, pair, int(audit.time))
    collected = await audit.collect(note=note._replace(signatures=(*note.signatures, line)))
    both = note._replace(signatures=(*note.signatures, line, *collected.signatures))
    (found,) = await cosignatures(CRYPTO, both, [audit.key])
    assert found.cosigner == audit.key
    forged = line._replace(name=audit.key.name, key_id=audit.key.id)  # but one that bears the auditor's name is refused
    with pytest.raises(RoomkeyError) as refused:
        await cosignatures(CRYPTO, both._replace(signatures=(forged,)), [audit.key])
    assert refused.value.code == "invalid-signature"


async def test_t15_of_two_checkpoints_that_race_one_is_signed(audit: Audit) -> None:
    other = audit.log.fork()
    audit.log.append(leaf(4))
    other.append(leaf(5))
    logs = (audit.log, other, audit.log, other)
    answers = await asyncio.gather(*(audit.ask(log, 2) for log in logs))
    assert [answer.status_code for answer in answers].count(200) <= 1
    signed = {log.head().root for log, answer in zip(logs, answers, strict=True) if answer.status_code == 200}
    assert signed <= {audit.log.head().root}
    (kept,) = audit.store.refusals()
    await verify_evidence(CRYPTO, ForkEvidence.decode(kept.evidence or ""))


async def test_t15_in_two_processes_only_one_moves_the_head(audit: Audit) -> None:
    """Two stores of one file, as two processes have them: each has seen that its checkpoint continues the head."""
    other = audit.log.fork()
    audit.log.append(leaf(4))
    other.append(leaf(5))
    second = AuditStore(audit.folder / "email1.example.db")
    try:
        standing = audit.store.read(audit.log.key.name)
        assert second.read(audit.log.key.name) == standing
        assert second.advance(standing, other.head(), (await other.checkpoint()).encode())
        assert not audit.store.advance(standing, audit.log.head(), (await audit.log.checkpoint()).encode())
        assert audit.store.read(audit.log.key.name).head == other.head()
        assert not audit.store.replayed(audit.log.key.name, 1, standing.tree, standing.time, [])
    finally:
        second.close()


async def test_t15_a_head_that_moves_on_during_the_replay_is_not_cosigned(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit.log.append(leaf(4))
    honest = Auditor._replay

    async def slow(auditor: Auditor, item: Any, head: Any) -> None:
        await honest(auditor, item, head)
        newer = audit.log.fork()
        newer.append(leaf(6))
        standing = audit.store.read(head.origin)
        assert audit.store.advance(standing, newer.head(), (await newer.checkpoint()).encode())

    monkeypatch.setattr(Auditor, "_replay", slow)
    answer = await audit.ask(audit.log, 2)
    assert (answer.status_code, answer.content) == (409, b"4\n")


async def test_t16_a_log_that_was_started_from_an_old_disk_learns_it(audit: Audit) -> None:
    old = audit.log.fork()
    for number in (4, 5, 6):
        audit.log.append(leaf(number))
    assert (await audit.collect()).signatures
    old.append(leaf(7))
    collected = await audit.collect(old)
    assert collected.outcomes == {audit.key.name: Ahead(5)}
    assert collected.ahead == 5
