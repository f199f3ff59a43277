"""passive-client-*.json: a client joins by a Welcome and follows the group's commits (RFC 9420 sections 12.4.2 and
12.4.3.1).
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import SUITES
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.framing import MLSMessage
from roomkey.mls.group import Group, JoinKeys, OwnKeys, Policy, Psks
from roomkey.mls.joining import join
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.processing import process
from roomkey.mls.state import decode_group, encode_group

# The vectors' KeyPackages were made by several implementations, some for ever.
_POLICY = Policy(external_commits=True, max_lifetime=math.inf)


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        if case["cipher_suite"] in SUITES:
            await _play(crypto, case)
            passed[case["cipher_suite"]] += 1
    return dict(passed)


async def _play(crypto: CryptoProvider, case: dict[str, Any]) -> None:
    psks = Psks({bytes.fromhex(p["psk_id"]): bytes.fromhex(p["psk"]) for p in case["external_psks"]})
    tree = None if case["ratchet_tree"] is None else bytes.fromhex(case["ratchet_tree"])
    welcome = bytes.fromhex(case["welcome"])
    group = (await join(crypto, welcome, [_keys(case)], tree=tree, psks=psks, max_lifetime=math.inf)).group
    assert group.epoch_authenticator.hex() == case["initial_epoch_authenticator"], "initial epoch"
    for epoch in case["epochs"]:
        group = await _follow(crypto, group, epoch, psks)


def _keys(case: dict[str, Any]) -> JoinKeys:
    package = MLSMessage.decode(bytes.fromhex(case["key_package"])).body
    assert isinstance(package, KeyPackage)
    leaf = package.leaf_node
    private = {name: bytes.fromhex(case[f"{name}_priv"]) for name in ("init", "encryption", "signature")}
    keys = OwnKeys(
        KeyPair(leaf.signature_key, private["signature"]), KeyPair(leaf.encryption_key, private["encryption"])
    )
    return JoinKeys(package, KeyPair(package.init_key, private["init"]), keys)


async def _follow(crypto: CryptoProvider, group: Group, epoch: dict[str, Any], psks: Psks) -> Group:
    for proposal in epoch["proposals"]:
        group = (await process(crypto, group, bytes.fromhex(proposal), psks=psks, policy=_POLICY)).group
    done = await process(crypto, group, bytes.fromhex(epoch["commit"]), psks=psks, policy=_POLICY)
    assert isinstance(done.event, CommitProcessed)
    assert not done.event.self_removed
    assert done.group.epoch_authenticator.hex() == epoch["epoch_authenticator"], f"epoch {done.group.epoch}"
    stored = encode_group(done.group)
    assert encode_group(decode_group(stored)) == stored, "state is exact"
    return decode_group(stored)
