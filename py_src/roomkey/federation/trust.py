"""Whether a proved key belongs to the identity: step 5 of `proof`, by policy where no transparency log decides (for
which `client.judging` has a policy of its own).

A policy is always an explicit object. It judges all clients of one identity that came together against the pin of that
contact, if there is one, and answers with the pin to keep. Pins name credential keys, and what each client offers:

1. A client that the pin does not list: `identity-changed`. People must agree first; to agree is to delete the pin.
2. A client that offers less than its pin lists: `suite-withheld`, because somebody may be holding the better keys back.
3. A pinned client that did not come is named in `absent`: a service can withhold a device, and people should see it.
4. What a client offers on top of its pin is added to the pin.
5. No pin yet: the policy decides. `FirstUse` pins what came; `PinnedOnly` refuses with `untrusted-identity`.

The caller keeps `Trust.pin` only when everything else was proved too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, Protocol

from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.federation import code_points
from roomkey.federation.client_leaf import ClientClaim
from roomkey.mls.version import MLS10
from roomkey.tls import U16, U64, Opaque, Struct, uint16, vector

VerifiedBy = Literal["transparency", "first-use", "pinned", "unsafe"]
_Numbers = Annotated[tuple[int, ...], vector(uint16)]


# struct {
#     SignatureScheme algorithm;
#     opaque public_key<V>;
#     ProtocolVersion versions<V>;
#     CipherSuite cipher_suites<V>;           /* RFC 9420 numbers */
# } ClientPin;
class ClientPin(Struct):
    """One client: its credential key, and the versions and suites it offers, of those that we know, in rising order."""

    algorithm: U16
    public_key: Opaque
    versions: _Numbers
    cipher_suites: _Numbers

    @classmethod
    def of(cls, claim: ClientClaim, versions: Iterable[int], suites: Iterable[int]) -> ClientPin:
        """What a set or a leaf shows of a client; GREASE and numbers unknown to us stay out."""
        known_versions = tuple(sorted(set(versions) & {MLS10}))
        algorithm = code_points.algorithm_of(claim.scheme)
        return cls(algorithm, claim.public_key, known_versions, tuple(sorted(set(suites) & set(SUITES))))

    @property
    def client_id(self) -> bytes:
        """SHA-256 of the credential's public key."""
        return hashlib.sha256(self.public_key).digest()


# struct { opaque identity<V>; uint64 since; ClientPin clients<V>; } ContactPin;
class ContactPin(Struct):
    """What we hold of a contact since the given time (Unix seconds)."""

    identity: Opaque
    since: U64
    clients: Annotated[tuple[ClientPin, ...], vector(ClientPin)]


class Trust(NamedTuple):
    """A policy's yes: by what, since when (Unix seconds), the pin to keep, the ids of pinned clients not seen now."""

    by: VerifiedBy
    since: int
    pin: ContactPin
    absent: tuple[bytes, ...] = ()


class TrustPolicy(Protocol):
    """Decides whether keys belong to an identity."""

    def judge(self, identity: str, pin: ContactPin | None, clients: Sequence[ClientPin], now: float) -> Trust:
        """A yes with its reason. Errors: "untrusted-identity", "identity-changed", "suite-withheld"."""
        ...


@dataclass(frozen=True)
class FirstUse:
    """Takes the first keys it sees of an identity for true, and holds every later answer to them."""

    def judge(self, identity: str, pin: ContactPin | None, clients: Sequence[ClientPin], now: float) -> Trust:
        if pin is not None:
            return judge_pinned(identity, pin, clients)
        return Trust("first-use", int(now), pin_of(identity, clients, now))


@dataclass(frozen=True)
class PinnedOnly:
    """Knows only contacts that were pinned before."""

    def judge(self, identity: str, pin: ContactPin | None, clients: Sequence[ClientPin], now: float) -> Trust:
        if pin is None:
            raise RoomkeyError("untrusted-identity", "contact: expected one that is pinned, got an unknown one")
        return judge_pinned(identity, pin, clients)


@dataclass(frozen=True)
class UnsafeTrustAnyone:
    """Believes every service about everyone. For tests of other layers; an active attacker reads all under it."""

    def judge(self, identity: str, pin: ContactPin | None, clients: Sequence[ClientPin], now: float) -> Trust:
        return Trust("unsafe", int(now), pin_of(identity, clients, now))


def pin_of(identity: str, clients: Sequence[ClientPin], now: float) -> ContactPin:
    """A fresh pin of exactly these clients."""
    return ContactPin(identity.encode("ascii"), max(0, int(now)), tuple(clients))


def judge_pinned(identity: str, pin: ContactPin, clients: Sequence[ClientPin]) -> Trust:
    """Rules 1 to 4 of this module. Errors: "identity-changed", "suite-withheld"."""
    if pin.identity != identity.encode("ascii"):
        raise RoomkeyError("bad-argument", "pin: expected this contact's, got another's")
    pinned = {client.public_key: client for client in pin.clients}
    for client in clients:
        known = pinned.get(client.public_key)
        if known is None or known.algorithm != client.algorithm:
            raise RoomkeyError("identity-changed", f"client: expected one of {len(pin.clients)} pinned, got another")
        for what, had, has in (
            ("version", known.versions, client.versions),
            ("suite", known.cipher_suites, client.cipher_suites),
        ):
            lacking = sorted(set(had) - set(has))
            if lacking:
                text = f"{what}: expected {list(had)} as pinned, got {list(has)}"
                raise RoomkeyError("suite-withheld", text, **{what: lacking[0]})
        pinned[client.public_key] = client
    seen = {client.public_key for client in clients}
    absent = tuple(client.client_id for client in pin.clients if client.public_key not in seen)
    return Trust("pinned", pin.since, pin.replace(clients=tuple(pinned.values())), absent)
