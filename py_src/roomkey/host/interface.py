"""What the core asks of the machine it runs on. `browser` and `native` are the two answers; nothing else names a host.

Times are Unix seconds as floats. Every coroutine may be cancelled; a cancelled `Store.write` has either happened
whole or not at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from roomkey.crypto.provider import CryptoProvider, KeyHandle


class HttpResponse(NamedTuple):
    """An answer of a delivery service. Header names are lower case; unexposed ones are absent in a browser."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpStream(Protocol):
    """A streamed answer: status and headers at once, then the body in pieces of any size."""

    status: int
    headers: Mapping[str, str]

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def close(self) -> None: ...


class Http(Protocol):
    """Requests to delivery services. Never follows redirects, never sends cookies."""

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float
    ) -> HttpResponse:
        """Errors: "service-unreachable", "origin-not-allowed" (the service runs and refuses this page's origin),
        "timeout".
        """
        ...

    async def stream(self, method: str, url: str, headers: Mapping[str, str], *, timeout: float) -> HttpStream:
        """As `request`, but the body arrives as it comes; `timeout` bounds the wait for the first byte of the head."""
        ...


class Store(Protocol):
    """One identity's durable state: named records and the private keys behind handles.

    Records are encrypted at rest, each under a fresh key of its own, so that a deleted record cannot be read back.
    While a store is open nobody else can open it.
    """

    @property
    def crypto(self) -> CryptoProvider:
        """The crypto whose handles this store keeps. A key made by it lasts only once `write` was told to keep it."""
        ...

    async def get(self, name: str) -> bytes | None: ...

    async def list(self, prefix: str) -> list[tuple[str, bytes]]:
        """All records whose name starts with `prefix`, by name in order."""
        ...

    async def write(
        self,
        puts: Mapping[str, bytes],
        deletes: Sequence[str] = (),
        *,
        keep_keys: Sequence[KeyHandle] = (),
        drop_keys: Sequence[KeyHandle] = (),
    ) -> None:
        """All of it in one transaction, durable when it returns. Errors: "storage-failed" and then nothing has
        changed.
        """
        ...

    async def close(self) -> None:
        """Lets go of the lock. The state stays."""
        ...


class Host(Protocol):
    @property
    def http(self) -> Http: ...

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    async def identities(self) -> list[str]:
        """The identities that have a store here."""
        ...

    async def open_store(self, identity: str, *, create: bool = False) -> Store:
        """Takes the identity's lock. Errors: "in-use-in-another-tab", "identity-exists" (create), "no-such-identity"
        (not create).
        """
        ...

    async def delete_store(self, identity: str) -> None: ...
