"""Who we are: one identity's client, its signature keys, and the delivery services that it knows."""

from __future__ import annotations

from typing import Annotated

from roomkey.crypto.suites import Scheme
from roomkey.federation import code_points
from roomkey.federation.calls import ClientKey
from roomkey.federation.init_keys import ClientKeys, StoredPair
from roomkey.host.interface import Store
from roomkey.tls import U16, U32, Opaque, Struct, one_of, uint8, uint16, vector

ACCOUNT = "account"
ROUTES = "route/"

# AccountRecord.status
ENROLLING = 0  # the home service may or may not know us
ENROLLED = 1


class SchemePair(Struct):
    """A signature key pair; `algorithm` is the draft's SignatureScheme."""

    algorithm: U16
    pair: StoredPair


class AccountRecord(Struct):
    """`algorithm` is the credential's scheme; `suites` RFC 9420 numbers; `target` how many init-key sets to keep
    published.
    """

    status: Annotated[int, one_of(uint8, ENROLLING, ENROLLED)]
    identity: Opaque
    algorithm: U16
    pairs: Annotated[tuple[SchemePair, ...], vector(SchemePair)]
    suites: Annotated[tuple[int, ...], vector(uint16)]
    target: U32 = 0

    def client_keys(self) -> ClientKeys:
        pairs = {code_points.scheme_of(item.algorithm): item.pair.pair() for item in self.pairs}
        return ClientKeys(self.identity.decode("ascii"), code_points.scheme_of(self.algorithm), pairs)


class RouteRecord(Struct):
    """The address of the delivery service of one domain, which the record's name holds."""

    origin: Opaque


def new_account(keys: ClientKeys, suites: tuple[int, ...]) -> AccountRecord:
    def stored(scheme: Scheme) -> SchemePair:
        return SchemePair(code_points.algorithm_of(scheme), StoredPair.of(keys.pairs[scheme]))

    pairs = tuple(stored(scheme) for scheme in sorted(keys.pairs))
    return AccountRecord(ENROLLING, keys.identity.encode("ascii"), code_points.algorithm_of(keys.scheme), pairs, suites)


def request_key(store: Store, keys: ClientKeys) -> ClientKey:
    """What signs our requests to delivery services."""
    return ClientKey(store.crypto, keys.scheme, keys.pairs[keys.scheme], keys.identity)


async def stored_routes(store: Store) -> dict[str, str]:
    """The services that this identity used before: domain -> origin."""
    found = await store.list(ROUTES)
    return {name.removeprefix(ROUTES): RouteRecord.decode(data).origin.decode("ascii") for name, data in found}
