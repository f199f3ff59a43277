"""A target of who checks a log: the heads that members of a group show each other. Signatures are forgiving."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from roomkey.client.log_records import FORKS, LogFork
from roomkey.client.log_view import LogView, ShownBy
from roomkey.errors import RoomkeyError
from roomkey.tls import U8, Codec, Struct, opaque, vector
from roomkey.transparency import gossip
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.evidence import ForkEvidence, verify_evidence
from roomkey.transparency.gossip import LogHeads
from roomkey.transparency.notes import COSIGNATURE, ED25519, Note, NoteSignature, VerifierKey
from roomkey.transparency.verifier import Trust

from tests.fuzz.forgiving import Forgiving, signature_of
from tests.fuzz.shapes import Part
from tests.fuzz.target import DECODING, Target, forget_encoding, refused
from tests.fuzz.target import Finding as Broken
from tests.support.mls_world import NOW

LOG = VerifierKey("log.example/roomkey", ED25519, bytes(range(32)))
_AUDITOR = VerifierKey("other.example/auditor", COSIGNATURE, bytes(range(1, 33)))
TRUST = Trust(LOG, bytes(32), (_AUDITOR,))


class Shown(Struct):
    """A member's authenticated data. by: of whom, the lowest bit says whether in a conference that we accepted."""

    by: U8
    heads: Annotated[bytes, opaque()]


class Heard(Struct):
    """What members showed one after the other; after each of which `restart` has a bit the page is opened anew."""

    restart: U8
    shown: Annotated[tuple[Shown, ...], vector(Shown)]


class _Disk:
    """A store that never suspends."""

    def __init__(self) -> None:
        self.crypto = Forgiving("log")
        self.records: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes | None:
        return self.records.get(name)

    async def write(self, puts: Mapping[str, bytes], deletes: Sequence[str] = (), **keys: object) -> None:
        self.records.update(puts)
        for name in deletes:
            self.records.pop(name, None)


def run_heads(data: bytes) -> bool:
    """Whatever members show: none of it escapes, two truths are believed of the log alone and kept as evidence that
    holds, and what waits to be compared is there after a restart.
    """
    try:
        heard = Heard.decode(data)
    except RoomkeyError as error:
        return refused(error, DECODING)
    return _loop().run_until_complete(_hear(heard))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


async def _hear(heard: Heard) -> bool:
    disk, signed = _Disk(), dict[str, Note]()
    view = await _view(disk)
    for number, item in enumerate(heard.shown):
        notes = gossip.read(item.heads)
        _check_form(item.heads, notes)
        for note in notes:
            await view.shown(note, ShownBy(f"{item.by >> 1}@log.example", accepted=bool(item.by & 1)))
            signed[note.text] = note
        if heard.restart >> (number & 7) & 1:
            view = await _restarted(disk, view)
    await _restarted(disk, view)
    if view.fork is not None:
        await _check_fork(disk, signed)
    elif _contradict(view):
        raise Broken("expected a fork of heads that contradict")
    return signed != {}


def _check_form(data: bytes, notes: Sequence[Note]) -> None:
    try:
        heads = LogHeads.decode(data)
    except RoomkeyError as error:
        refused(error, DECODING)
        if notes:
            raise Broken("expected nothing to be read of what is no list of heads") from error
        return
    forget_encoding(heads)
    if heads.encode() != data or (notes and tuple(note.encode() for note in notes) != heads.heads):
        raise Broken("expected the heads that were shown")


async def _view(disk: _Disk) -> LogView:
    def told(error: RoomkeyError) -> None:
        refused(error, frozenset({"log-fork"}), None)

    view = LogView(disk, TRUST, lambda: NOW, told, lambda view: None)  # type: ignore[arg-type]
    await view.open()
    return view


async def _restarted(disk: _Disk, view: LogView) -> LogView:
    again = await _view(disk)
    waiting = {item.note.text for item in (*view.doubts, *view.pending.values())}
    if again.fork != view.fork or {item.note.text for item in again.doubts} != waiting:
        raise Broken("expected after a restart what there was before")
    return again


def _contradict(view: LogView) -> bool:
    waiting = [item.checkpoint for item in (*view.doubts, *view.pending.values())]
    return len({item.size for item in waiting}) != len({(item.size, item.root) for item in waiting})


async def _check_fork(disk: _Disk, signed: Mapping[str, Note]) -> None:
    fork = LogFork.decode(disk.records[FORKS + LOG.encode()])
    ours, theirs = Note.decode(fork.ours), Note.decode(fork.theirs)
    if not {ours.text, theirs.text} <= signed.keys():
        raise Broken("expected evidence of what was shown")
    await verify_evidence(Forgiving("judge"), ForkEvidence(LOG, ours, theirs))


def _head(size: int, fill: int, *, name: str = LOG.name, key: VerifierKey = LOG) -> bytes:
    text = Checkpoint(name, size, bytes((fill,)) * 32).text()
    return Note(text, (NoteSignature(key.name, key.id, signature_of(text.encode())),)).encode()


def _heads() -> dict[str, bytes]:
    def shown(by: int, *heads: bytes) -> Shown:
        return Shown(by, LogHeads(gossip.LOG_HEADS, heads).encode())

    other = VerifierKey("another.example/roomkey", ED25519, bytes(32))
    stranger = _head(3, 1, name=other.name, key=other)
    return {
        "one": Heard(0, (shown(1, _head(3, 1)),)).encode(),
        "two-logs": Heard(1, (shown(2, _head(3, 1), stranger), shown(5, _head(4, 2)))).encode(),
        "fork": Heard(0, (shown(1, _head(3, 1)), shown(3, _head(3, 2)))).encode(),
        "fork-after-restart": Heard(3, (shown(1, _head(3, 1)), shown(1, stranger), shown(2, _head(3, 2)))).encode(),
        "refused-signal": Heard(0, (Shown(0, b"\xf0\xc7"),)).encode(),
    }


def targets() -> list[Target]:
    return [Target("log-heads", run_heads, _heads, Heard.codec(), _inside)]


def _inside(cls: type[Struct], field: str, fields: Mapping[str, Part]) -> Codec[Any] | None:
    return LogHeads.codec() if (cls, field) == (Shown, "heads") else None
