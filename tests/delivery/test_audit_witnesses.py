"""A log collects cosignatures: from witnesses that know no Roomkey, and from those that do not do their work."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from roomkey.errors import RoomkeyError
from roomkey.transparency.checkpoints import cosign, cosignatures, read_checkpoint
from roomkey.transparency.notes import COSIGNATURE, Note, VerifierKey
from roomkey_delivery.audit import witnesses
from roomkey_delivery.audit.fetching import fetch
from roomkey_delivery.audit.protocol import AddCheckpoint
from roomkey_delivery.audit.witnesses import Ahead, Collected, Cosigned, Refused, collect
from roomkey_delivery.log.tiles import tile_number

from tests.support import stock_witness
from tests.support.audited_log import CRYPTO, AuditedLog, leaf, make_key
from tests.support.stock_witness import StockWitness

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]], Awaitable[None]]
EXAMPLES = json.loads((Path(__file__).parents[1] / "vectors/data/c2sp/c2sp-text-examples.json").read_text())
NOW = 1_795_000_100.0


class Witness:
    def __init__(self, vkey: str, url: str) -> None:
        self.key, self.url = VerifierKey.decode(vkey), url


class Network:
    """Witnesses by host name, and a log that asks them."""

    def __init__(self, log: AuditedLog) -> None:
        self.log = log
        self.transports: dict[str, httpx.AsyncBaseTransport] = {}
        self.witnesses: list[Witness] = []
        self.sizes: dict[str, int] = {}

    def add(self, vkey: str, app: App) -> None:
        host = f"https://{vkey.split('/')[0].split('+')[0]}"
        self.transports[host] = httpx.ASGITransport(app)
        self.witnesses.append(Witness(vkey, f"{host}/w/"))

    def stock(self, name: str = "witness.example") -> StockWitness:
        made = StockWitness(name, lambda: NOW, self.log.key.encode())
        self.add(made.vkey, made)
        return made

    async def collect(self, note: Note | None = None, **options: Any) -> Collected:
        async with httpx.AsyncClient(mounts=self.transports) as http:
            return await collect(
                http,
                CRYPTO,
                note or await self.log.checkpoint(),
                self.witnesses,
                lambda name: self.sizes.get(name, 0),
                self.log.consistency,
                now=lambda: NOW,
                log_key=self.log.key,
                **options,
            )


def answering(status: int, body: bytes, headers: dict[bytes, bytes] | None = None) -> App:
    async def app(
        scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
    ) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list((headers or {}).items())})
        await send({"type": "http.response.body", "body": body})

    return app


async def silent(
    scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
) -> None:
    await asyncio.Event().wait()


@pytest.fixture
async def network() -> Network:
    log = await AuditedLog.make()
    for number in range(5):
        log.append(leaf(number))
    return Network(log)


async def test_a_stock_witness_cosigns_what_our_verifier_takes(network: Network) -> None:
    stock = network.stock()
    note = await network.log.checkpoint()
    collected = await network.collect(note)
    cosigned = note._replace(signatures=(*note.signatures, *collected.signatures))
    (found,) = await cosignatures(CRYPTO, cosigned, [VerifierKey.decode(stock.vkey)])
    assert found.time == NOW
    assert collected.ahead is None


def test_the_stock_witness_shares_no_code_with_us() -> None:
    tree = ast.parse(Path(stock_witness.__file__).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    tops = {str(name).partition(".")[0] for name in names}
    assert tops == {"__future__", "base64", "collections", "cryptography", "hashlib", "re", "typing"}


async def test_growth_is_proved_from_the_size_that_the_witness_names(network: Network) -> None:
    stock = network.stock()
    for size in (1, 2, 5):
        assert (await network.collect(await network.log.checkpoint(size))).signatures
    old = [AddCheckpoint.decode(body).old for body in stock.requests]
    assert old == [0, 0, 1, 0, 2]  # first 0, then what the 409 said
    for size in range(6, 20):
        network.log.append(leaf(size))
        network.sizes["witness.example"] = size - 1
        stock.requests.clear()
        assert (await network.collect()).signatures
        assert len(stock.requests) == 1


async def test_a_witness_that_knows_more_than_we_do_is_told_of(network: Network) -> None:
    network.stock()
    assert (await network.collect()).signatures
    restored = Network(network.log.fork())
    del restored.log.entries[3:]
    restored.transports, restored.witnesses = network.transports, network.witnesses
    collected = await restored.collect()
    assert (collected.ahead, collected.signatures) == (5, [])
    assert collected.outcomes == {"witness.example": Ahead(5)}


async def test_another_history_of_the_same_size_gets_no_cosignature(network: Network) -> None:
    network.stock()
    other = Network(network.log.fork())
    assert (await network.collect()).signatures
    other.log.alter(4, time=7)
    other.transports, other.witnesses = network.transports, network.witnesses
    (outcome,) = (await other.collect()).outcomes.values()
    assert isinstance(outcome, Refused)
    assert outcome.status == 422


@pytest.mark.parametrize("status", [400, 403, 404, 422, 429, 500, 302])
async def test_a_refusal_is_told_with_its_status(network: Network, status: int) -> None:
    key, _ = await make_key("odd.example", COSIGNATURE)
    network.add(key.encode(), answering(status, b"", {b"location": b"https://elsewhere.example/"}))
    (outcome,) = (await network.collect()).outcomes.values()
    assert isinstance(outcome, Refused)
    assert outcome.status == status


@pytest.mark.parametrize("size", [b"", b"x\n", b"03\n", b"-1\n", b"1\n1\n", b"9" * 30, b"3\n"])
async def test_a_conflict_that_names_no_size_or_never_ends_is_a_refusal(network: Network, size: bytes) -> None:
    key, _ = await make_key("odd.example", COSIGNATURE)
    network.add(key.encode(), answering(409, size))
    (outcome,) = (await network.collect()).outcomes.values()
    assert isinstance(outcome, Refused)


async def test_lines_that_do_not_hold_are_not_kept(network: Network) -> None:
    note = await network.log.checkpoint()
    key, pair = await make_key("odd.example", COSIGNATURE)
    stranger, other_pair = await make_key("stranger.example", COSIGNATURE)
    elsewhere = note._replace(text=network.log.head(3).text())
    good = await cosign(CRYPTO, note, key, pair, int(NOW))
    bad = {
        "empty": b"",
        "no lines": b"well done\n",
        "another text": (await cosign(CRYPTO, elsewhere, key, pair, int(NOW))).encode().encode(),
        "another key": (await cosign(CRYPTO, note, key, other_pair, int(NOW))).encode().encode(),
        "a stranger's": (await cosign(CRYPTO, note, stranger, other_pair, int(NOW))).encode().encode(),
        "of the future": (await cosign(CRYPTO, note, key, pair, int(NOW) + 61)).encode().encode(),
        "long ago": (await cosign(CRYPTO, note, key, pair, int(NOW) - 61)).encode().encode(),
        "one of two": (good.encode() + (await cosign(CRYPTO, note, key, other_pair, 5)).encode()).encode(),
        "with a text": b"x\n\n" + good.encode().encode(),
        "too long": good.encode().encode() * 1000,
    }
    for name, body in bad.items():
        network.witnesses.clear()
        network.add(key.encode(), answering(200, body))
        collected = await network.collect(note)
        assert collected.signatures == [], name
        assert isinstance(collected.outcomes["odd.example"], Refused), name
    with_stranger = (await cosign(CRYPTO, note, stranger, other_pair, int(NOW))).encode() + good.encode()
    network.witnesses.clear()
    network.add(key.encode(), answering(200, with_stranger.encode()))
    assert (await network.collect(note)).outcomes == {"odd.example": Cosigned(good)}


async def test_packed_answers_are_not_unpacked(network: Network) -> None:
    note = await network.log.checkpoint()
    key, pair = await make_key("odd.example", COSIGNATURE)
    good = (await cosign(CRYPTO, note, key, pair, int(NOW))).encode().encode()
    for encoding, taken in ((b"gzip", 0), (b"identity", 1)):
        network.witnesses.clear()
        network.add(key.encode(), answering(200, good, {b"content-encoding": encoding}))
        assert len((await network.collect(note)).signatures) == taken


async def test_an_answer_is_not_read_beyond_its_limit() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(answering(200, bytes(100)))) as http:
        assert await fetch(http, "https://log.example/x", limit=100, seconds=5) == bytes(100)
        with pytest.raises(RoomkeyError) as refused:
            await fetch(http, "https://log.example/x", limit=99, seconds=5)
    assert refused.value.code == "service-unavailable"


async def test_a_dead_witness_holds_nobody_up(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    network.stock()
    key, _ = await make_key("dead.example", COSIGNATURE)
    network.add(key.encode(), silent)
    quick = await asyncio.wait_for(network.collect(enough=lambda names: "witness.example" in names), 120)
    assert len(quick.signatures) == 1
    assert quick.outcomes["dead.example"] == Refused(None, "not waited for")
    monkeypatch.setattr(witnesses, "WITNESS_TIME", 5.0)  # which the other one has, too, and needs a hundredth of
    slow = await asyncio.wait_for(network.collect(), 120)
    assert len(slow.signatures) == 1
    assert isinstance(slow.outcomes["dead.example"], Refused)


def test_the_example_request_of_the_specification_reads() -> None:
    example = EXAMPLES["add_checkpoint_request"]["body"].encode()
    request = AddCheckpoint.decode(example)
    head = read_checkpoint(request.note.text)
    assert (request.old, len(request.proof), head.size) == (20852014, 4, 20852163)
    assert request.encode() == example


def test_the_example_path_of_a_tile() -> None:
    assert tile_number(1234067) == EXAMPLES["tile_path"]["index 1234067"]
    assert [tile_number(number) for number in (0, 999, 1000)] == ["000", "999", "x001/000"]
