"""crypto-basics.json: the labelled operations (RFC 9420 sections 5.1, 5.2, 8 and 9)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import SUITES, CipherSuite


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        suite = SUITES.get(case["cipher_suite"])
        if suite is not None:
            hashes(suite, case)
            await signature(crypto, suite, case["sign_with_label"])
            await encryption(crypto, suite, case["encrypt_with_label"])
            passed[suite.number] += 1
    return passed


def hashes(suite: CipherSuite, case: Any) -> None:
    v = case["ref_hash"]
    got = labels.ref_hash(suite, v["label"].encode(), bytes.fromhex(v["value"]))
    assert got.hex() == v["out"], "ref_hash"
    v = case["expand_with_label"]
    secret, context = bytes.fromhex(v["secret"]), bytes.fromhex(v["context"])
    got = labels.expand_with_label(suite, secret, v["label"].encode(), context, v["length"])
    assert got.hex() == v["out"], "expand_with_label"
    v = case["derive_secret"]
    got = labels.derive_secret(suite, bytes.fromhex(v["secret"]), v["label"].encode())
    assert got.hex() == v["out"], "derive_secret"
    v = case["derive_tree_secret"]
    secret = bytes.fromhex(v["secret"])
    got = labels.derive_tree_secret(suite, secret, v["label"].encode(), v["generation"], v["length"])
    assert got.hex() == v["out"], "derive_tree_secret"


async def signature(crypto: CryptoProvider, suite: CipherSuite, v: Any) -> None:
    label, content = v["label"].encode(), bytes.fromhex(v["content"])
    public, given = bytes.fromhex(v["pub"]), bytes.fromhex(v["signature"])
    key = KeyPair(public, bytes.fromhex(v["priv"]))
    (ours,) = await labels.sign_with_label(crypto, suite, [labels.Signing(key, label, content)])
    results = await labels.verify_with_label(
        crypto,
        suite,
        [
            labels.Signed(public, label, content, given),
            labels.Signed(public, label, content, ours),
            labels.Signed(public, label, content + b"\0", given),
            labels.Signed(public, label + b"x", content, ours),
        ],
    )
    assert results == [True, True, False, False], f"verify_with_label: {results}"


async def encryption(crypto: CryptoProvider, suite: CipherSuite, v: Any) -> None:
    label, context = v["label"].encode(), bytes.fromhex(v["context"])
    plaintext = bytes.fromhex(v["plaintext"])
    key = KeyPair(bytes.fromhex(v["pub"]), bytes.fromhex(v["priv"]))
    given = labels.HPKECiphertext(bytes.fromhex(v["kem_output"]), bytes.fromhex(v["ciphertext"]))
    (ours,) = await labels.encrypt_with_label(crypto, suite, [labels.Sealing(key.public, label, context, plaintext)])
    assert ours != given, "an encryption repeated its ephemeral key"
    for sealed in (given, ours):
        got = await labels.decrypt_with_label(crypto, suite, key, label, context, sealed)
        assert got == plaintext, "decrypt_with_label"
