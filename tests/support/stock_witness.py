"""A witness that knows nothing of Roomkey: written from C2SP's tlog-witness, tlog-cosignature and signed-note alone.

It imports none of our code, so that what it takes and what it gives proves the formats from outside. It cosigns that a
log only appends; it knows nothing of what stands in the log. An ASGI application that keeps its state in memory.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Scope = MutableMapping[str, Any]


class Refusal(Exception):
    """What the specification answers instead of a cosignature."""

    def __init__(self, status: int, body: bytes = b"", kind: str = "text/plain") -> None:
        super().__init__(status)
        self.status, self.body, self.kind = status, body, kind


class StockWitness:
    """Cosigns for the logs whose vkeys (type 1) it is given. `clock`: Unix seconds."""

    def __init__(self, name: str, clock: Callable[[], float], *log_vkeys: str) -> None:
        self.name, self.clock = name, clock
        self.private = Ed25519PrivateKey.generate()
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.logs = {vkey.split("+")[0]: read_vkey(vkey, 1) for vkey in log_vkeys}
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.notes: dict[str, bytes] = {}  # the newest of each, by the SHA-256 of its origin
        self.requests: list[bytes] = []

    @property
    def vkey(self) -> str:
        material = base64.b64encode(b"\x04" + self.public).decode()
        return f"{self.name}+{key_id(self.name, 4, self.public).hex()}+{material}"

    def add_checkpoint(self, body: bytes) -> bytes:
        """The steps of tlog-witness, "add-checkpoint"."""
        self.requests.append(body)
        head, _, note = body.decode().partition("\n\n")
        old_line, *proof_lines = head.split("\n")
        match = re.fullmatch("old (0|[1-9][0-9]*)", old_line)
        if match is None or len(proof_lines) > 63 or "\n\n" not in note:
            raise Refusal(400)
        old, proof = int(match[1]), [base64.b64decode(line, validate=True) for line in proof_lines]
        text, _, signatures = note.rpartition("\n\n")
        text += "\n"
        origin, size_line, root_line = text.split("\n")[:3]
        size, root = int(size_line), base64.b64decode(root_line, validate=True)
        if origin not in self.logs:
            raise Refusal(404)
        if not signed_by(text, signatures, origin, self.logs[origin]):
            raise Refusal(403)
        if old > size:
            raise Refusal(400)
        latest, latest_root = self.seen.get(origin, (0, b""))
        if old != latest:
            raise Refusal(409, f"{latest}\n".encode(), "text/x.tlog.size")
        if old == size and size > 0 and root != latest_root:
            raise Refusal(422)
        if size == 0 and root != hashlib.sha256(b"").digest():
            raise Refusal(422)
        if (proof and old == 0) or (old > 0 and not consistent(old, size, proof, latest_root, root)):
            raise Refusal(422)
        self.seen[origin] = (size, root)
        time = int(self.clock())
        signature = self.private.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
        raw = key_id(self.name, 4, self.public) + time.to_bytes(8, "big") + signature
        line = f"\u2014 {self.name} {base64.b64encode(raw).decode()}\n".encode()
        self.notes[hashlib.sha256(origin.encode()).hexdigest()] = note.encode() + line
        return line

    def checkpoint(self, path: str) -> bytes:
        """The newest checkpoint that was cosigned of the log that the path names."""
        *_, origin, last = path.split("/")
        if last != "checkpoint" or origin not in self.notes:
            raise Refusal(404)
        return self.notes[origin]

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
    ) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, kind = 200, "text/plain; charset=utf-8"
        try:
            if scope["method"] == "GET":
                answer = self.checkpoint(scope["path"])
            elif not scope["path"].endswith("/add-checkpoint"):
                raise Refusal(404)
            else:
                answer = self.add_checkpoint(body)
        except Refusal as refusal:
            status, answer, kind = refusal.status, refusal.body, refusal.kind
        headers = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """signed-note: key ID = SHA-256(key name || 0x0A || signature type || public key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def read_vkey(vkey: str, kind: int) -> bytes:
    """The public key (32 bytes) of a vkey of this signature type."""
    name, identifier, material = vkey.split("+", 2)
    raw = base64.b64decode(material, validate=True)
    assert raw[0] == kind, "expected another signature type"
    assert key_id(name, kind, raw[1:]).hex() == identifier, "expected the key id of name and key"
    return raw[1:]


def signed_by(text: str, signatures: str, name: str, public: bytes) -> bool:
    """Whether the note bears this key's signature (type 1), and none that names it and fails."""
    found = False
    for raw in lines_of(signatures, name, key_id(name, 1, public)):
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(raw, text.encode())
        except InvalidSignature:
            return False
        found = True
    return found


def cosigned_at(note: bytes, vkey: str) -> int:
    """The time at which the cosigner of this vkey (type 4) cosigned a checkpoint; AssertionError if it did not."""
    name, public = vkey.split("+")[0], read_vkey(vkey, 4)
    text, _, signatures = note.decode().rpartition("\n\n")
    (raw,) = lines_of(signatures, name, key_id(name, 4, public))
    time = int.from_bytes(raw[:8], "big")
    assert 0 < time < 2**63, "expected a time"
    message = f"cosignature/v1\ntime {time}\n{text}\n".encode()
    Ed25519PublicKey.from_public_bytes(public).verify(raw[8:], message)
    return time


def lines_of(signatures: str, name: str, identifier: bytes) -> list[bytes]:
    """The signatures of the lines that name a key, without the key id."""
    found = []
    for line in signatures.splitlines():
        match = re.fullmatch("\u2014 (\\S+) (\\S+)", line)
        assert match is not None, "expected a signature line"
        raw = base64.b64decode(match[2], validate=True)
        if match[1] == name and raw[:4] == identifier:
            found.append(raw[4:])
    return found


def consistent(old: int, new: int, proof: list[bytes], old_root: bytes, new_root: bytes) -> bool:
    """RFC 6962 section 2.1.2, read backwards: SUBPROOF(old, D[new], true) gives both roots from the hashes."""
    hashes = list(proof)

    def walk(m: int, n: int, complete: bool) -> tuple[bytes, bytes]:
        """The roots of D[0:m] and D[0:n] of one subtree; takes its hashes from the proof's end."""
        if m == n:
            known = old_root if complete else hashes.pop()
            return known, known
        k = 1 << ((n - 1).bit_length() - 1)  # the largest power of two below n
        if m <= k:
            right = hashes.pop()
            old_left, new_left = walk(m, k, complete)
            return old_left, node(new_left, right)
        right_place = hashes.pop()
        old_right, new_right = walk(m - k, n - k, False)
        return node(right_place, old_right), node(right_place, new_right)

    if old > new:
        return False
    try:
        found = walk(old, new, True)
    except IndexError:
        return False
    return not hashes and found == (old_root, new_root)


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
