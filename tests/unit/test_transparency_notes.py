"""Signed notes, checkpoints and cosignatures: C2SP's examples, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from roomkey.crypto.provider import KeyPair
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.checkpoints import Checkpoint, cosign, cosignatures, open_checkpoint, read_checkpoint
from roomkey.transparency.notes import COSIGNATURE, ED25519, Note, VerifierKey, sign_note, verifier_keys, verify_note

EXAMPLES = json.loads((Path(__file__).parent.parent / "vectors/data/c2sp/c2sp-text-examples.json").read_text())
HEAD = Checkpoint("log.example", 5, bytes(range(32)))


class Signer:
    """A key with its name."""

    def __init__(self, name: str, kind: int, pair: KeyPair) -> None:
        self.key = VerifierKey(name, kind, pair.public)
        self.pair = pair


@pytest.fixture
def crypto() -> NativeCrypto:
    return NativeCrypto()


async def signer(crypto: NativeCrypto, name: str, kind: int = ED25519) -> Signer:
    (pair,) = await crypto.generate_keys("ed25519", 1)
    return Signer(name, kind, pair)


async def test_the_example_note_verifies(crypto: NativeCrypto) -> None:
    example = EXAMPLES["signed_note"]
    key = VerifierKey.decode(example["vkey"])
    note = Note.decode(example["note"].encode())
    await verify_note(crypto, note, key)
    assert note.encode() == example["note"].encode()
    assert key.encode() == example["vkey"]


def test_the_example_checkpoint_reads() -> None:
    example = EXAMPLES["checkpoint_with_cosignature"]
    note = Note.decode(example["note"].encode())
    head = read_checkpoint(note.text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert head.text() == note.text
    time = int.from_bytes(note.signatures[1].signature[:8], "big")
    assert time == example["cosignature_timestamp"]
    assert f"cosignature/v1\ntime {time}\n{note.text}" == example["cosigned_message"]


async def test_a_checkpoint_is_signed_and_cosigned(crypto: NativeCrypto) -> None:
    log = await signer(crypto, "log.example")
    witnesses = [await signer(crypto, f"witness{number}.example", COSIGNATURE) for number in range(3)]
    note = await sign_note(crypto, HEAD.text(), log.key, log.pair)
    lines = [await cosign(crypto, note, w.key, w.pair, 1000 + place) for place, w in enumerate(witnesses)]
    lines.append(await cosign(crypto, note, witnesses[0].key, witnesses[0].pair, 2000))
    opened = await open_checkpoint(crypto, note._replace(signatures=(*note.signatures, *lines)).encode(), log.key)
    assert opened.checkpoint == HEAD
    found = await cosignatures(crypto, opened.note, [w.key for w in witnesses[:2]])
    assert [(c.cosigner.name, c.time) for c in found] == [("witness0.example", 2000), ("witness1.example", 1001)]


async def test_an_altered_cosignature_spoils_the_note(crypto: NativeCrypto) -> None:
    log, witness = await signer(crypto, "log.example"), await signer(crypto, "w.example", COSIGNATURE)
    note = await sign_note(crypto, HEAD.text(), log.key, log.pair)
    line = await cosign(crypto, note, witness.key, witness.pair, 1000)
    later = line._replace(signature=(1001).to_bytes(8, "big") + line.signature[8:])
    for bad in (later, line._replace(signature=line.signature[:-1])):
        with pytest.raises(RoomkeyError) as refused:
            await cosignatures(crypto, note._replace(signatures=(line, bad)), [witness.key])
        assert refused.value.code == "invalid-signature"


async def test_whose_a_checkpoint_is(crypto: NativeCrypto) -> None:
    log, other = await signer(crypto, "log.example"), await signer(crypto, "log.example")
    note = await sign_note(crypto, HEAD.text(), other.key, other.pair)
    with pytest.raises(RoomkeyError) as refused:
        await open_checkpoint(crypto, note.encode(), log.key)
    assert refused.value.code == "invalid-signature"
    elsewhere = await sign_note(crypto, HEAD._replace(origin="else.example").text(), log.key, log.pair)
    with pytest.raises(RoomkeyError) as refused:
        await open_checkpoint(crypto, elsewhere.encode(), log.key)
    assert refused.value.code == "wrong-log"


async def test_a_line_of_the_log_that_does_not_verify_spoils_the_note(crypto: NativeCrypto) -> None:
    log = await signer(crypto, "log.example")
    note = await sign_note(crypto, HEAD.text(), log.key, log.pair)
    forged = note.signatures[0]._replace(signature=bytes(64))
    with pytest.raises(RoomkeyError) as refused:
        await verify_note(crypto, note._replace(signatures=(*note.signatures, forged)), log.key)
    assert refused.value.code == "invalid-signature"


LINE = "— a.example AAAAAAECAw==\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        f"text\n{LINE}".encode(),
        f"text\n\n{LINE}".encode()[:-1],
        f"text\r\n\n{LINE}".encode(),
        b"\xff\n\n" + LINE.encode(),
        b"text\n\n- a.example AAAAAAECAw==\n",
        "text\n\n— a+b AAAAAAECAw==\n".encode(),
        "text\n\n— a\u00a0b AAAAAAECAw==\n".encode(),
        "text\n\n— a.example AAAAAAECAx==\n".encode(),  # bits that base64 does not use
        "text\n\n— a.example AAAAAA==\n".encode(),  # a key id without a signature
        "text\n\n— a.example AAAAAAECAw== \n".encode(),
        ("text\n\n" + LINE * 65).encode(),
    ],
)
def test_other_notes_are_malformed(data: bytes) -> None:
    with pytest.raises(RoomkeyError) as refused:
        Note.decode(data)
    assert refused.value.code == "malformed"


def test_a_note_of_the_form_above_is_read_and_a_huge_one_is_not() -> None:
    assert Note.decode(f"text\n\nmore\n\n{LINE}".encode()).text == "text\n\nmore\n"
    with pytest.raises(RoomkeyError) as refused:
        Note.decode(b"a" * (64 << 10) + f"\n\n{LINE}".encode())
    assert refused.value.code == "too-large"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        f"o\n01\n{'A' * 43}=\n",
        f"o\n-1\n{'A' * 43}=\n",
        f"o\n{2**63}\n{'A' * 43}=\n",
        f"\n1\n{'A' * 43}=\n",
        f"o\n1\n{'A' * 42}B=\n",
        f"o\n1\n{'A' * 40}\n",
        f"o\n1\n{'A' * 43}=\n\nx\n",
    ],
)
def test_other_texts_are_no_checkpoints(text: str) -> None:
    with pytest.raises(RoomkeyError) as refused:
        read_checkpoint(text)
    assert refused.value.code == "malformed"


def test_a_key_of_a_configuration_is_exact() -> None:
    good = EXAMPLES["signed_note"]["vkey"]
    assert verifier_keys([good])[0].name == "example.com/foo"
    for bad in ("", good[:-1], good.replace("530d", "531d"), good.replace("foo", "fo o"), good + "=", "a+b"):
        with pytest.raises(RoomkeyError) as refused:
            VerifierKey.decode(bad)
        assert refused.value.code == "bad-argument"
    with pytest.raises(RoomkeyError, match="different"):
        verifier_keys([good, good])
