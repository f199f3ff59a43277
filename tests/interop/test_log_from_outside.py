"""The log's values of web/docs/wire-examples.json, proved by web/docs/wire.md alone: nothing here is of the project."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.support import edwards

EXAMPLES = Path(__file__).parent.parent.parent / "web" / "docs" / "wire-examples.json"


class Reader:
    """Bytes from the front, as TLS's presentation language has them."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, size: int) -> bytes:
        assert len(self.data) >= size
        part, self.data = self.data[:size], self.data[size:]
        return part

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width))

    def opaque(self, width: int) -> bytes:
        return self.take(self.number(width))

    def hashes(self) -> list[bytes]:
        data = self.opaque(2)
        assert len(data) % 32 == 0
        return [data[start : start + 32] for start in range(0, len(data), 32)]


class Answer:
    """Section 6's struct of this name."""

    def __init__(self, data: Reader) -> None:
        self.checkpoint, self.epoch = data.opaque(2).decode(), data.take(8 + 8 + 3 * 32)
        self.inclusion, self.vrf_proof = data.hashes(), data.take(80)
        siblings = Reader(data.opaque(2))
        self.siblings: list[bytes] = []  # a missing one is zeros
        while siblings.data:
            self.siblings.append(siblings.take(32) if siblings.number(1) else bytes(32))
        self.other = data.take(32 + 8 + 32) if data.number(1) else None
        self.presence = None
        if data.number(1):
            self.presence = data.take(16), data.number(8), data.opaque(4)

    @property
    def index(self) -> bytes:
        """The first 32 bytes of the VRF's output (RFC 9381 section 5.2): SHA-512 over the proof's Gamma, times 8."""
        point = edwards.multiply(edwards.decode(self.vrf_proof[:32]), 8)
        return hashlib.sha512(b"\x03\x03" + edwards.encode(point) + b"\x00").digest()[:32]

    @property
    def map_root(self) -> bytes:
        return self.epoch[16:48]

    def root_from(self, node: bytes) -> bytes:
        """The map's root, by the way from this hash at the end of the index's."""
        for depth in reversed(range(len(self.siblings))):
            pair = [node, self.siblings[depth]]
            if self.index[depth // 8] >> (7 - depth % 8) & 1:
                pair.reverse()
            node = hashlib.sha256(b"\x03" + b"".join(pair)).digest()
        return node


def negative(point: edwards.Affine) -> edwards.Affine:
    return edwards.P - point[0], point[1]


def hashed_to_curve(public: bytes, alpha: bytes) -> edwards.Affine:
    """RFC 9381 section 5.4.1.1, try and increment."""
    for counter in range(256):
        digest = hashlib.sha512(b"\x03\x01" + public + alpha + bytes((counter, 0))).digest()[:32]
        with contextlib.suppress(AssertionError):
            return edwards.multiply(edwards.decode(digest), 8)
    raise AssertionError("no point")


def check_vrf(public: bytes, alpha: bytes, proof: bytes) -> None:
    """RFC 9381 section 5.3."""
    key, gamma, point = edwards.decode(public), edwards.decode(proof[:32]), hashed_to_curve(public, alpha)
    c, s = int.from_bytes(proof[32:48], "little"), int.from_bytes(proof[48:], "little")
    assert s < edwards.L
    u = edwards.add(edwards.multiply(edwards.BASE, s), negative(edwards.multiply(key, c)))
    v = edwards.add(edwards.multiply(point, s), negative(edwards.multiply(gamma, c)))
    said = b"".join(map(edwards.encode, (point, gamma, u, v)))
    assert hashlib.sha512(b"\x03\x02" + public + said + b"\x00").digest()[:16] == proof[32:48]


def key_of(verifier: str, kind: int) -> tuple[str, bytes, Ed25519PublicKey]:
    """A verifier key's name, id and public key."""
    name, key_id, text = verifier.split("+", 2)
    raw = base64.b64decode(text)
    assert raw[0] == kind
    assert hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex() == key_id
    return name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(raw[1:])


def signatures(note: str, name: str, key_id: bytes) -> tuple[bytes, list[bytes]]:
    """The text that is signed, and what this key is said to have signed it with."""
    text, _, lines = note.partition("\n\n")
    found = [line.split(" ")[1:] for line in lines.splitlines()]
    raw = [base64.b64decode(value) for who, value in found if who == name]
    return f"{text}\n".encode(), [value[4:] for value in raw if value[:4] == key_id]


def check_note(note: str, log: str, auditor: str) -> tuple[int, bytes, int]:
    """Size and root of a checkpoint that both signed, and the time of the cosignature."""
    name, key_id, key = key_of(log, 1)
    text, (signature,) = signatures(note, name, key_id)
    key.verify(signature, text)
    origin, size, root = text.decode().splitlines()[:3]
    assert origin == name
    name, key_id, key = key_of(auditor, 4)
    _, (cosignature,) = signatures(note, name, key_id)
    time = int.from_bytes(cosignature[:8])
    key.verify(cosignature[8:], b"cosignature/v1\ntime %d\n" % time + text)
    return int(size), base64.b64decode(root), time


def sign_content(label: bytes, content: bytes) -> bytes:
    """RFC 9420's SignContent; both parts are shorter than 16,384 bytes here."""
    return b"".join(
        len(part).to_bytes(1) + part if len(part) < 64 else (len(part) | 0x4000).to_bytes(2) + part
        for part in (b"MLS 1.0 " + label, content)
    )


@pytest.fixture(scope="module")
def values() -> Any:
    return json.loads(EXAMPLES.read_text())


@pytest.fixture
def answers(values: Any) -> list[Answer]:
    data = Reader(bytes.fromhex(values["the log (section 6)"]["Answers: bob by version 2, and that nobody is absent"]))
    assert data.hashes() == []  # no head was known, so none is continued
    inside, found = Reader(data.opaque(4)), []
    while inside.data:
        assert inside.number(1) == 1
        found.append(Answer(inside))
    assert data.data == b""
    return found


def test_the_head_and_its_last_epoch(values: Any, answers: list[Answer]) -> None:
    log = values["the log (section 6)"]
    keys = log["the log's verifier key (text)"], log["the auditor's verifier key (text)"]
    for answer in answers:
        size, root, time = check_note(answer.checkpoint, *keys)
        assert int.from_bytes(answer.epoch[:8]) == size - 1 == 1
        (before,) = answer.inclusion
        leaf = hashlib.sha256(b"\x00" + answer.epoch).digest()
        assert hashlib.sha256(b"\x01" + before + leaf).digest() == root
        assert time + 86400 == log["good until (Unix seconds)"]
        with pytest.raises(InvalidSignature):
            check_note(answer.checkpoint.replace("\n2\n", "\n3\n"), *keys)


def test_the_places_in_the_map(values: Any, answers: list[Answer]) -> None:
    public = bytes.fromhex(values["the log (section 6)"]["public key of the VRF"])
    for answer, name in zip(answers, (b"bob@email2.example", b"nobody@email2.example"), strict=True):
        check_vrf(public, name, answer.vrf_proof)
        with pytest.raises(AssertionError):
            check_vrf(public, b"mallory@email2.example", answer.vrf_proof)


def test_bobs_manifest_is_in_the_map(values: Any, answers: list[Answer]) -> None:
    bob, manifests = answers[0], values["manifests (section 6)"]
    assert bob.index.hex() == values["the log (section 6)"]["index"]
    assert bob.presence is not None
    opening, version, signed = bob.presence
    assert signed.hex() == manifests["SignedManifest, version 2"]
    first = bytes.fromhex(manifests["Manifest, version 1"])
    # Identity with its length, version, and the hash of the version before.
    start = 2 + int.from_bytes(signed[:2])
    assert int.from_bytes(signed[start : start + 8]) == version == 2
    assert signed[start + 8 : start + 40] == hashlib.sha256(first).digest()
    signature = signed[-64:]
    manifest = signed[: -(2 + 64) - (2 + 2 + 32)]
    assert signed[len(manifest) :][:2].hex() == "0807"
    signer = signed[len(manifest) + 4 :][:32]
    assert signer in first  # a client of the version before
    Ed25519PublicKey.from_public_bytes(signer).verify(signature, sign_content(b"RoomkeyManifest", manifest))
    leaf = bob.index + version.to_bytes(8) + hmac.digest(opening, manifest, "sha256")
    assert bob.root_from(hashlib.sha256(b"\x02" + leaf).digest()) == bob.map_root


def test_nobody_is_absent(answers: list[Answer]) -> None:
    nobody = answers[1]
    assert nobody.presence is None
    end = bytes(32)
    if nobody.other is not None:
        assert nobody.other[:32] != nobody.index
        depth = len(nobody.siblings)
        ways = [int.from_bytes(index) >> (256 - depth) for index in (nobody.other[:32], nobody.index)]
        assert ways[0] == ways[1]  # they share the way to where the other one's leaf stands
        end = hashlib.sha256(b"\x02" + nobody.other).digest()
    assert nobody.root_from(end) == nobody.map_root
