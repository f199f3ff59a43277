"""Which public keys are admitted. The curve here is affine and slow: another way to the same answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from roomkey.crypto import admission
from roomkey.crypto.admission import admit_dh_key, admit_signature_keys
from roomkey.crypto.provider import DhItem
from roomkey.crypto.suites import Group, Scheme
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto

from tests.support.edwards import BASE, EIGHT, TORSION, D, L, P, add, decode, encode, multiply

NON_CANONICAL = [
    (1 | 1 << 255).to_bytes(32, "little"),  # negative zero at y = 1
    (P - 1 | 1 << 255).to_bytes(32, "little"),  # and at y = -1
    *((P + small).to_bytes(32, "little") for small in range(19)),  # y at or above p
]


async def refused(scheme: Scheme, key: bytes) -> bool:
    try:
        await admit_signature_keys(NativeCrypto(), [(scheme, key)])
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
        await admit_signature_keys(NativeCrypto(), [("ed25519", pair.public)])
        point = decode(pair.public)
        for torsion in TORSION[1:]:
            assert await refused("ed25519", encode(add(point, torsion)))  # mixed order
    for torsion in TORSION:
        assert await refused("ed25519", encode(torsion))  # low order


@pytest.mark.parametrize("key", NON_CANONICAL)
async def test_ed25519_non_canonical(key: bytes) -> None:
    assert await refused("ed25519", key)


async def test_ed25519_that_are_no_points() -> None:
    assert await refused("ed25519", (2).to_bytes(32, "little"))
    for size in (0, 31, 33, 65):
        assert await refused("ed25519", bytes(size))


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
        await admit_signature_keys(NativeCrypto(), [("ecdsa_secp256r1_sha256", pair.public)])
        off = pair.public[:-1] + bytes([pair.public[-1] ^ 1])
        compressed, other_tag = b"\x02" + pair.public[1:33], b"\x05" + pair.public[1:]
        for bad in (off, pair.public[:64], compressed, other_tag, b"\x04" + bytes(64), b""):
            assert refused_dh("P-256", bad)
            assert await refused("ecdsa_secp256r1_sha256", bad)


async def test_prime_order_as_by_scalar_multiplication() -> None:
    """The host's X25519 against multiplication by the order, for every class of torsion and y that are on no point."""
    crypto = NativeCrypto()
    points = [multiply(BASE, scalar) for scalar in (1, L - 1, 2**200 + 3)]
    for point in points:
        keys = [add(point, low) for low in TORSION]
        prime = [multiply(key, L) == (0, 1) for key in keys]
        assert prime == [True] + [False] * 7
        assert await admission._of_prime_order(crypto, [encode(key) for key in keys]) == prime
    twist = [y.to_bytes(32, "little") for y in range(2, 60) if not on_curve(y)]
    assert len(twist) > 10
    assert await admission._of_prime_order(crypto, twist) == [False] * len(twist)


def on_curve(y: int) -> bool:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    return pow(square, (P - 1) // 2, P) == 1


async def test_one_bad_key_among_good_ones_and_no_bad_one_remembered() -> None:
    crypto = CountingCrypto()
    pairs = await crypto.generate_keys("ed25519", 3)
    good: list[tuple[Scheme, bytes]] = [("ed25519", pair.public) for pair in pairs]
    bad = encode(add(decode(pairs[0].public), EIGHT))
    for _ in range(2):
        with pytest.raises(RoomkeyError) as refusal:
            await admit_signature_keys(crypto, [*good[:2], ("ed25519", bad), good[2]])
        assert refusal.value.code == "invalid-key"
        assert crypto.asked.pop() == 4  # nothing of a refused batch counts as admitted
    await admit_signature_keys(crypto, [*good, *good])
    assert crypto.asked.pop() == 3  # each once
    await admit_signature_keys(crypto, good)
    assert crypto.asked.pop() == 0  # and once for all


async def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "REMEMBERED", 2)
    monkeypatch.setattr(admission, "_admitted", {})
    crypto = CountingCrypto()
    keys: list[tuple[Scheme, bytes]] = [("ed25519", pair.public) for pair in await crypto.generate_keys("ed25519", 3)]
    await admit_signature_keys(crypto, keys)
    await admit_signature_keys(crypto, keys[1:])
    await admit_signature_keys(crypto, keys[:1])
    assert crypto.asked == [3, 0, 1]


class CountingCrypto(NativeCrypto):
    """Notes how many Diffie-Hellmans each call asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def dh(self, items: Sequence[DhItem]) -> list[bytes | None]:
        self.asked.append(len(items))
        return await super().dh(items)
