"""ECVRF-EDWARDS25519-SHA512-TAI: RFC 9381's vectors, the curve against slow arithmetic, and what is refused."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roomkey.crypto import edwards_points
from roomkey.crypto.edwards import FIELD, ORDER
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency import vrf

from tests.support import edwards as slow

CRYPTO = NativeCrypto()


class Vector(NamedTuple):
    secret: bytes
    public: bytes
    alpha: bytes
    proof: bytes
    output: bytes


# RFC 9381 appendix B.3, examples 16 to 18: SK, PK, alpha, pi, beta.
VECTORS = [
    Vector(*map(bytes.fromhex, texts))
    for texts in (
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d97"
            "27d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805",
            "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff"
            "66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465"
            "301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02",
            "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb"
            "5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9ea3c0"
            "e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e",
            "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c45"
            "2118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f",
        ),
    )
]
ONE = VECTORS[0]


@pytest.mark.parametrize("vector", VECTORS)
def test_the_rfcs_vectors(vector: Vector) -> None:
    assert vrf.public_key(CRYPTO, vector.secret) == vector.public
    assert vrf.prove(CRYPTO, vector.secret, vector.alpha) == vector.proof
    assert vrf.proof_to_hash(vector.proof) == vector.output
    assert vrf.verify(vector.public, vector.alpha, vector.proof) == vector.output
    assert vrf.index_of(vector.output) == vector.output[:32]


@given(st.integers(0, 2**256), st.integers(0, 2**130), st.integers(1, 99))
@settings(max_examples=20)
def test_two_products_at_once_are_those_of_slow_arithmetic(one: int, two: int, other: int) -> None:
    point = slow.add(slow.multiply(slow.BASE, other), slow.TORSION[other % 8])
    fast = edwards_points.decode(slow.encode(point))
    assert fast is not None
    expected = slow.add(slow.multiply(slow.BASE, one), slow.multiply(point, two))
    assert edwards_points.encode(edwards_points.combine([(one, edwards_points.BASE), (two, fast)])) == slow.encode(
        expected
    )


def test_points_have_one_form() -> None:
    for point in (*slow.TORSION, slow.BASE):
        canonical, *others = slow.encodings(point)
        decoded = edwards_points.decode(canonical)
        assert decoded is not None
        assert edwards_points.encode(decoded) == canonical
        assert all(edwards_points.decode(other) is None for other in others)
    assert edwards_points.decode((2).to_bytes(32, "little")) is None  # no point has this y
    assert edwards_points.decode(bytes(31)) is None


@pytest.mark.parametrize("place", range(0, 8 * vrf.PROOF_SIZE, 7))
def test_no_bit_of_a_proof_may_turn(place: int) -> None:
    proof = bytearray(ONE.proof)
    proof[place >> 3] ^= 1 << (place & 7)
    refused("log-proof-invalid", ONE.public, ONE.alpha, bytes(proof))


def test_a_proof_is_of_one_input_and_one_key() -> None:
    refused("log-proof-invalid", ONE.public, b"x", ONE.proof)
    refused("log-proof-invalid", VECTORS[1].public, ONE.alpha, ONE.proof)


@pytest.mark.parametrize("proof", [b"", ONE.proof[:-1], ONE.proof + b"\x00"])
def test_a_proof_has_80_bytes(proof: bytes) -> None:
    refused("log-proof-invalid", ONE.public, ONE.alpha, proof)


def test_a_scalar_has_one_form() -> None:
    s = int.from_bytes(ONE.proof[48:], "little")
    refused("log-proof-invalid", ONE.public, ONE.alpha, ONE.proof[:48] + (s + ORDER).to_bytes(32, "little"))


def test_keys_of_low_order_and_of_two_forms_are_refused() -> None:
    """With such a key a service could prove every output, or two for one name."""
    for point in slow.TORSION:
        for encoding in slow.encodings(point):
            refused("invalid-key", encoding, ONE.alpha, ONE.proof)
    refused("invalid-key", (FIELD + 3).to_bytes(32, "little"), ONE.alpha, ONE.proof)
    refused("invalid-key", ONE.public[:-1], ONE.alpha, ONE.proof)


def test_a_gamma_with_a_part_of_low_order_gives_no_second_output() -> None:
    """Whoever holds the secret can make such proofs verify (1 of 8 challenges); the output stays the one there is."""
    gamma = slow.decode(ONE.proof[:32])
    for torsion in slow.TORSION[1:]:
        moved = slow.encode(slow.add(gamma, torsion)) + ONE.proof[32:]
        assert vrf.proof_to_hash(moved) == ONE.output
        refused("log-proof-invalid", ONE.public, ONE.alpha, moved)


@given(st.binary(max_size=100))
@settings(max_examples=10)
def test_what_is_proved_verifies(alpha: bytes) -> None:
    secret = hashlib.sha256(alpha).digest()
    proof = vrf.prove(CRYPTO, secret, alpha)
    assert vrf.verify(vrf.public_key(CRYPTO, secret), alpha, proof) == vrf.proof_to_hash(proof)


def test_a_secret_has_32_bytes() -> None:
    with pytest.raises(RoomkeyError, match="bad-argument"):
        vrf.prove(CRYPTO, bytes(31), b"")


def refused(code: str, public: bytes, alpha: bytes, proof: bytes) -> None:
    with pytest.raises(RoomkeyError) as error:
        vrf.verify(public, alpha, proof)
    assert error.value.code == code
