"""The host of CPython: crypto of `cryptography`, requests by `httpx`, one SQLite file per identity.

A store is a file `IDENTITY.roomkey`, readable by its owner only. SQLite's exclusive lock is the identity's lock, and it
goes with the process. Deleted records and keys are overwritten (`secure_delete`). They are not encrypted: a plain
machine has no place for the wrapping key that whoever has the disk would not find too; encrypt the disk instead.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import httpx

from roomkey.crypto.provider import KeyHandle
from roomkey.errors import RoomkeyError
from roomkey.host.interface import HttpResponse, HttpStream, Store
from roomkey.host.native_crypto import NativeCrypto

_SUFFIX = ".roomkey"
# An answer of a delivery service holds at most a claim's worth of sets or a group's stored commits.
_MAX_ANSWER = 64 << 20
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


class NativeStore:
    """One identity's records and private keys (`Store`). SQLite's calls are short, so they run on the event loop."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database: sqlite3.Connection | None = database
        self.crypto = NativeCrypto()
        self.crypto.keys.update(database.execute("SELECT id, value FROM keys"))

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise RoomkeyError("closed", "expected an open store")
        return self._database

    async def get(self, name: str) -> bytes | None:
        row = self._open().execute("SELECT value FROM records WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    async def list(self, prefix: str) -> list[tuple[str, bytes]]:
        # Names are ASCII, so U+FFFF ends every prefix's range.
        query = "SELECT name, value FROM records WHERE name >= ? AND name < ? ORDER BY name"
        return [(name, bytes(value)) for name, value in self._open().execute(query, (prefix, prefix + "\uffff"))]

    async def write(
        self,
        puts: Mapping[str, bytes],
        deletes: Sequence[str] = (),
        *,
        keep_keys: Sequence[KeyHandle] = (),
        drop_keys: Sequence[KeyHandle] = (),
    ) -> None:
        database = self._open()
        kept = [(handle.id, self.crypto.keys[handle.id]) for handle in _known(self.crypto, keep_keys)]
        try:
            with database:
                database.execute("BEGIN IMMEDIATE")
                database.executemany("DELETE FROM records WHERE name = ?", [(name,) for name in deletes])
                database.executemany("INSERT OR REPLACE INTO records VALUES (?, ?)", list(puts.items()))
                database.executemany("DELETE FROM keys WHERE id = ?", [(handle.id,) for handle in drop_keys])
                database.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?)", kept)
        except sqlite3.Error as error:
            raise RoomkeyError(
                "storage-failed", f"expected a committed transaction, got {type(error).__name__}"
            ) from error
        await self.crypto.forget_keys(drop_keys)

    async def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
            self.crypto.keys.clear()


def _known(crypto: NativeCrypto, handles: Iterable[KeyHandle]) -> list[KeyHandle]:
    found = list(handles)
    if any(handle.id not in crypto.keys for handle in found):
        raise RoomkeyError("key-not-found", "expected a private key that this host holds")
    return found


class _Stream:
    """A streamed answer (`HttpStream`)."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_raw():
                yield piece
        except httpx.HTTPError as error:
            raise _failure(error) from error

    async def close(self) -> None:
        await self._response.aclose()


def _failure(error: httpx.HTTPError) -> RoomkeyError:
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return RoomkeyError("timeout", "expected an answer in time, got none")
    return RoomkeyError("service-unreachable", f"expected an answer, got {type(error).__name__}")


# Seconds for which an idle connection is used again: fewer than the 5 after which servers begin to close theirs, since
# what is sent as one closes is lost.
REUSED_SECONDS = 3.0


class NativeHttp:
    """Requests by `httpx` (`Http`); the environment's proxies are used, but never for this machine's own addresses."""

    def __init__(self) -> None:
        direct = dict.fromkeys(("all://localhost", "all://*.localhost", "all://127.0.0.1", "all://[::1]"))
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            mounts=direct,
            limits=httpx.Limits(max_connections=None, keepalive_expiry=REUSED_SECONDS),
        )

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float
    ) -> HttpResponse:
        stream = await self.stream(method, url, headers, timeout=timeout, body=body)
        answer = bytearray()
        try:
            async with asyncio.timeout(timeout):
                async for piece in stream:
                    answer += piece
                    if len(answer) > _MAX_ANSWER:
                        raise RoomkeyError("too-large", f"expected an answer of at most {_MAX_ANSWER} bytes")
        except TimeoutError:
            raise RoomkeyError("timeout", f"expected a whole answer within {timeout:g} s") from None
        finally:
            await stream.close()
        return HttpResponse(stream.status, stream.headers, bytes(answer))

    async def stream(
        self, method: str, url: str, headers: Mapping[str, str], *, timeout: float, body: bytes | None = None
    ) -> HttpStream:
        try:
            request = self._client.build_request(
                method, url, headers=dict(headers), content=body, timeout=httpx.Timeout(timeout, read=None)
            )
            request.headers["accept-encoding"] = "identity"
            async with asyncio.timeout(timeout):
                return _Stream(await self._client.send(request, stream=True))
        except TimeoutError:
            raise RoomkeyError("timeout", f"expected an answer within {timeout:g} s") from None
        except httpx.HTTPError as error:
            raise _failure(error) from error
        except httpx.InvalidURL as error:
            raise RoomkeyError("bad-argument", "expected the address of a delivery service") from error

    async def close(self) -> None:
        await self._client.aclose()


class NativeHost:
    """A `Host` on CPython. `directory` holds the identities and is made for its owner only."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self.http = NativeHttp()

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _path(self, identity: str) -> Path:
        return self._directory / (quote(identity, safe="@+") + _SUFFIX)

    async def identities(self) -> list[str]:
        return sorted(unquote(path.name.removesuffix(_SUFFIX)) for path in self._directory.glob("*" + _SUFFIX))

    async def open_store(self, identity: str, *, create: bool = False) -> Store:
        path = self._path(identity)
        if path.exists() == create:
            raise RoomkeyError("identity-exists" if create else "no-such-identity")
        if create:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        database = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            # The lock of locking_mode EXCLUSIVE is taken by the first transaction and held until the file is closed.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA secure_delete = ON")
            # Otherwise an exclusive connection leaves the journal, and in it what was deleted, until it closes.
            database.execute("PRAGMA journal_mode = TRUNCATE")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN EXCLUSIVE")
            database.execute("COMMIT")
            database.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            database.close()
            if error.sqlite_errorname == "SQLITE_BUSY":
                raise RoomkeyError(
                    "in-use-in-another-tab", "expected an identity that no other process has open"
                ) from None
            raise RoomkeyError("storage-failed", "expected a readable store") from error
        except sqlite3.DatabaseError as error:
            database.close()
            raise RoomkeyError("storage-failed", "expected a readable store") from error
        return NativeStore(database)

    async def delete_store(self, identity: str) -> None:
        store = await self.open_store(identity)  # nobody's who has it open
        await store.close()
        self._path(identity).unlink()

    async def close(self) -> None:
        await self.http.close()
