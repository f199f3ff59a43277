"""Whether a public key may be used at all: checked once, when a key is admitted, not at every use.

1. Ed25519 keys are canonical (y below p, no negative zero) points of prime order. Libraries disagree about signatures
   under all others, so such a key could split a group into those who accept a message and those who do not.
2. X25519 keys are not of low order (RFC 7748 section 6.1), in no encoding: such a key gives everyone the same secret.
3. P-256 keys are uncompressed points on the curve (SEC 1 section 3.2.2); its order is prime, so nothing else is needed.
4. Hybrid keys are an ML-KEM-768 key whose coefficients are below q (FIPS 203 section 7.2), and an X25519 key as in 2.

All of this is work on public values, so it need not take constant time. Errors of all functions: "invalid-key".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from roomkey.crypto import edwards, hybrid_kem
from roomkey.crypto.provider import CryptoProvider, DhItem, KeyPair
from roomkey.crypto.suites import Group, Scheme
from roomkey.errors import RoomkeyError

# Admitted Ed25519 keys cost a Diffie-Hellman each, so this many are remembered: the members of several large groups.
REMEMBERED: Final = 4096

_P: Final = edwards.FIELD

# The private key of `_of_prime_order`, with its public key: the base point's inverse has the same u coordinate.
_MINUS_ONE: Final = KeyPair((9).to_bytes(32, "little"), (5 * edwards.ORDER - 1).to_bytes(32, "little"))

# u coordinates of the points of low order on Curve25519 and its twist: orders 4, 1 and 2, 8, 8, 4.
_LOW_ORDER_U: Final = frozenset({
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    _P - 1,
})  # fmt: skip

_P256_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_P256_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

_admitted: dict[bytes, None] = {}  # Ed25519 keys, oldest first


async def admit_signature_keys(crypto: CryptoProvider, keys: Iterable[tuple[Scheme, bytes]]) -> None:
    """Refuses signature keys one of which is not of the form above; one Diffie-Hellman for each new Ed25519 key."""
    new: dict[bytes, None] = {}
    for scheme, public in keys:
        if scheme != "ed25519":
            _require(scheme, _on_p256(public))
        elif public not in _admitted:
            new[public] = None
    for good in await _of_prime_order(crypto, list(new)):
        _require("ed25519", good)
    _admitted.update(new)
    while len(_admitted) > REMEMBERED:
        del _admitted[next(iter(_admitted))]


def _require(scheme: Scheme, good: bool) -> None:
    if not good:
        raise RoomkeyError("invalid-key", f"signature key: expected a valid {scheme} key, got another")


def admit_dh_key(group: Group, public: bytes) -> None:
    """Refuses an init or encryption key that is not of the form above."""
    if not _GOOD_DH_KEY[group](public):
        raise RoomkeyError("invalid-key", f"encryption key: expected a valid {group} key, got another")


async def _of_prime_order(crypto: CryptoProvider, keys: Sequence[bytes]) -> list[bool]:
    """Whether each Ed25519 key is canonical and of prime order L, by one X25519 of the host.

    X25519 is that curve in other coordinates (RFC 7748 section 4.1), where a point and its inverse have one u. The
    scalar 5L-1 is as X25519 wants them: 2^254 <= 5L-1 < 2^255, a multiple of 8. It leaves u unchanged

    - for points of order L, which it takes to their inverse;
    - for no other point P of the curve, whose order divides 8L: (5L-1)P = P means that P's order divides 5L-2, which
      has no factor in common with 8L, and (5L-1)P = -P that it divides 5L and so L;
    - for no u that is not on the curve: such a u is on the twist, whose order 2(p+1)-8L is four times a prime, and
      neither 5L-2 nor 5L has a factor in common with that.
    """
    ys = {key: y for key in keys if (y := edwards.y_of(key)) is not None}
    batch = [DhItem("X25519", _MINUS_ONE, u.to_bytes(32, "little")) for u in _us(list(ys.values()))]
    shared = await crypto.dh(batch)
    good = {key: secret == item.peer for key, item, secret in zip(ys, batch, shared, strict=True)}
    return [good.get(key, False) for key in keys]


def _us(ys: Sequence[int]) -> list[int]:
    """u = (1+y)/(1-y) of each, none of which is 1; one inversion for all, since it takes longer than the rest."""
    products = [1]
    for y in ys:
        products.append(products[-1] * (1 - y) % _P)
    inverse = pow(products.pop(), -1, _P)  # of the product of all that are left
    us: list[int] = []
    for y, before in zip(reversed(ys), reversed(products), strict=True):
        us.append((1 + y) * inverse * before % _P)
        inverse = inverse * (1 - y) % _P
    return us[::-1]


def _is_not_low_order(public: bytes) -> bool:
    # the top bit is ignored and values at or above p wrap around (RFC 7748 section 5), so compare what is left
    return len(public) == 32 and (int.from_bytes(public, "little") & (2**255 - 1)) % _P not in _LOW_ORDER_U


def _is_good_hybrid(public: bytes) -> bool:
    return hybrid_kem.is_reduced(public) and _is_not_low_order(public[hybrid_kem.ML_KEM_PUBLIC :])


def _on_p256(public: bytes) -> bool:
    if len(public) != 65 or public[0] != 4:
        return False
    x, y = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    return x < _P256_P and y < _P256_P and (y * y - (x * x * x - 3 * x + _P256_B)) % _P256_P == 0


_GOOD_DH_KEY: Final[Mapping[Group, Callable[[bytes], bool]]] = {
    "X25519": _is_not_low_order,
    "P-256": _on_p256,
    "MLKEM768-X25519": _is_good_hybrid,
}
