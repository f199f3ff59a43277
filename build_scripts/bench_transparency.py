"""What a log of keys costs at a million identities, 2^25 epochs and three cosignatures: its answers and its map.

The map and the answer are the service's own (`roomkey_delivery.log`), over a database whose tree is generated: of the
2^25 epochs only the last is there, and of the tree what proofs at its right edge are made of. The answer is then proved
as clients prove it. All is measured in a process of its own, whose peak of memory is told.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency import merkle
from roomkey.transparency.checkpoints import Checkpoint, cosign, open_checkpoint
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import AnswerRequest, Answers, AnswersRequest, MapUpdates
from roomkey.transparency.identity_map import MISSING, MapLeaf
from roomkey.transparency.manifest import (
    NO_PREVIOUS,
    Manifest,
    ManifestClient,
    ManifestKey,
    SignedManifest,
    sign_manifest,
)
from roomkey.transparency.notes import sign_note
from roomkey.transparency.trust_text import trust_values
from roomkey.transparency.verifier import Known, Proved, Trust, verify_answer
from roomkey_delivery.log import tiles
from roomkey_delivery.log.answers import answers
from roomkey_delivery.log.epochs import make_epoch
from roomkey_delivery.log.keys import make_keys
from roomkey_delivery.log.map import LogMap
from roomkey_delivery.log.store import LogStore
from roomkey_delivery.log.submitting import submit

from build_scripts import paths

TRANSPARENCY = "transparency"
IDENTITIES = 1_000_000
EPOCHS = 1 << 25
PER_EPOCH = 5_000  # of the log that a service loads when it starts
UPDATES = 100
ROUNDS = 20
TIME = 1_795_000_000
ANSWER = "answer.json"
DOMAIN, ALICE = "email1.example", b"alice@email1.example"
AUDITORS = ("email2.example", "email3.example", "email4.example")


@dataclass(frozen=True)
class Row:
    """One figure, and at most what it should be (`aim`), in `unit`."""

    name: str
    value: float
    unit: str
    aim: float | None = None


def measure(say: Callable[[str], None], identities: int = IDENTITIES, answer: Path | None = None) -> list[Row]:
    """All figures of a log of so many identities. `answer`: where its answer is left for a page to prove."""
    rows = []
    for kind in ("answer", "start"):
        say(f"a log of {identities} identities: {kind}")
        with tempfile.TemporaryDirectory(prefix="roomkey-bench-") as folder:
            if kind == "start":
                _run("make", folder, identities)
            rows += [Row(**row) for row in json.loads(_run(kind, folder, identities))]
            if kind == "answer" and answer is not None:
                shutil.copyfile(Path(folder) / ANSWER, answer)
    return rows


def _run(kind: str, folder: str, identities: int) -> str:
    command = [sys.executable, "-m", "build_scripts.bench_transparency", kind, folder, str(identities)]
    return subprocess.run(command, cwd=paths.ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def table(rows: list[Row]) -> str:
    lines = [f"{'a log of keys':<64} {'':>9}        aim"]
    for row in rows:
        aim = "" if row.aim is None else f"{row.aim:g}"
        lines.append(f"{row.name:<64} {row.value:>9.5g} {row.unit:<5} {aim:>6}")
    return "\n".join(lines)


def missed(rows: list[Row]) -> list[str]:
    """The aims that were not met, a sentence each."""
    return [
        f"{row.name}: {row.value:.5g} {row.unit}, not {row.aim:g}"
        for row in rows
        if row.aim is not None and row.value > row.aim
    ]


# -- in the processes --


def _leaf(number: int, version: int = 1) -> MapLeaf:
    return MapLeaf(hashlib.sha256(b"i%d" % number).digest(), version, hashlib.sha256(b"c%d" % number).digest())


def _timed(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Milliseconds, the median."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return 1000 * median(taken)


async def _manifest(crypto: NativeCrypto) -> SignedManifest:
    """One device with three suites."""
    client, recovery = await crypto.generate_keys("ed25519", 2)
    key = ManifestKey(0x0807, client.public)
    listed = ManifestClient(key, (1, 2, 3), (1,))
    recovered_by = ManifestKey(0x0807, recovery.public).hash()
    return await sign_manifest(crypto, Manifest(ALICE, 1, NO_PREVIOUS, (listed,), 86400, recovered_by), key, client)


def _edge(leaf: bytes) -> list[tuple[int, int, bytes]]:
    """The tiles at the right edge of a tree of EPOCHS leaves that ends in `leaf`, and those beside them on top; all
    other hashes are made up.
    """
    found, level, top = [], 0, leaf
    while (count := EPOCHS >> tiles.HEIGHT * level) > 0:
        for number in range(max(0, (count - 1) // tiles.WIDTH - 1), (count - 1) // tiles.WIDTH + 1):
            width = min(tiles.WIDTH, count - number * tiles.WIDTH)
            hashes = [hashlib.sha256(b"%d %d %d" % (level, number, place)).digest() for place in range(width)]
            if number == (count - 1) // tiles.WIDTH:
                hashes[-1], top = top, merkle.root([*hashes[:-1], top])
            found.append((level, number, b"".join(hashes)))
        level += 1
    return found


async def _answer(folder: Path, identities: int) -> list[Row]:
    crypto, keys = NativeCrypto(), make_keys(DOMAIN)
    store, current = LogStore(folder / "log.db"), LogMap()
    store.begin(keys)
    signed = await _manifest(crypto)
    with store.writing():
        submit(store, crypto, keys.vrf_secret, ALICE.decode(), signed, TIME, reset=False)
        (pending,) = store.pending(1)
    start = time.perf_counter()
    current.live.update(map(_leaf, range(identities)))
    load = time.perf_counter() - start
    before = current.live.root()
    current.live.update([pending.leaf])
    updates = MapUpdates((pending.leaf,))
    epoch = EpochLeaf(EPOCHS - 1, TIME, current.live.root(), before, updates.hash())
    current.size = EPOCHS
    with store.writing():
        db = store._db
        db.execute("INSERT INTO log_epochs VALUES (?, ?, ?)", (epoch.number, epoch.encode(), updates.encode()))
        db.executemany("INSERT INTO log_tiles VALUES (?, ?, ?)", _edge(epoch.leaf_hash()))
        db.execute("UPDATE log_manifests SET epoch = ?", (epoch.number,))
        root = tiles.subtree(store.tile, 0, EPOCHS)
        db.execute("UPDATE log_state SET size = ?, root = ?", (EPOCHS, root))
    note = await sign_note(crypto, Checkpoint(keys.origin, EPOCHS, root).text(), keys.log_key, keys.log)
    auditors = [make_keys(name) for name in AUDITORS]
    lines = [await cosign(crypto, note, each.auditor_key, each.cosigner, TIME) for each in auditors]
    with store.writing():
        store.publish(EPOCHS, note._replace(signatures=(*note.signatures, *lines)).encode(), TIME)

    def ask(size: int = 0) -> Answers:
        with store.reading():
            request = AnswersRequest(size, (AnswerRequest(ALICE, 0),))
            return answers(store, current, crypto, keys.vrf_secret, request, None)

    (answer,) = ask().answers
    assert answer is not None
    trust = Trust(keys.log_key, keys.vrf_key, tuple(each.auditor_key for each in auditors))
    given = {"answer": answer.encode().hex(), "identity": ALICE.decode(), "time": TIME, "trust": trust_values(trust)}
    (folder / ANSWER).write_text(json.dumps(given))
    proving = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        assert isinstance(await verify_answer(crypto, answer, ALICE, trust, Known(), (), TIME), Proved)
        proving.append(time.perf_counter() - begun)
    head = await open_checkpoint(crypto, answer.checkpoint, trust.log)
    followed = ask(EPOCHS - 1).consistency
    beyond = len(answer.encode()) - len(signed.encode())
    rows = [
        Row("an answer's bytes beyond its manifest", beyond, "bytes", 2560),
        Row(f"of them the checkpoint with {len(lines)} cosignatures", len(answer.checkpoint), "bytes"),
        Row(f"of them the inclusion in a tree of {head.checkpoint.size:,}", 32 * len(answer.inclusion), "bytes"),
        Row("of them the map's proof", len(answer.map_proof.encode()), "bytes"),
        Row("beside the answers, consistency with an older head", 32 * len(followed), "bytes"),
        Row("the manifest of one device with three suites", len(signed.encode()), "bytes"),
        Row("making an answer", _timed(lambda: ask(EPOCHS - 1)), "ms"),
        Row("proving it, natively", 1000 * median(proving), "ms"),
        Row("the live map: load", load, "s", 20),
    ]
    changes = [_leaf(identities - number, 2) for number in range(UPDATES)]
    update = _timed(lambda: current.live.update(changes))
    rows.append(Row(f"the live map: an epoch of {UPDATES} updates", update, "ms", 20))
    store.close()
    return rows


def _made(identities: int) -> Iterator[tuple[EpochLeaf, MapUpdates]]:
    current = LogMap().live
    root = MISSING
    for number, start in enumerate(range(0, identities, PER_EPOCH)):
        leaves = [_leaf(each) for each in range(start, min(start + PER_EPOCH, identities))]
        updates = MapUpdates(tuple(sorted(leaves, key=lambda leaf: leaf.index)))
        current.update(updates.updates)
        before, root = root, current.root()
        yield EpochLeaf(number, TIME + number, root, before, updates.hash()), updates


async def _make(folder: Path, identities: int) -> list[Row]:
    store = LogStore(folder / "log.db")
    store.begin(make_keys(DOMAIN))
    for epoch, updates in _made(identities):
        with store.writing():
            store.append(epoch, updates, [])
    with store.writing():
        store.publish(epoch.number + 1, b"", TIME)
    store.close()
    return []


async def _start(folder: Path, identities: int) -> list[Row]:
    """As a service starts on its file, and goes on."""
    crypto, keys = NativeCrypto(), make_keys(DOMAIN)
    store, current = LogStore(folder / "log.db"), LogMap()
    start = time.perf_counter()
    with store.reading():
        current.catch_up(store, store.head().size)
    load = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    epochs = []
    for turn in range(5):
        for number in range(UPDATES):
            signed = await _manifest(crypto)
            name = f"p{turn}.{number}@{DOMAIN}"
            named = signed.replace(manifest=signed.manifest.replace(identity=name.encode()))
            with store.writing():
                submit(store, crypto, keys.vrf_secret, name, named, TIME, reset=False)
        begun = time.perf_counter()
        with store.writing():
            assert make_epoch(store, current, TIME)
            head = store.head()
            store.publish(head.size, b"", TIME)
        epochs.append(time.perf_counter() - begun)
    store.close()
    return [
        Row("a service's start: its map from its file", load, "s", 20),
        Row("a service's memory with it", megabytes, "MB", 1000),
        Row(f"an epoch of {UPDATES} manifests, durable", 1000 * median(epochs), "ms"),
    ]


if __name__ == "__main__":
    kind, where, count = sys.argv[1:]
    os.nice(5)
    works = {"answer": _answer, "start": _start, "make": _make}
    print(json.dumps([asdict(row) for row in asyncio.run(works[kind](Path(where), int(count)))]))
