"""When a log signs, and when it does not: auditors that are away, restarts, old disks, two processes on one file."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from roomkey.errors import RoomkeyError
from roomkey.transparency.checkpoints import cosignatures, open_checkpoint
from roomkey.transparency.exchange import AnswerRequest, AnswersRequest
from roomkey.transparency.notes import COSIGNATURE, ED25519, Note, VerifierKey
from roomkey_delivery.audit.witnesses import collect
from roomkey_delivery.log import log as logs_own
from roomkey_delivery.log.config import LogConfig, Witness
from roomkey_delivery.log.epochs import make_epoch
from roomkey_delivery.log.keys import make_keys
from roomkey_delivery.log.log import FRESH, RECOSIGN, Log
from roomkey_delivery.log.map import LogMap
from roomkey_delivery.log.parts import make_log
from roomkey_delivery.log.store import LogStore
from roomkey_delivery.log.submitting import submit

from tests.support.log_configs import log_config
from tests.support.logged_services import LoggedLocals
from tests.support.manifest_makers import CRYPTO, Owner
from tests.support.services import DOMAINS
from tests.support.stock_witness import Refusal, StockWitness

HOME, OTHER = DOMAINS
ALICE = f"alice@{HOME}"


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[LoggedLocals]:
    made = LoggedLocals(tmp_path)
    assert await made.advance()
    yield made
    await made.close()


def another(logs: LoggedLocals, config: LogConfig | None = None) -> Log:
    """The same log in another process, for all that it knows: on the same file."""
    config = config or log_config(HOME, logs.keys, {name: f"https://ds.{name}" for name in DOMAINS})
    http = httpx.AsyncClient(transport=logs.between)
    made = make_log(config, logs.folder / f"{HOME}.db", http, lambda: logs.time)
    assert made is not None
    return made


async def size_of(log: Log) -> int:
    """The published size."""
    note = await log.checkpoint()
    assert note is not None
    return (await open_checkpoint(CRYPTO, note, log.config.keys.log_key)).checkpoint.size


async def times_of(log: Log) -> list[int]:
    """When the published head was cosigned, by each."""
    note = await log.checkpoint()
    assert note is not None
    keys = [witness.key for witness in log.config.witnesses]
    return [item.time for item in await cosignatures(CRYPTO, Note.decode(note), keys)]


async def test_a_log_begins_with_an_empty_epoch_that_is_cosigned(logs: LoggedLocals) -> None:
    assert await size_of(logs.log()) == 1
    assert await logs.log().updates(0) == bytes(4)
    assert await logs.log().advance()
    assert await size_of(logs.log()) == 1


async def test_while_the_auditor_is_away_manifests_wait_and_then_share_an_epoch(logs: LoggedLocals) -> None:
    logs.between.down.add(OTHER)
    owners = [await Owner.make(f"p{number}@{HOME}") for number in range(4)]
    for owner in owners:
        await logs.log().submit(await owner.next(), logs.time)
        assert not await logs.log().advance()
    assert await size_of(logs.log()) == 1
    assert await logs.log().cosigned(owners[0].identity) is None
    logs.between.down.clear()
    assert await logs.log().advance()
    assert await size_of(logs.log()) == 3  # the first alone, the others together
    for owner in owners:
        assert await logs.log().cosigned(owner.identity) is not None


async def test_a_head_is_cosigned_anew_before_an_hour_is_over(logs: LoggedLocals) -> None:
    before = await times_of(logs.log())
    logs.time += RECOSIGN - 1
    await logs.log().advance()
    assert await times_of(logs.log()) == before
    logs.time += 1
    logs.between.down.add(OTHER)
    assert not await logs.log().advance()
    assert await times_of(logs.log()) == before
    logs.between.down.clear()
    assert await logs.log().advance()
    assert await times_of(logs.log()) == [int(logs.time)]
    assert await size_of(logs.log()) == 1
    assert RECOSIGN < 3600


async def test_a_restart_goes_on_where_the_last_process_stopped(logs: LoggedLocals) -> None:
    """An epoch that was made and not cosigned is published by the next process, with what its manifests said."""
    owner = await Owner.make()
    signed = await owner.next()
    await logs.log().submit(signed, logs.time)
    logs.between.down.add(OTHER)
    assert not await logs.log().advance()
    entry = await logs.log().updates(1)
    await logs.restart(HOME)
    assert not await logs.log().advance()
    assert await logs.log().cosigned(ALICE) is None
    logs.between.down.clear()
    assert await logs.log().advance()
    assert await logs.log().cosigned(ALICE) == signed
    assert await logs.log().updates(1) == entry
    assert await size_of(logs.log()) == 2


async def test_no_epoch_is_made_before_the_head_that_was_found_is_confirmed(logs: LoggedLocals) -> None:
    await logs.restart(HOME)
    logs.between.down.add(OTHER)
    await logs.log().submit(await (await Owner.make()).next(), logs.time)
    assert not await logs.log().advance()
    assert await logs.log().updates(1) is None
    logs.between.down.clear()
    assert await logs.log().advance()
    assert await logs.log().updates(1) is not None


def _copy(folder: Path, to: Path) -> None:
    to.mkdir()
    for file in folder.glob(f"{HOME}.db*"):
        shutil.copy(file, to / file.name)


def _replace(folder: Path, by: Path | None) -> None:
    for file in folder.glob(f"{HOME}.db*"):
        file.unlink()
    for file in [] if by is None else by.iterdir():
        shutil.copy(file, folder / file.name)


@pytest.mark.parametrize("lost", ["newest", "all"])
async def test_t16_an_old_disk_signs_nothing_and_says_so(
    logs: LoggedLocals, tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: str
) -> None:
    owner = await Owner.make()
    await logs.log().submit(await owner.next(), logs.time)
    assert await logs.advance()
    await logs.stop(HOME)
    backup, newest = tmp_path / "backup", tmp_path / "newest"
    _copy(tmp_path, backup)
    logs.start(HOME)
    second = await owner.next()
    await logs.log().submit(second, logs.time)
    assert await logs.advance()
    assert await size_of(logs.log()) == 3
    await logs.stop(HOME)
    _copy(tmp_path, newest)
    _replace(tmp_path, backup if lost == "newest" else None)
    logs.start(HOME)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            assert not await logs.log().advance()
    (said,) = [record.getMessage() for record in caplog.records]
    assert f"a witness has cosigned 3 of its epochs, and this database has {2 if lost == 'newest' else 0}" in said
    with pytest.raises(RoomkeyError) as caught:
        await logs.log().submit(await (await Owner.make(f"bob@{HOME}")).next(), logs.time)
    assert caught.value.code == "service-unavailable"
    assert await logs.log().updates(2) is None  # no epoch beside the one that was lost
    await logs.stop(HOME)
    _replace(tmp_path, newest)
    logs.start(HOME)
    assert await logs.log().advance()
    assert await logs.log().cosigned(ALICE) == second


async def test_two_processes_on_one_file_make_one_log(logs: LoggedLocals) -> None:
    one, two = logs.log(), another(logs)
    owners = [await Owner.make(f"p{number}@{HOME}") for number in range(6)]
    for number, owner in enumerate(owners):
        here, there = (one, two) if number % 2 else (two, one)
        await here.submit(await owner.next(), logs.time)
        assert await here.advance()
        assert await size_of(there) == number + 2
    answers = [
        await log.answers(AnswersRequest(0, tuple(AnswerRequest(owner.identity.encode(), 0) for owner in owners)))
        for log in (one, two)
    ]
    assert answers[0] == answers[1]
    assert None not in answers[0].answers
    await two.close()


async def test_two_processes_that_race_are_never_taken_for_an_old_disk(
    logs: LoggedLocals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One asks for cosignatures of a head while the other goes on to the next: the witness knows a larger size."""
    one, two = logs.log(), another(logs)
    assert await two.advance()
    await one.submit(await (await Owner.make()).next(), logs.time)
    real, calls = collect, 0

    async def slow(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:  # the other gets ahead before our question is asked
            assert await two.advance()
            await two.submit(await (await Owner.make(f"bob@{HOME}")).next(), logs.time)
            assert await two.advance()
        return await real(*arguments, **options)

    monkeypatch.setattr(logs_own, "collect", slow)
    with caplog.at_level(logging.ERROR):
        assert await one.advance()
    assert not caplog.records
    assert one.refusal is None
    assert await size_of(one) == await size_of(two) == 3
    await two.close()


async def test_no_epoch_is_made_on_a_head_that_another_process_has_not_published_yet(tmp_path: Path) -> None:
    store, current, keys, owner = LogStore(tmp_path / "log.db"), LogMap(), make_keys(HOME), await Owner.make()
    store.begin(keys)
    with store.writing():
        assert make_epoch(store, current, 1)
        assert submit(store, CRYPTO, keys.vrf_secret, ALICE, await owner.next(), 1, reset=False)
        assert not make_epoch(store, current, 2)
        store.publish(1, b"a note", 2)
        assert make_epoch(store, current, 3)
        assert (store.head().size, store.epoch(1).time) == (2, 3)
    store.close()


def test_what_is_written_survives_a_power_failure(tmp_path: Path) -> None:
    """As far as SQLite can: each transaction is flushed to the disk before it counts (FULL)."""
    store = LogStore(tmp_path / "log.db")
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


async def test_a_witness_that_is_no_auditor_counts_for_nothing(logs: LoggedLocals) -> None:
    own = logs.keys[HOME]
    witness = StockWitness("witness.example/w", lambda: logs.time, own.log_key.encode())

    async def play(request: httpx.Request) -> httpx.Response:
        try:
            status, body = 200, witness.add_checkpoint(request.content)
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
        return httpx.Response(status, stream=httpx.ByteStream(body))

    logs.between.played["witness.example"] = play
    config = log_config(HOME, logs.keys, {name: f"https://ds.{name}" for name in DOMAINS})
    beside = Witness(VerifierKey.decode(witness.vkey), "https://witness.example", auditor=False)
    config = LogConfig(own, (*config.witnesses, beside), config.audits)
    log = another(logs, config)
    logs.time += FRESH + 1  # what the auditor said at the beginning counts no more
    published = await log.checkpoint()
    await log.submit(await (await Owner.make()).next(), logs.time)
    logs.between.down.add(OTHER)
    assert not await log.advance()
    assert len(witness.requests) == 1
    assert await log.checkpoint() == published
    logs.between.down.clear()
    assert await log.advance()
    assert await size_of(log) == 2
    assert len(await times_of(log)) == 2
    assert [request.split(b"\n")[0] for request in witness.requests] == [b"old 0", b"old 1", b"old 1"]
    await log.close()


async def test_a_database_belongs_to_one_log(logs: LoggedLocals) -> None:
    witness = Witness(logs.keys[OTHER].auditor_key, "https://ds.email2.example/v1/witness", auditor=True)
    with pytest.raises(RoomkeyError) as caught:
        another(logs, LogConfig(make_keys(HOME), (witness,)))
    assert caught.value.code == "bad-argument"


async def test_a_clock_that_was_set_back_makes_no_earlier_epoch(logs: LoggedLocals) -> None:
    """The auditor would end the log for it. And heads of the future would not be cosigned anew until then."""
    logs.time -= 30
    await logs.log().submit(await (await Owner.make()).next(), logs.time)
    assert await logs.log().advance()
    assert await size_of(logs.log()) == 2
    logs.time -= 86400
    assert await logs.log().advance()
    logs.time += RECOSIGN
    assert await logs.log().advance()
    assert await times_of(logs.log()) == [int(logs.time)]


async def test_no_database_has_a_private_key(logs: LoggedLocals) -> None:
    await logs.log().submit(await (await Owner.make()).next(), logs.time)
    await logs.advance()
    stored = b"".join(file.read_bytes() for file in sorted(logs.folder.iterdir()))
    assert logs.keys[HOME].vrf_key in stored
    for keys in logs.keys.values():
        for secret in (keys.log.private, keys.vrf_secret, keys.cosigner.private):
            assert isinstance(secret, bytes)
            assert secret not in stored


def test_kinds() -> None:
    keys = make_keys(HOME)
    assert (keys.log_key.kind, keys.auditor_key.kind) == (ED25519, COSIGNATURE)
    assert (keys.log_key.name, keys.auditor_key.name) == ("email1.example/roomkey", "email1.example/auditor")
