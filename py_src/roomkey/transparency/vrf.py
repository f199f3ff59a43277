"""The verifiable random function of the identity map: ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381 section 5, suite 0x03).

Where an identity stands in the map is this function of it, cut to 32 bytes. So only the service, whose secret it takes,
can look names up, and everybody who is given a proof sees that they were shown the one place where a name can stand.

Clients verify, on public data. A service proves, and not in constant time, because Python's integers are not: secret
scalars are hidden behind a random multiple of the order at each multiplication, which leaves only noise of other
numbers to whom it can time. What is at stake is bounded: with this secret one could find out who is in the map, but
neither put anything into it nor vouch for a key. It signs nothing else, and stays off the machines of clients.
"""

from __future__ import annotations

import hashlib
from typing import Final

from roomkey.crypto.edwards import ORDER
from roomkey.crypto.edwards_points import (
    BASE,
    BLINDING_SIZE,
    Point,
    combine,
    decode,
    encode,
    is_neutral,
    multiply_secret,
    negate,
    times_cofactor,
)
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError

PROOF_SIZE: Final = 32 + 16 + 32
OUTPUT_SIZE: Final = 64
INDEX_SIZE: Final = 32

_SUITE: Final = b"\x03"
_CHALLENGE_SIZE: Final = 16


def public_key(crypto: CryptoProvider, secret: bytes) -> bytes:
    """The public key of a secret of 32 bytes, as for Ed25519 (RFC 8032 section 5.1.5)."""
    return encode(_times(crypto, _expand(secret)[0], BASE))


def prove(crypto: CryptoProvider, secret: bytes, alpha: bytes) -> bytes:
    """ECVRF_prove (RFC 9381 section 5.1): the proof, 80 bytes, the same for the same input."""
    scalar, prefix = _expand(secret)
    public = encode(_times(crypto, scalar, BASE))
    point = _encode_to_curve(public, alpha)
    h = encode(point)
    gamma = _times(crypto, scalar, point)
    nonce = int.from_bytes(hashlib.sha512(prefix + h).digest(), "little") % ORDER  # section 5.4.2.2
    challenge = _challenge(public, h, encode(gamma), _times(crypto, nonce, BASE), _times(crypto, nonce, point))
    s = (nonce + challenge * scalar) % ORDER
    return encode(gamma) + challenge.to_bytes(_CHALLENGE_SIZE, "little") + s.to_bytes(32, "little")


def verify(public: bytes, alpha: bytes, proof: bytes) -> bytes:
    """ECVRF_verify (RFC 9381 section 5.3) with key validation: the output, 64 bytes.

    1. the key is a point in its one form, and not of low order (section 5.4.5).
    2. the proof has 80 bytes, its Gamma is a point in its one form, its s is below the order (section 5.4.4).
    3. the challenge is that of U = sB - cY and V = sH - cGamma.

    Errors: "invalid-key", "log-proof-invalid".
    """
    # 1.
    key = decode(public)
    if key is None or is_neutral(times_cofactor(key)):
        raise RoomkeyError("invalid-key", "expected a key of a verifiable random function: a point not of low order")
    # 2.
    gamma, challenge, s = _decode_proof(proof)
    # 3.
    point = _encode_to_curve(public, alpha)
    u = combine([(s, BASE), (challenge, negate(key))])
    v = combine([(s, point), (challenge, negate(gamma))])
    if _challenge(public, encode(point), proof[:32], u, v) != challenge:
        raise _invalid("expected a proof by the service's key for this input")
    return _output(gamma)


def proof_to_hash(proof: bytes) -> bytes:
    """ECVRF_proof_to_hash (RFC 9381 section 5.2), for who made or verified the proof: 64 bytes.

    Errors: "log-proof-invalid".
    """
    return _output(_decode_proof(proof)[0])


def index_of(output: bytes) -> bytes:
    """An identity's place in the map: the first 32 bytes of the output."""
    return output[:INDEX_SIZE]


def _expand(secret: bytes) -> tuple[int, bytes]:
    """The secret scalar, and what nonces are made of (RFC 8032 section 5.1.5)."""
    if len(secret) != 32:
        raise RoomkeyError("bad-argument", f"expected a secret of 32 bytes, got {len(secret)}")
    digest = hashlib.sha512(secret).digest()
    low = int.from_bytes(digest[:32], "little")
    return low & (1 << 254) - 8 | 1 << 254, digest[32:]


def _times(crypto: CryptoProvider, scalar: int, point: Point) -> Point:
    return multiply_secret(scalar, point, crypto.random(BLINDING_SIZE))


def _encode_to_curve(salt: bytes, alpha: bytes) -> Point:
    """ECVRF_encode_to_curve_try_and_increment (section 5.4.1.1): a point of prime order; half of all tries hit."""
    for counter in range(256):
        data = _SUITE + b"\x01" + salt + alpha + bytes((counter,)) + b"\x00"
        point = decode(hashlib.sha512(data).digest()[:32])
        if point is not None and not is_neutral(cleared := times_cofactor(point)):
            return cleared
    raise _invalid("expected an input that gives a point within 256 tries")


def _challenge(public: bytes, h: bytes, gamma: bytes, u: Point, v: Point) -> int:
    """ECVRF_challenge_generation (section 5.4.3), 128 bits."""
    data = _SUITE + b"\x02" + public + h + gamma + encode(u) + encode(v) + b"\x00"
    return int.from_bytes(hashlib.sha512(data).digest()[:_CHALLENGE_SIZE], "little")


def _decode_proof(proof: bytes) -> tuple[Point, int, int]:
    if len(proof) != PROOF_SIZE:
        raise _invalid(f"expected a proof of {PROOF_SIZE} bytes, got {len(proof)}")
    gamma, s = decode(proof[:32]), int.from_bytes(proof[48:], "little")
    if gamma is None or s >= ORDER:
        raise _invalid("expected a point and a scalar in their one form")
    return gamma, int.from_bytes(proof[32:48], "little"), s


def _output(gamma: Point) -> bytes:
    return hashlib.sha512(_SUITE + b"\x03" + encode(times_cofactor(gamma)) + b"\x00").digest()


def _invalid(text: str) -> RoomkeyError:
    return RoomkeyError("log-proof-invalid", text)
