"""Wycheproof's cases on this Python; tests/browser/test_vectors.py runs the same in the browser."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from roomkey.host.native_crypto import NativeCrypto

from tests.conftest import Vectors
from tests.vectors.runners import wycheproof
from tests.vectors.support import check_file

FILES = (
    "aes_gcm_test.json",
    "ecdh_secp256r1_ecpoint_test.json",
    "ecdsa_secp256r1_sha256_test.json",
    "ed25519_test.json",
    "hkdf_sha256_test.json",
    "hmac_sha256_test.json",
    "x25519_test.json",
)


@pytest.mark.parametrize("name", FILES)
async def test_wycheproof(vectors: Vectors, name: str) -> None:
    await check_file(vectors, name, wycheproof.run, "wycheproof")


@pytest.mark.parametrize("name", FILES)
async def test_a_verdict_that_changes_is_seen(vectors: Vectors, name: str) -> None:
    """One case's result turned round, or one deviation gone, fails the file."""
    content = json.loads(vectors.path("wycheproof", name).read_text())
    turned = copy.deepcopy(content)
    case = first(turned, "valid")
    case["result"] = "invalid"
    with pytest.raises(AssertionError):
        await wycheproof.run(NativeCrypto(), turned)
    for group in content["testGroups"]:
        group["tests"] = [case for case in group["tests"] if not deviates(content["algorithm"], group, case)]
    if wycheproof.DEVIATIONS[content["algorithm"]]:
        with pytest.raises(AssertionError, match="got 0"):
            await wycheproof.run(NativeCrypto(), content)


def first(content: Any, result: str) -> Any:
    """A case of this result that is not in the table of deviations."""
    return next(
        case
        for group in content["testGroups"]
        for case in group["tests"]
        if case["result"] == result and not deviates(content["algorithm"], group, case)
    )


def deviates(algorithm: str, group: Any, case: Any) -> bool:
    return any(deviation.applies(group, case) for deviation in wycheproof.DEVIATIONS[algorithm])
