"""The browser's cryptography beside the package `cryptography`: what one makes, the other takes."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from roomkey.crypto import hpke
from roomkey.crypto.provider import DhItem, KeyPair, SealItem, SignItem, VerifyItem
from roomkey.crypto.suites import SUITES, AeadName, Group, Scheme
from roomkey.host.native_crypto import NativeCrypto

from tests.browser.support.python import BrowserPython

T = TypeVar("T")
GROUPS: tuple[Group, ...] = ("X25519", "P-256")
SCHEMES: tuple[Scheme, ...] = ("ed25519", "ecdsa_secp256r1_sha256")
KEY_SIZES: dict[AeadName, int] = {"AES-128-GCM": 16, "CHACHA20-POLY1305": 32}
BATCH = 20
LOW_ORDER = bytes(32)
OFF_CURVE = b"\x04" + bytes(63) + b"\x01"
CRYPTO = """
from roomkey.crypto import hpke
from roomkey.crypto.provider import DhItem, KeyHandle, KeyPair, SealItem, SignItem, VerifyItem
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
import test_host
from roomkey.host.browser import standalone_crypto
crypto = await standalone_crypto(test_host)
def hexed(fields): return [None if field is None else field.hex() for field in fields]
"""


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a native operation; it never suspends."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("expected a coroutine that does not suspend")


def raw_pairs(native: NativeCrypto, kind: Group | Scheme, count: int) -> list[tuple[bytes, bytes]]:
    """Pairs with their private keys raw: (public, private)."""
    pairs = run(native.generate_keys(kind, count))
    return [(pair.public, native.keys[pair.private.id]) for pair in pairs if not isinstance(pair.private, bytes)]


def hexed(*fields: bytes | None) -> list[str | None]:
    return [None if field is None else field.hex() for field in fields]


def test_supports_every_suite(python: BrowserPython) -> None:
    code = CRYPTO + "json.dumps([crypto.supports(s.scheme, s.group, s.aead) for s in SUITES.values()])"
    assert python.run(code) == [True] * len(SUITES)


@pytest.mark.parametrize("group", GROUPS)
def test_public_keys_and_shared_secrets_agree(python: BrowserPython, group: Group) -> None:
    native = NativeCrypto()
    (ours, our_private), (theirs, their_private) = raw_pairs(native, group, 2)
    code = """
group = values["group"]
privates = [unhex(private) for private in values["privates"]]
publics = await crypto.public_keys(group, privates)
(handled,) = await crypto.generate_keys(group, 1)
pairs = [KeyPair(publics[0], privates[0]), handled]
shared = await crypto.dh([DhItem(group, pair, publics[1]) for pair in pairs])
((ephemeral, secret),) = await crypto.ephemeral_dh(group, [publics[1]])
json.dumps(hexed([*publics, *shared, secret, handled.public, ephemeral]))
"""
    answer = python.run(CRYPTO + code, group=group, privates=hexed(our_private, their_private))
    peers = [ours, *(bytes.fromhex(public) for public in answer[5:])]
    expected = run(native.dh([DhItem(group, KeyPair(theirs, their_private), peer) for peer in peers]))
    assert answer[:5] == hexed(ours, theirs, *expected)


def test_a_batch_of_several_keys_in_any_order(python: BrowserPython) -> None:
    """Items in a row that have one key share its import; also the same bytes as keys of two groups."""
    native = NativeCrypto()
    ((_, one), (_, two)) = raw_pairs(native, "X25519", 2)
    order: list[tuple[Group, bytes]] = [("X25519", one), ("X25519", one), ("X25519", two), ("X25519", one)]
    order += [("P-256", one), ("P-256", one), ("X25519", one)]
    peers = {group: raw_pairs(native, group, 1)[0][0] for group in GROUPS}
    code = """
items = []
for group, private, peer in values["items"]:
    (public,) = await crypto.public_keys(group, [unhex(private)])
    items.append(DhItem(group, KeyPair(public, unhex(private)), unhex(peer)))
json.dumps(hexed(await crypto.dh(items)))
"""
    items = [(group, private.hex(), peers[group].hex()) for group, private in order]
    expected = run(native.dh([DhItem(group, KeyPair(b"", private), peers[group]) for group, private in order]))
    assert python.run(CRYPTO + code, items=items) == hexed(*expected)


@pytest.mark.parametrize(
    ("group", "bad"),
    [
        ("X25519", LOW_ORDER),
        ("X25519", bytes(31)),
        ("X25519", b""),
        ("P-256", OFF_CURVE),
        ("P-256", b"\x02" + bytes(32)),
        ("P-256", bytes(65)),
    ],
)
def test_bad_peer_keys_have_no_secret_and_spoil_no_batch(python: BrowserPython, group: Group, bad: bytes) -> None:
    native = NativeCrypto()
    ((good, _), (own, private)) = raw_pairs(native, group, 2)
    code = """
group, own = values["group"], KeyPair(unhex(values["own"]), unhex(values["private"]))
peers = [unhex(peer) for peer in values["peers"]]
found = await crypto.dh([DhItem(group, own, peer) for peer in peers])
made = await crypto.ephemeral_dh(group, peers)
json.dumps([[secret is None for secret in found], [pair is None for pair in made]])
"""
    answer = python.run(CRYPTO + code, group=group, own=own.hex(), private=private.hex(), peers=hexed(good, bad, good))
    assert answer == [[False, True, False]] * 2


@pytest.mark.parametrize("scheme", SCHEMES)
def test_signatures_verify_on_both_sides(python: BrowserPython, scheme: Scheme) -> None:
    native = NativeCrypto()
    pairs = raw_pairs(native, scheme, BATCH)
    messages = [bytes([index]) * index for index in range(BATCH)]
    keys = [KeyPair(public, private) for public, private in pairs]
    items = [SignItem(scheme, key, text) for key, text in zip(keys, messages, strict=True)]
    signatures = run(native.sign(items))
    signatures[3] = signatures[4]
    signatures[5] = b"short"
    code = """
scheme = values["scheme"]
messages = [unhex(message) for message in values["messages"]]
rows = zip(values["publics"], messages, values["signatures"])
good = await crypto.verify([VerifyItem(scheme, unhex(public), text, unhex(sig)) for public, text, sig in rows])
raw = [KeyPair(unhex(public), unhex(private)) for public, private in zip(values["publics"], values["privates"])]
handled = await crypto.generate_keys(scheme, 1)
keys = raw[:-1] + handled
signed = await crypto.sign([SignItem(scheme, key, text) for key, text in zip(keys, messages)])
json.dumps([good, hexed(key.public for key in keys), hexed(signed)])
"""
    good, publics, made = python.run(
        CRYPTO + code,
        scheme=scheme,
        publics=hexed(*(public for public, _ in pairs)),
        privates=hexed(*(private for _, private in pairs)),
        messages=hexed(*messages),
        signatures=hexed(*signatures),
    )
    assert good == [index not in (3, 5) for index in range(BATCH)]
    checks = [
        VerifyItem(scheme, bytes.fromhex(public), text, bytes.fromhex(signature))
        for public, text, signature in zip(publics, messages, made, strict=True)
    ]
    assert run(native.verify(checks)) == [True] * BATCH


@pytest.mark.parametrize("aead", KEY_SIZES)
def test_sealed_texts_open_on_both_sides(python: BrowserPython, aead: AeadName) -> None:
    native = NativeCrypto()
    plain = [bytes([index]) * (index * 100) for index in range(BATCH)]
    items = [
        SealItem(aead, bytes([index]) * KEY_SIZES[aead], bytes([index]) * 12, text[:7], text)
        for index, text in enumerate(plain)
    ]
    sealed = run(native.seal(items))
    altered = [*sealed[:-1], sealed[-1][:-1] + bytes([sealed[-1][-1] ^ 1])]
    code = """
rows = [[unhex(field) for field in row] for row in values["rows"]]
def items(texts): return [SealItem(values["aead"], *row[:3], text) for row, text in zip(rows, texts)]
made = await crypto.seal(items([row[3] for row in rows]))
opened = await crypto.open(items([unhex(text) for text in values["sealed"]]))
json.dumps([hexed(made), hexed(opened)])
"""
    rows = [hexed(item.key, item.nonce, item.aad, item.text) for item in items]
    made, opened = python.run(CRYPTO + code, aead=aead, rows=rows, sealed=hexed(*altered))
    assert made == hexed(*sealed)
    assert opened == hexed(*plain[:-1], None)


@pytest.mark.parametrize("number", SUITES)
def test_hpke_both_ways(python: BrowserPython, number: int) -> None:
    native, suite = NativeCrypto(), SUITES[number]
    (own,) = run(native.generate_keys(suite.group, 1))
    code = """
suite = SUITES[values["suite"]]
pair = (await crypto.generate_keys(suite.group, 1))[0] if "pair" not in globals() else pair
if "sealed" in values:
    enc, text = (unhex(field) for field in values["sealed"])
    answer = (await hpke.open_one(crypto, suite, pair, enc, b"info", b"aad", text)).decode()
else:
    ((enc, text),) = await hpke.seal(crypto, suite, [hpke.Seal(unhex(values["public"]), b"info", b"aad", b"hello")])
    answer = hexed([enc, text, pair.public])
json.dumps(answer)
"""
    python.run("globals().pop('pair', None); 'null'")
    enc, text, public = (
        bytes.fromhex(field) for field in python.run(CRYPTO + code, suite=number, public=own.public.hex())
    )
    assert run(hpke.open_one(native, suite, own, enc, b"info", b"aad", text)) == b"hello"
    python.run("host_crypto = crypto; 'null'")
    ((enc, text),) = run(hpke.seal(native, suite, [hpke.Seal(public, b"info", b"aad", b"greetings")]))
    held = CRYPTO + "crypto = host_crypto\n" + code
    assert python.run(held, suite=number, sealed=hexed(enc, text)) == "greetings"


def test_forgotten_and_foreign_handles_are_refused(python: BrowserPython) -> None:
    code = """
(pair,) = await crypto.generate_keys("ed25519", 1)
codes = []
for key in (pair, KeyPair(pair.public, KeyHandle("00" * 16))):
    await crypto.forget_keys([key.private])
    try:
        await crypto.sign([SignItem("ed25519", key, b"message")])
    except RoomkeyError as error:
        codes.append(error.code)
json.dumps(codes)
"""
    assert python.run(CRYPTO + code) == ["key-not-found"] * 2


def test_empty_batches_and_wrong_sizes(python: BrowserPython) -> None:
    code = """
answers = [await crypto.verify([]), await crypto.seal([]), await crypto.dh([]), await crypto.public_keys("X25519", [])]
try:
    await crypto.seal([SealItem("AES-128-GCM", bytes(15), bytes(12), b"", b"")])
except RoomkeyError as error:
    answers.append(error.code)
json.dumps(answers)
"""
    assert python.run(CRYPTO + code) == [[], [], [], [], "bad-argument"]


def test_private_keys_made_here_cannot_be_exported(python: BrowserPython) -> None:
    code = """
from js import crypto as web
keys = CryptoHost.new()
held = BrowserCrypto(keys, await supportedAlgorithms())
refused = []
for kind in ("X25519", "P-256", "ed25519", "ecdsa_secp256r1_sha256"):
    (pair,) = await held.generate_keys(kind, 1)
    key = keys.keys.get(pair.private.id)
    try:
        await web.subtle.exportKey("pkcs8", key)
    except Exception as error:
        refused.append([key.extractable, error.name])
json.dumps(refused)
"""
    assert python.run(CRYPTO + code) == [[False, "InvalidAccessError"]] * 4
