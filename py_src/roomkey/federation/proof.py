"""What a client proves of somebody's init-key sets before it uses them (wire.md section 3), in this order.

1. Names: the bundle's identity is the one asked for, canonical, and the credential's. `identity-mismatch`,
   `identity-not-canonical`, `unsupported-credential`
2. The UserInitKey's signature. `invalid-signature`
3. The index: id, counts, suites, init keys, identities and leaf keys (`index` numbers them); one set for each client.
   Unknown suites count here and are skipped below. `invalid-index`
4. Negotiation: the set and we have a suite in common. `no-common-suite`
5. The credential's key belongs to the identity, by the policy given (`trust`). `untrusted-identity`,
   `identity-changed`, `suite-withheld`
6. The KeyPackages of the suites in common: lifetimes (`keys-expired`, `keys-not-yet-valid`, `lifetime-too-long`),
   RFC 9420 sections 10.1 and 7.3 with both signatures and the client's word for its leaf key (`invalid-key-package`),
   and public keys that may be used (`invalid-key`).
7. The set was not seen before, unless it is a last resort. `replayed`

Errors carry the step's number in `details["step"]`. One false set spoils the whole answer: who altered one could as
well have dropped or added others. Nothing of it is then to be stored, the pin least of all.

The caller still owes: that the identity is the one that the person meant; keeping `trust.pin` and the set's id (until
`expires`) together with what it does next; and RFC 9420's rules that need the group, at the Add.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from roomkey.crypto.admission import admit_dh_key, admit_signature_keys
from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.federation import messages
from roomkey.federation.client_leaf import ClientClaim, vouched
from roomkey.federation.code_points import scheme_of
from roomkey.federation.identity import check_identity
from roomkey.federation.index import check_index
from roomkey.federation.init_keys import InitKeySet, InitKeySetBundle
from roomkey.federation.negotiation import Offer, choose, common
from roomkey.federation.trust import ClientPin, ContactPin, Trust, TrustPolicy
from roomkey.mls.key_package import KeyPackage, key_package_failures
from roomkey.mls.leaf_node import MAX_LIFETIME

T = TypeVar("T")


class UnverifiedInitKeySets(NamedTuple):
    """What a service answered for one identity. Only `prove` makes anything usable of it."""

    identity: str
    bundles: tuple[InitKeySetBundle, ...]


class Terms(NamedTuple):
    """What we hold an answer against.

    Args:
        now: Unix seconds.
        own: our own offer, less what local policy refuses.
        policy, pin: of step 5; the pin is that of the identity asked for.
        seen: ids of the sets that were used or refused as used before.
        max_lifetime: seconds from begin to end of a KeyPackage.
    """

    now: float
    own: Offer
    policy: TrustPolicy
    pin: ContactPin | None
    seen: Container[bytes] = frozenset()
    max_lifetime: float = MAX_LIFETIME


@dataclass(frozen=True, slots=True)
class VerifiedInitKeySet:
    """One client's set after all seven steps; made by `prove` alone. It is used once.

    Attributes:
        client: identity and credential key. set_id: 32 bytes, for the replay memory.
        offer: what the signed set offers. packages: KeyPackages by RFC 9420 suite, of the suites we have in common.
        expires: Unix seconds at which the first of them ends.
    """

    client: ClientClaim
    set_id: bytes
    offer: Offer
    packages: Mapping[int, KeyPackage]
    expires: int
    last_resort: bool

    def package_for(self, suite: int) -> KeyPackage:
        """The proved KeyPackage for a group of this suite. Errors: "no-common-suite"."""
        package = self.packages.get(suite)
        if package is None:
            text = f"expected suite {suite:#06x}, got {sorted(self.packages)}"
            raise RoomkeyError("no-common-suite", text, suite=suite)
        return package


class ProvedIdentity(NamedTuple):
    """One identity's clients, each with its proved set, and why they are believed to be that identity's."""

    identity: str
    sets: tuple[VerifiedInitKeySet, ...]
    trust: Trust


class _Candidate(NamedTuple):
    """A set between steps 3 and 7."""

    set: InitKeySet
    client: ClientClaim
    offer: Offer
    packages: Mapping[int, KeyPackage]


async def prove(crypto: CryptoProvider, answer: UnverifiedInitKeySets, terms: Terms) -> ProvedIdentity:
    """All seven steps over one identity's answer. Errors: "no-init-keys" for an empty one, and those listed above."""
    if not answer.bundles:
        raise RoomkeyError("no-init-keys", "bundles: expected one or more, got none")
    sets = [bundle.set for bundle in answer.bundles]
    _at(1, lambda: _check_names(answer))
    signatures = await messages.verify(crypto, [item.user_init_key for item in sets])
    _at(2, lambda: _check_signatures(signatures))
    _at(3, lambda: _check_indices(sets))
    candidates = _at(4, lambda: [_negotiate(item, terms.own) for item in sets])
    trust = _at(5, lambda: _judge(answer.identity, candidates, terms))
    failures = await _key_package_failures(crypto, candidates, terms)
    _at(6, lambda: _check_key_packages(candidates, failures, terms))
    await _admit(crypto, candidates)
    _at(7, lambda: _check_not_seen(sets, terms.seen))
    return ProvedIdentity(answer.identity, tuple(_verified(candidate) for candidate in candidates), trust)


def _at(step: int, check: Callable[[], T]) -> T:
    try:
        return check()
    except RoomkeyError as error:
        error.details["step"] = step
        raise


def _check_names(answer: UnverifiedInitKeySets) -> None:
    wanted = answer.identity.encode()
    check_identity(wanted)
    for bundle in answer.bundles:
        named = bundle.set.user_init_key.credential.require_basic().identity
        if not (bundle.identity == named == wanted):
            raise RoomkeyError("identity-mismatch", "bundle, credential: expected the identity asked for, got another")


def _check_signatures(good: Sequence[bool]) -> None:
    if not all(good):
        raise RoomkeyError("invalid-signature", "user_init_key: expected a signature by its credential's key")


def _check_indices(sets: Sequence[InitKeySet]) -> None:
    for item in sets:
        check_index(item)
    if len({item.user_init_key.credential for item in sets}) != len(sets):
        raise RoomkeyError("invalid-index", "bundles: expected one set for each client, got two of one")


def _negotiate(item: InitKeySet, own: Offer) -> _Candidate:
    basic = item.user_init_key.credential.require_basic()
    client = ClientClaim(basic.identity.decode("ascii"), scheme_of(basic.algorithm), basic.public_key)
    offer = Offer(client.identity, frozenset((p.version, p.cipher_suite) for p in item.key_packages))
    choose([own, offer])
    suites = common([own, offer])
    return _Candidate(item, client, offer, {p.cipher_suite: p for p in item.key_packages if p.cipher_suite in suites})


def _judge(identity: str, candidates: Sequence[_Candidate], terms: Terms) -> Trust:
    clients = [
        ClientPin.of(c.client, (version for version, _ in c.offer.pairs), (suite for _, suite in c.offer.pairs))
        for c in candidates
    ]
    return terms.policy.judge(identity, terms.pin, clients, terms.now)


def _check_key_packages(candidates: Sequence[_Candidate], failures: Sequence[RoomkeyError], terms: Terms) -> None:
    for candidate in candidates:
        for package in candidate.packages.values():
            check_lifetime(package, terms.now, terms.max_lifetime)
    for failure in failures:
        raise RoomkeyError("invalid-key-package", failure.text, rule=failure.details.get("rule")) from failure
    for candidate in candidates:
        for number, package in candidate.packages.items():
            admit_dh_key(SUITES[number].group, package.init_key)
            admit_dh_key(SUITES[number].group, package.leaf_node.encryption_key)


async def _admit(crypto: CryptoProvider, candidates: Sequence[_Candidate]) -> None:
    """The rest of step 6: the signature keys of all sets, in one call of the host."""
    keys = [(c.client.scheme, c.client.public_key) for c in candidates]
    keys += [(SUITES[n].scheme, p.leaf_node.signature_key) for c in candidates for n, p in c.packages.items()]
    try:
        await admit_signature_keys(crypto, keys)
    except RoomkeyError as error:
        error.details["step"] = 6
        raise


def check_lifetime(package: KeyPackage, now: float, max_lifetime: float) -> None:
    """Whether a KeyPackage's lifetime holds `now` and is not too long; all in seconds.

    Errors: "keys-expired", "keys-not-yet-valid", "lifetime-too-long", "invalid-key-package" (it has none, or one that
    ends before it begins).
    """
    lifetime = package.leaf_node.lifetime
    if lifetime is None or lifetime.not_after < lifetime.not_before:
        text = "lifetime: expected one that ends after it begins, got another"
        raise RoomkeyError("invalid-key-package", text, rule="leaf-lifetime")
    if now > lifetime.not_after:
        raise RoomkeyError("keys-expired", f"lifetime: expected its end after now, got {lifetime.not_after}")
    if now < lifetime.not_before:
        raise RoomkeyError("keys-not-yet-valid", f"lifetime: expected its begin before now, got {lifetime.not_before}")
    length = lifetime.not_after - lifetime.not_before
    if length > max_lifetime:
        raise RoomkeyError("lifetime-too-long", f"lifetime: expected at most {max_lifetime:.0f} seconds, got {length}")


async def _key_package_failures(
    crypto: CryptoProvider, candidates: Sequence[_Candidate], terms: Terms
) -> list[RoomkeyError]:
    """What is wrong with KeyPackages by RFC 9420, or with a client's word for its leaf; a few calls for all sets."""
    failures: list[RoomkeyError] = []
    for number in sorted({number for candidate in candidates for number in candidate.packages}):
        suite = SUITES[number]
        packages = [candidate.packages[number] for candidate in candidates if number in candidate.packages]
        found = await key_package_failures(crypto, suite, packages, terms.now, max_lifetime=terms.max_lifetime)
        failures += [failure for failure in found if failure is not None]
        for good in await vouched(crypto, suite, [package.leaf_node for package in packages]):
            if not good:
                text = "roomkey_client: expected the credential key's signature over the leaf's key"
                failures.append(RoomkeyError("invalid-signature", text, rule="roomkey-client"))
    return failures


def _check_not_seen(sets: Sequence[InitKeySet], seen: Container[bytes]) -> None:
    for item in sets:
        if not item.last_resort and item.set_id in seen:
            raise RoomkeyError("replayed", "set: expected one that was not delivered before, got one that was")


def _verified(candidate: _Candidate) -> VerifiedInitKeySet:
    item = candidate.set
    return VerifiedInitKeySet(
        candidate.client, item.set_id, candidate.offer, candidate.packages, item.expires, item.last_resort
    )
