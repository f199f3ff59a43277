"""welcome.json: a Welcome is opened and its GroupInfo verified (RFC 9420 section 12.4.3.1)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.mls.framing import MLSMessage
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.key_schedule import start_epoch, welcome_secret
from roomkey.mls.psk import psk_secret
from roomkey.mls.transcript import check_confirmation_tag
from roomkey.mls.welcome import (
    GroupInfo,
    GroupSecrets,
    Joiner,
    Welcome,
    find_secrets,
    open_group_info,
    open_group_secrets,
    seal_welcome,
    verify_group_info,
)


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        suite = SUITES.get(case["cipher_suite"])
        if suite is None:
            continue
        v = {name: bytes.fromhex(value) for name, value in case.items() if isinstance(value, str)}
        package = MLSMessage.decode(v["key_package"]).body
        given = MLSMessage.decode(v["welcome"]).body
        assert isinstance(package, KeyPackage), "a key package"
        assert isinstance(given, Welcome), "a Welcome"
        init = KeyPair(package.init_key, v["init_priv"])
        secrets, info = await opened(crypto, suite, package, init, given, v["signer_pub"])

        secret = welcome_secret(suite, secrets.joiner_secret, psk_secret(suite, []))
        joiner = Joiner(package.ref(suite), package.init_key, b"path" * 8)
        ours = await seal_welcome(crypto, suite, secret, secrets.joiner_secret, info, (), [joiner])
        again, info_again = await opened(crypto, suite, package, init, ours, v["signer_pub"])
        assert again.path_secret is not None, "a path secret"
        assert (again.joiner_secret, info_again) == (secrets.joiner_secret, info), "our own Welcome"
        passed[suite.number] += 1
    return passed


async def opened(
    crypto: CryptoProvider, suite: CipherSuite, package: KeyPackage, init: KeyPair, welcome: Welcome, signer: bytes
) -> tuple[GroupSecrets, GroupInfo]:
    index, entry = find_secrets(welcome, [bytes(suite.nh), package.ref(suite)])
    assert index == 1, "the entry for this key package"
    secrets = await open_group_secrets(crypto, suite, welcome, entry, init)
    psk = psk_secret(suite, [])
    info = await open_group_info(crypto, suite, welcome, welcome_secret(suite, secrets.joiner_secret, psk))
    await verify_group_info(crypto, suite, signer, info)
    context = info.group_context
    key = start_epoch(suite, secrets.joiner_secret, psk, context).secrets.confirmation_key
    check_confirmation_tag(suite, key, context.confirmed_transcript_hash, info.confirmation_tag, "welcome-confirmation")
    return secrets, info
