"""Wycheproof's files for the primitives of our suites: one verdict a case, as the file says or as the table below.

A case is "valid" where our code takes it and, for a result that is given, computes the same; "invalid" where our code
says that it does not hold; "refused" where it raises the typed error of a value that it cannot take. Every host must
give exactly the verdict that `expected` derives, so two hosts that pass agree on every case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from roomkey.crypto import hpke, labels, signatures
from roomkey.crypto.admission import admit_dh_key, admit_signature_keys
from roomkey.crypto.provider import CryptoProvider, DhItem, KeyPair, SealItem
from roomkey.crypto.suites import SUITES, Group
from roomkey.errors import RoomkeyError

VALID, INVALID, REFUSED = "valid", "invalid", "refused"
SHA256_SUITE = SUITES[1]
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Deviation(NamedTuple):
    """Cases of one file whose verdict is not the file's `result`, or which its "acceptable" leaves open.

    `cases` is how many it is for: a new one, or one that went, fails the run.
    """

    verdict: str
    cases: int
    applies: Callable[[Any, Any], bool]  # group, case
    reason: str


# The first that applies to a case decides. By the algorithm that a file names.
DEVIATIONS: dict[str, tuple[Deviation, ...]] = {
    "AES-GCM": (
        Deviation(REFUSED, 208, lambda group, case: group["keySize"] != 128, "our suites have AES-128 alone"),
        Deviation(REFUSED, 41, lambda group, case: group["ivSize"] != 96, "nonces of our suites are 12 bytes"),
    ),
    "ECDH": (
        Deviation(
            INVALID, 1, lambda group, case: "CompressedPublic" in case["flags"],
            "a public key is an uncompressed point (RFC 9180 section 7.1.1, RFC 9420 section 5.1.1)",
        ),
    ),
    "ECDSA": (),
    "EDDSA": (),
    "HKDF-SHA-256": (
        Deviation(REFUSED, 3, lambda group, case: "SizeTooLarge" in case["flags"], "a caller asks for over 255 blocks"),
    ),
    "HMACSHA256": (
        Deviation(
            INVALID, 33, lambda group, case: group["tagSize"] < 256 and case["result"] == VALID,
            "RFC 9420 truncates no MAC; the bytes that are there are checked",
        ),
    ),
    "XDH": (
        Deviation(
            INVALID, 31, lambda group, case: "ZeroSharedSecret" in case["flags"],
            "an all-zero secret is refused (RFC 7748 section 6.1, RFC 9180 section 7.1.4)",
        ),
        Deviation(
            VALID, 13, lambda group, case: "NonCanonicalPublic" in case["flags"],
            "values from 2^255-19 on are taken modulo the prime (RFC 7748 section 5), the HPKE context binds the bytes",
        ),
        Deviation(
            VALID, 210, lambda group, case: "Twist" in case["flags"],
            "points of the twist are taken (RFC 7748 section 5); it is secure as the curve is",
        ),
    ),
}  # fmt: skip


async def run(crypto: CryptoProvider, content: Any) -> dict[int, int]:
    algorithm = content["algorithm"]
    counts: Counter[Deviation] = Counter()
    wrong: list[str] = []
    passed = 0
    for group in content["testGroups"]:
        for case in group["tests"]:
            deviation = next((d for d in DEVIATIONS[algorithm] if d.applies(group, case)), None)
            expected = case["result"] if deviation is None else deviation.verdict
            got = await verdict(crypto, algorithm, group, case)
            if deviation is not None:
                counts[deviation] += 1
            if got == expected:
                passed += 1
            else:
                wrong.append(f"{case['tcId']} {case['flags']} {case['comment']!r}: expected {expected}, got {got}")
    wrong += [f"{d.reason}: expected {d.cases}, got {counts[d]}" for d in DEVIATIONS[algorithm] if counts[d] != d.cases]
    assert not wrong, f"{algorithm}: " + "; ".join(wrong)
    assert passed == content["numberOfTests"]
    return {0: passed}


async def verdict(crypto: CryptoProvider, algorithm: str, group: Any, case: Any) -> str:
    try:
        return VALID if await JUDGES[algorithm](crypto, group, case) else INVALID
    except RoomkeyError as error:
        if error.code != "bad-argument":
            raise
        return REFUSED


async def aes_gcm(crypto: CryptoProvider, group: Any, case: Any) -> bool:
    """Opens; what opens is also sealed, to the same bytes."""
    key, nonce, aad, text = (bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg"))
    sealed = bytes.fromhex(case["ct"] + case["tag"])
    (opened,) = await crypto.open([SealItem("AES-128-GCM", key, nonce, aad, sealed)])
    (ours,) = await crypto.seal([SealItem("AES-128-GCM", key, nonce, aad, text)])
    assert (opened == text) == (ours == sealed), f"{case['tcId']}: sealing and opening differ"
    return opened == text


async def ecdh(crypto: CryptoProvider, group: Any, case: Any) -> bool:
    """The private key is an integer of any length."""
    private = int.from_bytes(bytes.fromhex(case["private"]), "big").to_bytes(32, "big")
    return await exchange(crypto, "P-256", private, case)


async def xdh(crypto: CryptoProvider, group: Any, case: Any) -> bool:
    return await exchange(crypto, "X25519", bytes.fromhex(case["private"]), case)


async def exchange(crypto: CryptoProvider, group: Group, private: bytes, case: Any) -> bool:
    """The provider's two ways and the admission of keys must take or refuse the peer's key alike; what is taken gives
    the secret that the file says.
    """
    peer = bytes.fromhex(case["public"])
    (public,) = await crypto.public_keys(group, [private])
    (shared,) = await crypto.dh([DhItem(group, KeyPair(public, private), peer)])
    (ephemeral,) = await crypto.ephemeral_dh(group, [peer])
    assert (shared is None) == (ephemeral is None), f"{case['tcId']}: dh and ephemeral_dh differ"
    assert (shared is not None) == admitted(group, peer), f"{case['tcId']}: dh and admission differ"
    if shared is None:
        return False
    assert shared.hex() == case["shared"], f"{case['tcId']}: another secret"
    return True


def admitted(group: Group, public: bytes) -> bool:
    try:
        admit_dh_key(group, public)
    except RoomkeyError as error:
        if error.code != "invalid-key":
            raise
        return False
    return True


async def ecdsa(crypto: CryptoProvider, group: Any, case: Any) -> bool:
    public = bytes.fromhex(group["publicKey"]["uncompressed"])
    message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
    await admit_signature_keys(crypto, [("ecdsa_secp256r1_sha256", public)])
    (good,) = await signatures.verify(crypto, "ecdsa_secp256r1_sha256", [(public, message, signature)])
    return good


async def eddsa(crypto: CryptoProvider, group: Any, case: Any) -> bool:
    public = bytes.fromhex(group["publicKey"]["pk"])
    message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
    await admit_signature_keys(crypto, [("ed25519", public)])
    (good,) = await signatures.verify(crypto, "ed25519", [(public, message, signature)])
    return good


async def hkdf(crypto: CryptoProvider, group: Any, case: Any) -> bool:
    ikm, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
    okm = hpke.expand(SHA256_SUITE.hash, labels.extract(SHA256_SUITE, salt, ikm), info, case["size"])
    return okm == bytes.fromhex(case["okm"])


async def hmac(crypto: CryptoProvider, group: Any, case: Any) -> bool:
    """As a MAC is verified: whole, in constant time."""
    computed = labels.mac(SHA256_SUITE, bytes.fromhex(case["key"]), bytes.fromhex(case["msg"]))
    tag = bytes.fromhex(case["tag"])
    short = computed[: group["tagSize"] // 8] == tag
    assert short == (case["result"] == VALID), f"{case['tcId']}: the bytes of the MAC"
    return labels.equal(computed, tag)


JUDGES: dict[str, Callable[[CryptoProvider, Any, Any], Awaitable[bool]]] = {
    "AES-GCM": aes_gcm,
    "ECDH": ecdh,
    "ECDSA": ecdsa,
    "EDDSA": eddsa,
    "HKDF-SHA-256": hkdf,
    "HMACSHA256": hmac,
    "XDH": xdh,
}
