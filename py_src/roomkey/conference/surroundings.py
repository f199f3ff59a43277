"""What a conference has from its client: storage and time, ways to services, and who decides what it cannot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from roomkey.conference import records
from roomkey.conference.changes import Changes
from roomkey.conference.events import Member
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.federation.fanout import Routes
from roomkey.federation.proof import VerifiedInitKeySet
from roomkey.host.interface import Store
from roomkey.mls.group import Group, JoinKeys
from roomkey.mls.joining import Joined
from roomkey.mls.leaf_node import LeafNode
from roomkey.mls.successor import Agreed


class Admission(Protocol):
    """Decides who a leaf is and whether that is proved (wire.md section 3, step 5)."""

    async def admit(self, group: Group, leaves: Sequence[tuple[int, LeafNode]], changes: Changes) -> list[Member]:
        """The members at these leaves; what is learnt of them (pins) goes into `changes`.

        Errors: "untrusted-identity", "identity-changed", "identity-mismatch", "unsupported-credential", "downgrade" and
        more.
        """
        ...

    async def unlisted(self, members: Sequence[Member]) -> list[int]:
        """The leaves of members whom their own manifest, as it was proved last, no longer lists. Asks nobody."""
        ...

    async def known(self, identity: str) -> bool:
        """Whether we have met this person (canonical)."""
        ...


class Gossip(Protocol):
    """What members show each other of the logs of their keys (client/gossiping.py)."""

    async def heads(self, identities: Sequence[str]) -> bytes:
        """What we show members of these identities, as authenticated data; empty for nothing."""
        ...

    def heard(self, data: bytes, by: str, identities: Sequence[str], *, accepted: bool) -> None:
        """Takes the authenticated data of a message by the member of an identity; `identities` are all members'.
        `accepted`: it is of a conference that we accepted. Never fails.
        """
        ...


class Outbox(Protocol):
    """Durable deliveries (client/outbox.py)."""

    def put(self, changes: Changes, deliveries: Sequence[records.Delivery]) -> None:
        """Adds deliveries to a transaction."""
        ...

    def wake(self) -> None:
        """Sends what is waiting; call it once the transaction stands."""
        ...


class OpenedWelcome(Protocol):
    """A Welcome for one of our published KeyPackages, to a group that follows on one of ours."""

    @property
    def last_resort(self) -> bool: ...

    async def join(self, former: Sequence[Group], again: Agreed) -> Joined:
        """The group, proved by `mls.joining` to follow on one of these, with its members compared by client. `again` as
        for `mls.successor.check_successor`.

        Errors: `mls.joining.join`'s.
        """
        ...

    def use_up(self, changes: Changes, *, joined: bool) -> None:
        """Adds to a transaction that the KeyPackage is used up, with its leaf key unless we `joined` the group; call
        `used_up` once it stands.
        """
        ...

    def used_up(self) -> None: ...


class Heirs(Protocol):
    """What a conference needs of its client to go on in another group (client/heirs.py)."""

    async def keys(
        self, people: Sequence[Member], suite: int
    ) -> tuple[dict[bytes, VerifiedInitKeySet], RoomkeyError | None]:
        """Fresh proved sets of these clients, by client id, for a group of the suite; and why somebody has none. What
        is not used is to be released.
        """
        ...

    def use(self, sets: Iterable[VerifiedInitKeySet], changes: Changes) -> None:
        """Marks sets as used, in the transaction that uses them."""
        ...

    def release(self) -> None:
        """Lets others have the sets that were not used."""
        ...

    async def own(self, suite: int) -> JoinKeys:
        """A KeyPackage of ours that nobody else sees."""
        ...

    def welcome(self, data: bytes) -> AbstractAsyncContextManager[OpenedWelcome]:
        """Opens a Welcome; no other uses up a set meanwhile. Errors: "welcome-not-for-us"."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What a conference has from its client."""

    store: Store
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    routes: Callable[[], Routes]
    spawn: Callable[[Callable[[], Awaitable[None]]], None]  # background work; it ends with the client
    admission: Admission
    outbox: Outbox
    heirs: Heirs
    gossip: Gossip
    own_client: bytes
    outlives: Callable[[bytes], bool]  # whether the private key of this public one is needed beside a conference

    @property
    def crypto(self) -> CryptoProvider:
        return self.store.crypto
