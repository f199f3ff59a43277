"""What an auditor takes, keeps and cosigns."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.exchange import MapUpdates
from roomkey.transparency.merkle import EMPTY_ROOT
from roomkey.transparency.notes import Note, sign_note
from roomkey_delivery.audit import auditor as auditing
from roomkey_delivery.audit.protocol import AddCheckpoint
from roomkey_delivery.audit.reading import LogReader

from tests.support.audited_log import CRYPTO, leaf, make_key
from tests.support.auditing import Audit
from tests.support.stock_witness import cosigned_at


@pytest.fixture
async def audit(tmp_path: Path) -> AsyncIterator[Audit]:
    made = await Audit.make(tmp_path)
    yield made
    await made.stop()


async def test_a_log_is_followed_and_cosigned(audit: Audit) -> None:
    for number in range(12):
        audit.log.append(leaf(number), leaf(number - 1, 2) if number else leaf(99))
        note = await audit.log.checkpoint()
        (line,) = (await audit.collect(note=note, old=number)).signatures
        cosigned = note._replace(signatures=(*note.signatures, line))
        assert cosigned_at(cosigned.encode(), audit.key.encode()) == audit.time  # by code that is not ours
    assert audit.log.asked.count("updates/3") == 1


async def test_a_log_is_followed_from_its_beginning_after_many_epochs(audit: Audit) -> None:
    """Over several bundles of entries, tiles of level 1, and pieces of the replay."""
    for number in range(256 * 3 + 40):
        audit.log.append(leaf(number)) if number % 50 == 0 else audit.log.append()
    assert (await audit.collect(note=await audit.log.checkpoint(100))).signatures
    assert (await audit.collect()).signatures
    assert "tile/1/000.p/3" in audit.log.asked
    assert "tile/entries/003.p/40" in audit.log.asked
    standing = audit.store.read(audit.log.key.name)
    assert standing.tree.root() == audit.log.head().root
    assert standing.time == audit.log.time


async def test_what_was_replayed_is_there_after_a_restart(audit: Audit) -> None:
    audit.log.append(*(leaf(number) for number in range(30)))
    assert (await audit.collect()).signatures
    await audit.restart()
    audit.log.asked.clear()
    audit.log.append(leaf(3, 2), leaf(31))
    assert (await audit.collect(old=1)).signatures
    assert sorted(audit.log.asked) == ["tile/entries/000.p/2", "updates/1"]
    await audit.restart()
    audit.log.append(leaf(3, 2))  # the version that it has already
    assert not (await audit.collect(old=2)).signatures


async def test_the_same_head_again_is_cosigned_with_the_time_of_then(audit: Audit) -> None:
    audit.log.append(leaf(1))
    note = await audit.log.checkpoint()
    times = []
    for _ in range(3):
        audit.time += 3600
        (line,) = (await audit.collect(note=note)).signatures
        times.append(int.from_bytes(line.signature[:8], "big"))
    assert times == [audit.time - 7200, audit.time - 3600, audit.time]


async def test_statuses_are_those_of_the_specification(audit: Audit) -> None:
    log, (stranger, pair) = audit.log, await make_key("stranger.example/roomkey")
    for number in range(7):
        log.append(leaf(number))
    note = await log.checkpoint()
    # 400: not in the form, an old size above the checkpoint's
    for body in (b"", b"old 0\n", b"old 00\n\n" + note.encode(), b"old 0\nAA==\n\n" + note.encode(), b"old 0\n\nx"):
        assert (await audit.post(body)).status_code == 400, body
    assert (await audit.ask(log, 8)).status_code == 400
    assert (await audit.post(AddCheckpoint(0, (bytes(32),) * 64, note))).status_code == 400
    # 404: an origin that is not audited
    other = await sign_note(CRYPTO, Checkpoint(stranger.name, 1, bytes(32)).text(), stranger, pair)
    assert (await audit.post(AddCheckpoint(0, (), other))).status_code == 404
    # 403: not signed by the log; signed by it and by somebody else in its name
    unsigned = await sign_note(CRYPTO, note.text, stranger, pair)
    assert (await audit.post(AddCheckpoint(0, (), unsigned))).status_code == 403
    forged = unsigned.signatures[0]._replace(name=log.key.name, key_id=log.key.id)
    assert (await audit.post(AddCheckpoint(0, (), Note(note.text, (*note.signatures, forged))))).status_code == 403
    # 422: hashes from an empty tree, an empty tree of another root
    assert (await audit.post(AddCheckpoint(0, (bytes(32),), note))).status_code == 422
    odd = await sign_note(CRYPTO, Checkpoint(log.key.name, 0, bytes(32)).text(), log.key, log.pair)
    assert (await audit.post(AddCheckpoint(0, (), odd))).status_code == 422
    # 200, and lines of keys that are not known are passed over
    both = Note(note.text, (*unsigned.signatures, *note.signatures))
    empty = await sign_note(CRYPTO, Checkpoint(log.key.name, 0, EMPTY_ROOT).text(), log.key, log.pair)
    assert (await audit.post(AddCheckpoint(0, (), empty))).status_code == 200
    assert (await audit.ask(log, 0, 3)).status_code == 200
    answer = await audit.post(AddCheckpoint(3, tuple(log.consistency(3, 7)), both))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    # 409 with our size, also for what is older than our head
    for old, size in ((0, 7), (3, 7), (3, 5), (5, 5), (0, 0)):
        answer = await audit.ask(log, old, size)
        assert (answer.status_code, answer.content) == (409, b"7\n"), (old, size)
        assert answer.headers["content-type"] == "text/x.tlog.size"
    # 422: a proof that does not hold
    log.append(leaf(7))
    proof = log.consistency(7, 8)
    for wrong in (proof[:-1], [*proof, proof[0]], [bytes(32), *proof[1:]], []):
        assert (await audit.post(AddCheckpoint(7, tuple(wrong), await log.checkpoint()))).status_code == 422
    assert (await audit.ask(log, 7)).status_code == 200
    # 413
    assert (await audit.post(bytes(200_000))).status_code == 413


async def test_whoever_watches_a_log_gets_its_cosigned_head(audit: Audit) -> None:
    place = f"/v1/witness/{hashlib.sha256(audit.log.key.name.encode()).hexdigest()}/checkpoint"
    assert (await audit.http.get(place)).status_code == 404
    audit.log.append(leaf(1))
    await audit.collect()
    note = (await audit.http.get(place)).content
    assert cosigned_at(note, audit.key.encode()) == audit.time
    assert Note.decode(note).text == audit.log.head().text()
    assert (await audit.http.get(place.replace("/checkpoint", "0/checkpoint"))).status_code == 404


async def test_what_does_not_come_or_was_altered_on_the_way_is_asked_for_again(audit: Audit) -> None:
    log = audit.log
    for number in range(3):
        log.append(leaf(number))
    entries, updates = log.serve("tile/entries/000.p/3"), log.updates[1]
    assert entries is not None
    broken = {
        "tile/entries/000.p/3": (b"", entries[:-1], entries + b"\0", entries[:-1] + b"x", b"\xff\xff" + entries),
        "updates/1": (b"", updates[:-1], updates[:-1] + b"x", MapUpdates((leaf(9),)).encode(), bytes(4_000_000)),
    }
    for path, bodies in broken.items():
        for body in bodies:
            log.altered = {path: body}
            answer = await audit.ask(log, 3 if audit.store.read(log.key.name).head else 0)
            assert answer.status_code == 503, (path, body[:20])
            assert int(answer.headers["retry-after"]) > 0
    assert audit.store.read(log.key.name).tree.size == 0
    log.altered = {}
    assert (await audit.ask(log, 3)).status_code == 200


async def test_what_was_replayed_before_a_failure_is_kept(audit: Audit) -> None:
    for number in range(20):
        audit.log.append(leaf(number))
    audit.log.altered = {"updates/17": b""}
    assert (await audit.ask(audit.log, 0)).status_code == 503
    assert audit.store.read(audit.log.key.name).tree.size == 16  # they are fetched by eight
    audit.log.altered = {}
    audit.log.asked.clear()
    assert (await audit.ask(audit.log, 20)).status_code == 200
    assert "updates/15" not in audit.log.asked


async def test_a_whole_bundle_is_held_against_its_tile(audit: Audit) -> None:
    """One between the first and the last, of which the checkpoint's root alone says nothing."""
    for _ in range(256 * 3 + 1):
        audit.log.append()
    honest = audit.log.serve("tile/entries/001")
    assert honest is not None
    audit.log.altered = {"tile/entries/001": honest.replace(audit.log.entries[300][8:16], bytes(8))}
    answer = await audit.ask(audit.log, 0)
    assert (answer.status_code, "the log's tile" in answer.text) == (503, True)
    assert audit.store.read(audit.log.key.name).tree.size == 256  # what was proved by then
    audit.log.altered = {}
    assert (await audit.ask(audit.log, 769)).status_code == 200


async def test_a_long_replay_goes_on_after_the_request(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    log, gate = audit.log, asyncio.Event()
    log.append(leaf(1))
    honest = LogReader.updates

    async def waiting(reader: LogReader, number: int, expected: bytes) -> bytes:
        await gate.wait()
        return await honest(reader, number, expected)

    monkeypatch.setattr(LogReader, "updates", waiting)
    monkeypatch.setattr(auditing, "REQUEST_TIME", 0.05)
    assert (await audit.ask(log, 0)).status_code == 503
    gate.set()
    monkeypatch.setattr(auditing, "REQUEST_TIME", 60.0)
    assert (await audit.ask(log, 1)).status_code == 200
    assert log.asked.count("updates/0") == 1


async def test_requests_about_one_log_do_not_pile_up(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    async def waiting(reader: LogReader, number: int, expected: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    audit.log.append(leaf(1))
    monkeypatch.setattr(LogReader, "updates", waiting)
    monkeypatch.setattr(auditing, "REQUEST_TIME", 0.05)
    answers = await asyncio.gather(*(audit.ask(audit.log, 0) for _ in range(auditing.MAX_WAITING + 3)))
    texts = [answer.text for answer in answers]
    assert sum("to be done" in text for text in texts) == 3
    assert sum("goes on" in text for text in texts) == auditing.MAX_WAITING


async def test_a_log_of_a_newer_key_goes_on_where_it_was(audit: Audit) -> None:
    audit.log.append(leaf(1))
    await audit.collect()
    newer = audit.log.fork()
    newer.key, newer.pair = await make_key(audit.log.key.name)
    audit.log = newer
    await audit.restart()
    newer.append(leaf(2))
    assert (await audit.collect(old=1)).signatures
