"""secret-tree.json: sender data keys, and message keys of every leaf (RFC 9420 sections 6.3.2 and 9)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.mls.private_content import sender_data_key
from roomkey.mls.secret_tree import Kind, SecretTree

KINDS: tuple[Kind, ...] = ("handshake", "application")


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        suite = SUITES.get(case["cipher_suite"])
        if suite is not None:
            sender_data(suite, case["sender_data"])
            tree = SecretTree.create(suite, len(case["leaves"]), bytes.fromhex(case["encryption_secret"]))
            receive(tree, case["leaves"])
            receive(tree, [list(reversed(leaf)) for leaf in case["leaves"]])
            passed[suite.number] += 1
    return passed


def sender_data(suite: CipherSuite, v: Any) -> None:
    key = sender_data_key(suite, bytes.fromhex(v["sender_data_secret"]), bytes.fromhex(v["ciphertext"]))
    assert (key.key.hex(), key.nonce.hex()) == (v["key"], v["nonce"]), "sender data"


def receive(tree: SecretTree, leaves: list[Any]) -> None:
    """Takes every key in the order given, over one chain of trees, stored and read back on the way."""
    for index, leaf in enumerate(leaves):
        for entry in leaf:
            for kind in KINDS:
                tree, key = tree.take_key(index, kind, entry["generation"])
                want = (entry[f"{kind}_key"], entry[f"{kind}_nonce"])
                assert (key.key.hex(), key.nonce.hex()) == want, f"leaf {index}, {kind}, {entry['generation']}"
        tree = SecretTree.decode(tree.encode())
