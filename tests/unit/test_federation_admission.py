"""Which public keys are admitted. The curve here is affine and slow: another way to the same answers."""

from __future__ import annotations

import pytest
from roomkey.crypto import admission
from roomkey.crypto.admission import admit_dh_key, admit_signature_key
from roomkey.crypto.provider import DhItem
from roomkey.crypto.suites import Group, Scheme
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
Affine = tuple[int, int]


def add(one: Affine, two: Affine) -> Affine:
    (x1, y1), (x2, y2) = one, two
    m = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + m, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - m, -1, P) % P


def encode(point: Affine) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decode(data: bytes) -> Affine:
    point = admission._decompress(data)
    assert point is not None
    return point[0], point[1]


# A point of order 8 (RFC 7748's curve has eight of small order); its multiples are all of them.
EIGHT = decode(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
TORSION: list[Affine] = [(0, 1)]
while len(TORSION) < 8:
    TORSION.append(add(TORSION[-1], EIGHT))

NON_CANONICAL = [
    (1 | 1 << 255).to_bytes(32, "little"),  # negative zero at y = 1
    (P - 1 | 1 << 255).to_bytes(32, "little"),  # and at y = -1
    *((P + small).to_bytes(32, "little") for small in range(19)),  # y at or above p
]


def refused(scheme: Scheme, key: bytes) -> bool:
    try:
        admit_signature_key(scheme, key)
    except RoomkeyError as error:
        return error.code == "invalid-key"
    return False


def refused_dh(group: Group, key: bytes) -> bool:
    try:
        admit_dh_key(group, key)
    except RoomkeyError as error:
        return error.code == "invalid-key"
    return False


def test_the_torsion_is_what_it_should_be() -> None:
    assert add(TORSION[-1], EIGHT) == (0, 1)
    assert len(set(TORSION)) == 8


async def test_ed25519_keys_of_every_order() -> None:
    for pair in await NativeCrypto().generate_keys("ed25519", 8):
        admit_signature_key("ed25519", pair.public)
        point = decode(pair.public)
        for torsion in TORSION[1:]:
            assert refused("ed25519", encode(add(point, torsion)))  # mixed order
    for torsion in TORSION:
        assert refused("ed25519", encode(torsion))  # low order


@pytest.mark.parametrize("key", NON_CANONICAL)
def test_ed25519_non_canonical(key: bytes) -> None:
    assert refused("ed25519", key)


def test_ed25519_that_are_no_points() -> None:
    assert refused("ed25519", (2).to_bytes(32, "little"))
    for size in (0, 31, 33, 65):
        assert refused("ed25519", bytes(size))


async def test_x25519_low_order_in_every_encoding() -> None:
    for pair in await NativeCrypto().generate_keys("X25519", 20):
        admit_dh_key("X25519", pair.public)
    for y in {point[1] for point in TORSION}:
        u = 0 if y == 1 else (1 + y) * pow(1 - y, -1, P) % P  # the birational map of RFC 7748 section 4.1
        for value in (u, u + P) if u < 19 else (u,):
            for top in (0, 1 << 255):
                assert refused_dh("X25519", (value | top).to_bytes(32, "little"))
    for twist in (P - 1, 1, 0):
        assert refused_dh("X25519", twist.to_bytes(32, "little"))
    for size in (0, 31, 33):
        assert refused_dh("X25519", b"\x09" * size)


async def test_the_host_agrees_on_low_order() -> None:
    crypto = NativeCrypto()
    (pair,) = await crypto.generate_keys("X25519", 1)
    keys = [u.to_bytes(32, "little") for u in admission._LOW_ORDER_U]
    assert await crypto.dh([DhItem("X25519", pair, key) for key in keys]) == [None] * 5


async def test_p256() -> None:
    for pair in await NativeCrypto().generate_keys("P-256", 5):
        admit_dh_key("P-256", pair.public)
        admit_signature_key("ecdsa_secp256r1_sha256", pair.public)
        off = pair.public[:-1] + bytes([pair.public[-1] ^ 1])
        compressed, other_tag = b"\x02" + pair.public[1:33], b"\x05" + pair.public[1:]
        for bad in (off, pair.public[:64], compressed, other_tag, b"\x04" + bytes(64), b""):
            assert refused_dh("P-256", bad)
            assert refused("ecdsa_secp256r1_sha256", bad)
