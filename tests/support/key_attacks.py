"""Attacks on init keys, by their ids: what stands in the place of somebody's set, and what must come of it.

Some are made by the service, which can alter and exchange; some by a client with another engine, which signs what it
likes. A test plays each through a proxy before a real service, natively and in the page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from roomkey.crypto.provider import KeyHandle, KeyPair
from roomkey.crypto.signatures import from_der, to_der
from roomkey.crypto.suites import Scheme, suite_by_number
from roomkey.federation import messages
from roomkey.federation.delivery_messages import init_key_bundles
from roomkey.federation.init_keys import ClientKeys, InitKeySet, InitKeySetBundle, make_init_key_sets, set_id
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.credential import Credential
from roomkey.mls.extensions import Extension
from roomkey.mls.key_package import KeyPackage, make_key_package
from roomkey.mls.leaf_node import Capabilities, Lifetime, own_capabilities
from roomkey.tls import opaque

from tests.support.native_people import ALL_SUITES, Publisher, run
from tests.support.odd_keys import ODD_KEYS, OddSigner

DAY = 86400.0
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ECDSA: Scheme = "ecdsa_secp256r1_sha256"
FETCHED = "fetched"

_bytes = opaque()

# From the encoding of somebody's bundle to what is answered instead.
Forged = Callable[[bytes], bytes]
Forge = Callable[[Publisher], Forged]


@dataclass(frozen=True)
class Attack:
    """One attack on the keys of one person in an answer for two.

    Args:
        how: what is done, as a test's name.
        forge: makes the answer; what a dishonest client signs is made before.
        code: what comes of it for that person.
        step: of `federation.proof`, where one of them refuses.
        other: what comes of it for the other person of the same answer.
        met: whether the victim knows the person before.
        scheme: of the person's credential.
    """

    id: str
    how: str
    forge: Forge
    code: str
    step: int | None = None
    other: str = FETCHED
    met: bool = False
    scheme: Scheme = "ed25519"

    @property
    def name(self) -> str:
        return f"{self.id} {self.how}"


def altered(body: bytes, identity: str, forged: Forged) -> bytes:
    """The body of a claim's answer with one person's bundle altered, whatever becomes of its encoding."""
    encoded = [bundle.encode() for bundle in init_key_bundles.decode(body)]
    name = len(identity).to_bytes(2, "big") + identity.encode()
    return _bytes.encode(b"".join(forged(one) if one.startswith(name) else one for one in encoded))


# -- what a service can do --


def by_the_service(change: Callable[[InitKeySet], InitKeySet]) -> Forge:
    def forge(_: Publisher) -> Forged:
        def alter(data: bytes) -> bytes:
            bundle = InitKeySetBundle.decode(data)
            return bundle.replace(set=change(bundle.set)).encode()

        return alter

    return forge


def by_the_bytes(change: Callable[[InitKeySet, bytes], tuple[bytes, bytes]]) -> Forge:
    """A piece of the set's encoding, once in it, for another."""

    def forge(_: Publisher) -> Forged:
        def alter(data: bytes) -> bytes:
            old, new = change(InitKeySetBundle.decode(data).set, data)
            assert data.count(old) == 1
            return data.replace(old, new)

        return alter

    return forge


def _suites(item: InitKeySet, change: Callable[[bytes], bytes]) -> tuple[bytes, bytes]:
    """The index's list of suites with its length, and the id before it, which makes it unique."""
    listed = b"".join(suite.to_bytes(2, "big") for suite in item.user_init_key.cipher_suites)
    before = b"\x20" + item.set_id
    new = change(listed)
    return before + bytes([len(listed)]) + listed, before + bytes([len(new)]) + new


def _init_keys(item: InitKeySet, change: Callable[[tuple[bytes, ...]], Sequence[bytes]]) -> tuple[bytes, bytes]:
    """The index's list of init keys with its lengths."""

    def encoded(keys: Sequence[bytes]) -> bytes:
        data = b"".join(len(key).to_bytes(2, "big") + key for key in keys)
        return len(data).to_bytes(2, "big") + data

    keys = item.user_init_key.init_keys
    return encoded(keys), encoded(change(keys))


def suites_as(change: Callable[[bytes], bytes]) -> Forge:
    return by_the_bytes(lambda item, _: _suites(item, change))


def init_keys_as(change: Callable[[tuple[bytes, ...]], Sequence[bytes]]) -> Forge:
    return by_the_bytes(lambda item, _: _init_keys(item, change))


def signature_as(change: Callable[[bytes], bytes]) -> Forge:
    return by_the_service(
        lambda item: item.replace(
            user_init_key=item.user_init_key.replace(signature=change(item.user_init_key.signature))
        )
    )


def first_package(change: Callable[[KeyPackage], KeyPackage]) -> Forge:
    return by_the_service(
        lambda item: item.replace(key_packages=(change(item.key_packages[0]), *item.key_packages[1:]))
    )


# -- what a client can sign --


def published(**options: Any) -> Forge:
    """Another set of that person, as `Publisher.sets` makes it."""

    def forge(person: Publisher) -> Forged:
        (item,) = person.sets(**options)
        return lambda data: InitKeySetBundle.decode(data).replace(set=item).encode()

    return forge


def signed(change: Callable[[InitKeySet], Sequence[KeyPackage]], **index: Any) -> Forge:
    """KeyPackages of the person's own choice under a true index, some fields of which are as the person likes."""

    def forge(person: Publisher) -> Forged:
        keys = person.person.keys
        (item,) = person.sets()
        forged = run(_reindexed(person.person.crypto, keys, item, change(item), **index))
        return lambda data: InitKeySetBundle.decode(data).replace(set=forged).encode()

    return forge


async def _reindexed(
    crypto: NativeCrypto, keys: ClientKeys, item: InitKeySet, packages: Sequence[KeyPackage], **index: Any
) -> InitKeySet:
    fields = {"user_init_key_id": set_id(packages), "init_keys": tuple(one.init_key for one in packages)} | index
    unsigned = item.user_init_key.replace(**fields)
    (key,) = await messages.sign(crypto, [(unsigned, keys.pairs[keys.scheme])])
    return InitKeySet(key, tuple(packages))


def package_of(**changes: Any) -> Forge:
    """The first KeyPackage made anew by its owner, some arguments changed; `twice` uses one pair for both its keys."""

    def forge(person: Publisher) -> Forged:
        crypto, keys = person.person.crypto, person.person.keys

        async def make() -> InitKeySet:
            (item,) = [made.set for made in await make_init_key_sets(crypto, keys, ALL_SUITES, 1, time.time())]
            init, encryption = await crypto.generate_keys("X25519", 2)
            now = int(time.time())
            arguments: dict[str, Any] = {
                "init": init, "encryption": encryption, "lifetime": Lifetime(now - 60, now + 3600),
                "capabilities": own_capabilities(ALL_SUITES),
            } | {name: value(now) if callable(value) else value for name, value in changes.items()}  # fmt: skip
            if arguments.pop("twice", False):
                arguments["encryption"] = arguments["init"]
            name = Credential.basic(keys.identity.encode())
            package = await make_key_package(crypto, suite_by_number(1), name, keys.pairs["ed25519"], **arguments)
            return await _reindexed(crypto, keys, item, (package, *item.key_packages[1:]))

        forged = run(make())
        return lambda data: InitKeySetBundle.decode(data).replace(set=forged).encode()

    return forge


def under_an_odd_key(what: str) -> Forge:
    """A set for Ed25519 suites, all of it signed by a credential key that must not be used."""

    def forge(person: Publisher) -> Forged:
        signer = OddSigner(person.person.crypto, *ODD_KEYS[what])
        keys = person.person.keys._replace(pairs={"ed25519": signer.pair})
        ((made),) = run(make_init_key_sets(signer, keys, (1, 3), 1, time.time()))
        return lambda data: InitKeySetBundle.decode(data).replace(set=made.set).encode()

    return forge


# -- the pieces of the table --


def _key(public: bytes) -> KeyPair:
    return KeyPair(public, KeyHandle("none"))


def _mark(content: bytes) -> tuple[Extension, ...]:
    return (Extension(0x000A, content),)


def _marked(item: InitKeySet, contents: Sequence[bytes | None]) -> list[KeyPackage]:
    """The set's KeyPackages with last-resort marks; their own signatures do not matter where the marks are wrong."""
    return [
        package.replace(extensions=() if content is None else _mark(content))
        for package, content in zip(item.key_packages, contents, strict=True)
    ]


def _high_s(signature: bytes) -> bytes:
    raw = from_der(signature)
    assert raw is not None
    return to_der(raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big"))


def _padded(signature: bytes) -> bytes:
    """r with a zero too many before it."""
    size = signature[3]
    body = bytes([0x02, size + 1, 0]) + signature[4 : 4 + size] + signature[4 + size :]
    return bytes([0x30, len(body)]) + body


def _long_form(signature: bytes) -> bytes:
    return bytes([0x30, 0x81, len(signature) - 2]) + signature[2:]


K: list[Attack] = [
    Attack("K1", "expired", published(made=-40 * DAY, lifetime=30 * DAY), "keys-expired", 6),
    Attack("K1", "not yet valid", published(made=2 * DAY), "keys-not-yet-valid", 6),
    Attack("K1", "valid for too long", published(lifetime=400 * DAY), "lifetime-too-long", 6),
    Attack(
        "K1", "begins after its end", package_of(lifetime=lambda now: Lifetime(now + 60, now - 60)),
        "invalid-key-package", 6,
    ),
    Attack("K4", "init key and encryption key are one", package_of(twice=True), "invalid-index", 3),
    Attack("K4", "an init key that makes every secret zero", package_of(init=_key(bytes(32))), "invalid-key", 6),
    Attack("K4", "an encryption key of low order", package_of(encryption=_key(b"\1" + bytes(31))), "invalid-key", 6),
    *(
        Attack("K5", f"a credential key {what}", under_an_odd_key(what), code, step)
        for what, code, step in (
            ("of mixed order", "invalid-key", 6),
            ("of low order", "invalid-signature", 2),
            ("that is the neutral element", "invalid-signature", 2),
            ("that is not canonical", "invalid-signature", 2),
        )
    ),
    Attack("K6", "ECDSA with n - s is as good", signature_as(_high_s), FETCHED, scheme=ECDSA),
    Attack("K6", "ECDSA with a padded number", signature_as(_padded), "invalid-signature", 2, scheme=ECDSA),
    Attack("K6", "ECDSA with a length in long form", signature_as(_long_form), "invalid-signature", 2, scheme=ECDSA),
    Attack("K6", "ECDSA with a byte behind", signature_as(lambda s: s + b"\0"), "invalid-signature", 2, scheme=ECDSA),
    Attack("K9", "a mark in one of the set", signed(lambda item: _marked(item, (b"", None, None))), "invalid-index", 3),
    Attack("K9", "marks with content", signed(lambda item: _marked(item, (b"\0",) * 3)), "invalid-index", 3),
    Attack("K9", "a mark that the service put there", first_package(lambda p: p.replace(extensions=_mark(b""))),
           "invalid-index", 3),
]  # fmt: skip

D: list[Attack] = [
    Attack("D2", "exhausted, and the last resort is of a weaker suite", published(suites=(2,), last_resort=True),
           "suite-withheld", 5, met=True),
    Attack("D2", "exhausted, and the last resort is as good", published(last_resort=True), FETCHED, met=True),
    Attack("D4", "a version that the service wrote", first_package(lambda p: p.replace(version=2)), "invalid-index", 3),
    Attack("D4", "all of another version", signed(lambda item: [p.replace(version=2) for p in item.key_packages]),
           "no-common-suite", 4),
    Attack("D4", "a leaf that does not list the version", package_of(capabilities=Capabilities((2,), (1, 2, 3))),
           "invalid-key-package", 6),
    Attack("D5", "a key too short for its suite", init_keys_as(lambda keys: (keys[0][:31], *keys[1:])),
           "service-error", other="service-error"),
    Attack("D5", "a key of another suite's length", init_keys_as(lambda keys: (keys[2], *keys[1:])), "service-error",
           other="service-error"),
    Attack("D6", "a suite less than keys", suites_as(lambda listed: listed[2:]), "service-error",
           other="service-error"),
    Attack("D6", "a suite twice", suites_as(lambda listed: listed[:2] * 2 + listed[4:]), "service-error",
           other="service-error"),
    Attack("D6", "half a suite", suites_as(lambda listed: listed[:-1]), "service-error", other="service-error"),
    Attack("D7", "a number of the other list", suites_as(lambda listed: listed[:4] + b"\0\2"), "service-error",
           other="service-error"),
    Attack("D7", "numbers that fit other key packages", signed(lambda item: item.key_packages, cipher_suites=(3, 1, 0)),
           "invalid-index", 3),
]  # fmt: skip
