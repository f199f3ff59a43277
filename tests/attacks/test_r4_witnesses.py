"""Witnesses that lie to a log: they can keep their own cosignature, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from roomkey.transparency.checkpoints import Checkpoint, cosign
from roomkey.transparency.notes import COSIGNATURE, Note, VerifierKey, sign_note
from roomkey_delivery.audit.protocol import AddCheckpoint
from roomkey_delivery.audit.witnesses import Ahead, Refused, collect
from roomkey_delivery.log.config import LogConfig, Witness
from roomkey_delivery.log.log import Log
from roomkey_delivery.log.parts import make_log

from tests.support.audited_log import CRYPTO, AuditedLog, leaf, make_key
from tests.support.auditing import Address, Audit
from tests.support.log_configs import log_config
from tests.support.logged_services import LoggedLocals
from tests.support.manifest_makers import Owner
from tests.support.services import DOMAINS

HOME, OTHER = DOMAINS
LIAR = "https://liar.example"
NOW = 1_795_000_000.0


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[LoggedLocals]:
    made = LoggedLocals(tmp_path)
    yield made
    await made.close()


def beside(logs: LoggedLocals, key: VerifierKey) -> Log:
    """The log of email1.example with one more auditor, who lies."""
    config = log_config(HOME, logs.keys, {name: f"https://ds.{name}" for name in DOMAINS})
    auditors = (*config.witnesses, Witness(key, LIAR, auditor=True))
    http = httpx.AsyncClient(transport=logs.between)
    made = make_log(LogConfig(config.keys, auditors, config.audits), logs.folder / "log.db", http, lambda: logs.time)
    assert made is not None
    return made


@pytest.mark.parametrize("shown", ["nothing", "an own note", "a smaller head", "another log's"])
async def test_t16_a_witness_cannot_stop_a_log_by_naming_a_size(logs: LoggedLocals, shown: str) -> None:
    """409 is not signed by anybody. Only our own signature over a larger size says that our disk is old."""
    key, _ = await make_key("liar.example/w", COSIGNATURE)
    own = logs.keys[HOME]
    notes: dict[str, Note] = {}
    stranger, stranger_pair = await make_key(own.origin)
    text = Checkpoint(own.origin, 1_000_000, bytes(32)).text()
    notes["an own note"] = await sign_note(CRYPTO, text, stranger, stranger_pair)
    empty = Checkpoint(own.origin, 0, hashlib.sha256(b"").digest()).text()
    notes["a smaller head"] = await sign_note(CRYPTO, empty, own.log_key, own.log)
    other = logs.keys[OTHER]
    elsewhere = Checkpoint(other.origin, 1_000_000, bytes(32)).text()
    notes["another log's"] = await sign_note(CRYPTO, elsewhere, other.log_key, other.log)

    async def lie(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(409, stream=httpx.ByteStream(b"1000000\n"))
        if shown == "nothing":
            return httpx.Response(404, stream=httpx.ByteStream(b""))
        return httpx.Response(200, stream=httpx.ByteStream(notes[shown].encode()))

    logs.between.played["liar.example"] = lie
    log = beside(logs, key)
    assert not await log.advance()  # one of two auditors is no quorum
    assert log.refusal is None
    assert await log.submit(await (await Owner.make()).next(), logs.time) == 1
    await log.close()


async def test_t16_our_own_signature_over_a_larger_size_stops_the_log(logs: LoggedLocals) -> None:
    key, _ = await make_key("liar.example/w", COSIGNATURE)
    own = logs.keys[HOME]
    note = await sign_note(CRYPTO, Checkpoint(own.origin, 9, bytes(32)).text(), own.log_key, own.log)
    asked: list[str] = []

    async def tell(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(409, stream=httpx.ByteStream(b"9\n"))
        asked.append(request.url.path)
        return httpx.Response(200, stream=httpx.ByteStream(note.encode()))

    logs.between.played["liar.example"] = tell
    log = beside(logs, key)
    assert not await log.advance()
    assert log.refusal == "a witness has cosigned 9 epochs, this database has 0"
    assert asked == [f"/{hashlib.sha256(own.origin.encode()).hexdigest()}/checkpoint"]
    await log.close()


async def test_t16_an_auditor_shows_a_head_that_it_could_not_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log died after the auditor had written its head down, and comes back without it."""
    audit = await Audit.make(tmp_path)
    old = audit.log.fork()
    audit.log.append(leaf(1))
    files, audit.log = (
        audit.log,
        AuditedLog(audit.log.key, audit.log.pair, audit.log.time),
    )  # nothing of it can be fetched
    assert (await audit.ask(files, 0)).status_code == 503
    key = files.key
    collected = await collect(
        audit.http, CRYPTO, await old.checkpoint(), [Address(audit.key, "https://ds.email1.example/v1/witness")],
        lambda _: 0, old.consistency, now=lambda: audit.time, log_key=key,
    )  # fmt: skip
    assert collected.outcomes == {audit.key.name: Ahead(len(files.entries))}
    await audit.stop()


@pytest.mark.parametrize("extra", [b"an extension\n\n", b"\n\n", b"x\n\xe2\x80\x94 a b\n\n"])
async def test_t11_a_cosignature_over_other_words_is_none(extra: bytes) -> None:
    """A witness that adds lines of its own before its cosignature signs another text than the one that we publish;
    its line under ours would make clients refuse the whole head.
    """
    log = await AuditedLog.make()
    log.append(leaf(0))
    key, pair = await make_key("liar.example/w", COSIGNATURE)

    async def cosign_more(request: httpx.Request) -> httpx.Response:
        note = AddCheckpoint.decode(request.content).note
        text = (note.text.encode() + b"\n" + extra).decode()[:-1]
        line = await cosign(CRYPTO, Note(text, note.signatures), key, pair, int(NOW))
        return httpx.Response(200, stream=httpx.ByteStream(extra + line.encode().encode()))

    async with httpx.AsyncClient(transport=httpx.MockTransport(cosign_more)) as http:
        collected = await collect(
            http, CRYPTO, await log.checkpoint(), [Address(key, LIAR)], lambda _: 0, log.consistency,
            now=lambda: NOW, log_key=log.key,
        )  # fmt: skip
    assert collected.signatures == []
    assert isinstance(collected.outcomes[key.name], Refused)
