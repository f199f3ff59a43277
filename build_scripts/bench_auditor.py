"""How long an auditor takes to make a log's map: from the log (its first audit), and from its own file (each start).

The log is made first, by another process, as files that are served to the auditor by its own HTTP client without a
socket. Each measured run is a process of its own, whose peak of memory is told with its time.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from roomkey.crypto.provider import KeyPair
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency import merkle
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import MapUpdates
from roomkey.transparency.identity_map import MISSING, MapLeaf
from roomkey.transparency.live_map import LiveMap
from roomkey.transparency.notes import COSIGNATURE, ED25519, Note, NoteSignature, VerifierKey, sign_note
from roomkey_delivery.audit import auditor as auditing
from roomkey_delivery.audit.auditor import Auditor
from roomkey_delivery.audit.protocol import AddCheckpoint
from roomkey_delivery.audit.store import AuditStore

from build_scripts import paths

IDENTITIES = 1_000_000
PER_EPOCH = 5_000  # a service that moves its people in; 200 epochs
TIME = 1_795_000_000
PREFIX = "https://log.email2.example"
SECONDS_AIM, MEGABYTES_AIM = 60, 2000


@dataclass(frozen=True)
class Row:
    """One run: seconds, and the process's peak in megabytes, the interpreter included."""

    name: str
    seconds: float
    megabytes: float


def measure(say: Callable[[str], None], identities: int = IDENTITIES) -> list[Row]:
    """Both runs over a log of so many identities."""
    with tempfile.TemporaryDirectory(prefix="roomkey-bench-") as name:
        say(f"a log of {identities} identities")
        _run("make", Path(name), identities)
        rows = []
        for kind, title in (("replay", "from the log"), ("load", "from its file")):
            say(f"an auditor makes the map {title}")
            found = json.loads(_run(kind, Path(name), identities))
            rows.append(Row(f"{identities:,} identities {title}", found["seconds"], found["megabytes"]))
        return rows


def table(rows: list[Row]) -> str:
    lines = [f"{'an auditor makes the map':<40} {'seconds':>8} {'MB':>6}   aim {SECONDS_AIM} s, {MEGABYTES_AIM} MB"]
    return "\n".join([*lines, *(f"{row.name:<40} {row.seconds:>8.1f} {row.megabytes:>6.0f}" for row in rows)])


def missed(rows: list[Row]) -> list[str]:
    """The aims that were not met, a sentence each."""
    return [
        f"{row.name}: {row.seconds:.1f} s and {row.megabytes:.0f} MB"
        for row in rows
        if row.seconds > SECONDS_AIM or row.megabytes > MEGABYTES_AIM
    ]


def _run(kind: str, folder: Path, identities: int) -> str:
    command = [sys.executable, "-m", "build_scripts.bench_auditor", kind, str(folder), str(identities)]
    return subprocess.run(command, cwd=paths.ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


# -- in the processes --


def _made_leaf(number: int) -> MapLeaf:
    return MapLeaf(hashlib.sha256(b"i%d" % number).digest(), 1, hashlib.sha256(b"c%d" % number).digest())


async def _make(folder: Path, identities: int) -> None:
    """Writes the log's files, and its head with its key."""
    made, root, crypto = LiveMap(), MISSING, NativeCrypto()
    entries: list[bytes] = []
    (folder / "updates").mkdir()
    for start in range(0, identities, PER_EPOCH):
        leaves = [_made_leaf(number) for number in range(start, min(start + PER_EPOCH, identities))]
        updates = MapUpdates(tuple(sorted(leaves, key=lambda leaf: leaf.index)))
        made.update(updates.updates)
        before, root = root, made.root()
        entries.append(EpochLeaf(len(entries), TIME + len(entries), root, before, updates.hash()).encode())
        (folder / "updates" / str(len(entries) - 1)).write_bytes(updates.encode())
    bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
    (folder / "bundle").write_bytes(bundle)
    (pair,) = await crypto.generate_keys("ed25519", 1)
    key = VerifierKey("email2.example/roomkey", ED25519, pair.public)
    head = Checkpoint(key.name, len(entries), merkle.root([merkle.leaf_hash(entry) for entry in entries]))
    note = await sign_note(crypto, head.text(), key, pair)
    (folder / "head").write_bytes(note.encode())
    (folder / "key").write_text(key.encode())


@dataclass
class _Address:
    key: VerifierKey
    url: str


def _auditor(folder: Path, crypto: NativeCrypto, pair: KeyPair) -> Auditor:
    def serve(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        file = folder / "bundle" if path.startswith("/tile/entries/000") else folder / path.removeprefix("/")
        return httpx.Response(200, stream=httpx.ByteStream(file.read_bytes()))

    http = httpx.AsyncClient(transport=httpx.MockTransport(serve))
    address = _Address(VerifierKey.decode((folder / "key").read_text()), PREFIX)
    own = VerifierKey("email1.example/auditor", COSIGNATURE, pair.public)
    store = AuditStore(folder / "audit.db")
    return Auditor([address], own, pair, store, crypto, http, lambda: TIME + 1_000_000)


async def _audit(kind: str, folder: Path) -> None:
    """Replays the log from its files, or loads what the run before kept; then cosigns, which proves the map's root."""
    crypto = NativeCrypto()
    (pair,) = await crypto.generate_keys("ed25519", 1)
    auditing.REQUEST_TIME = auditing.REPLAY_TIME  # type: ignore[misc]  # the answer is waited for
    note = Note.decode((folder / "head").read_bytes())
    began = time.monotonic()
    made = _auditor(folder, crypto, pair)
    if kind == "load":
        await made.load()
        seconds = time.monotonic() - began
    else:
        answer = await made.add_checkpoint(AddCheckpoint(0, (), note))
        seconds = time.monotonic() - began
        assert isinstance(answer, NoteSignature), "expected a cosignature"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    await made.close()
    print(json.dumps({"seconds": seconds, "megabytes": peak}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("make", "replay", "load"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("identities", type=int)
    options = parser.parse_args()
    if options.kind == "make":
        asyncio.run(_make(options.folder, options.identities))
    else:
        asyncio.run(_audit(options.kind, options.folder))


if __name__ == "__main__":
    main()
