"""Clients with keys of their own."""

from __future__ import annotations

from roomkey.crypto.suites import Scheme
from roomkey.federation.calls import ClientKey
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.init_keys import LIFETIME, ClientKeys, InitKeySet, make_client_keys, make_init_key_sets
from roomkey.host.interface import Host
from roomkey.host.native_crypto import NativeCrypto


class Person:
    """One client: its keys, and a way to make sets."""

    def __init__(self, crypto: NativeCrypto, keys: ClientKeys) -> None:
        self.crypto, self.keys = crypto, keys

    @property
    def signer(self) -> ClientKey:
        return ClientKey(self.crypto, self.keys.scheme, self.keys.pairs[self.keys.scheme], self.keys.identity)

    async def sets(
        self,
        now: float,
        count: int = 1,
        *,
        suites: tuple[int, ...] = (1, 3),
        last_resort: bool = False,
        lifetime: float = LIFETIME,
    ) -> list[InitKeySet]:
        made = await make_init_key_sets(
            self.crypto, self.keys, suites, count, now, last_resort=last_resort, lifetime=lifetime
        )
        return [item.set for item in made]

    def at(self, host: Host, url: str) -> DeliveryService:
        return DeliveryService(host, url, self.signer)


async def person(identity: str, scheme: Scheme = "ed25519") -> Person:
    """A client that no service knows yet."""
    crypto = NativeCrypto()
    return Person(crypto, await make_client_keys(crypto, identity, scheme, (1, 2, 3)))
