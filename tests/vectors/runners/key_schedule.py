"""key-schedule.json: a chain of epochs (RFC 9420 section 8)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_schedule import export, external_key_pair, joiner_secret, next_epoch, start_epoch, welcome_secret
from roomkey.mls.version import MLS10


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        suite = SUITES.get(case["cipher_suite"])
        if suite is not None:
            await chain(crypto, suite, case)
            passed[suite.number] += 1
    return passed


async def chain(crypto: CryptoProvider, suite: CipherSuite, case: Any) -> None:
    init = bytes.fromhex(case["initial_init_secret"])
    for number, epoch in enumerate(case["epochs"]):
        v = {name: bytes.fromhex(value) for name, value in epoch.items() if isinstance(value, str)}
        group_id, confirmed = bytes.fromhex(case["group_id"]), v["confirmed_transcript_hash"]
        context = GroupContext(MLS10, suite.number, group_id, number, v["tree_hash"], confirmed, ())
        assert context.encode() == v["group_context"], f"epoch {number}: group_context"

        new = next_epoch(suite, init, v["commit_secret"], v["psk_secret"], context)
        joiner = joiner_secret(suite, init, v["commit_secret"], context)
        joined = start_epoch(suite, joiner, v["psk_secret"], context)
        assert joiner == new.joiner_secret == v["joiner_secret"], f"epoch {number}: joiner_secret"
        assert joined.secrets == new.secrets, f"epoch {number}: a joiner's secrets"
        assert new.welcome_secret == v["welcome_secret"], f"epoch {number}: welcome_secret"
        assert welcome_secret(suite, joiner, v["psk_secret"]) == v["welcome_secret"], f"epoch {number}: welcome_secret"
        assert new.encryption_secret == v["encryption_secret"], f"epoch {number}: encryption_secret"
        for name in new.secrets._names:
            assert getattr(new.secrets, name) == v[name], f"epoch {number}: {name}"

        pair = await external_key_pair(crypto, suite, new.secrets.external_secret)
        assert pair.public == v["external_pub"], f"epoch {number}: external_pub"
        e = epoch["exporter"]
        label, exporter_context = e["label"].encode(), bytes.fromhex(e["context"])
        got = export(suite, new.secrets.exporter_secret, label, exporter_context, e["length"])
        assert got.hex() == e["secret"], f"epoch {number}: exporter"
        init = new.secrets.init_secret
