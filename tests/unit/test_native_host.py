"""The host of CPython: stores that last, are held by one, and change whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from pathlib import Path

import pytest
from roomkey.crypto.provider import KeyHandle, SignItem
from roomkey.errors import RoomkeyError
from roomkey.host import native
from roomkey.host.native import NativeHost

ALICE = "alice@email1.example"


def on_disk(folder: Path) -> bytes:
    """The contents of all files, none of which anybody else may read."""
    files = list(folder.iterdir())
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    return b"".join(file.read_bytes() for file in files)


async def test_records_and_kept_keys_last(tmp_path: Path) -> None:
    host = NativeHost(tmp_path / "people")
    store = await host.open_store(ALICE, create=True)
    kept, lost = await store.crypto.generate_keys("ed25519", 2)
    assert isinstance(kept.private, KeyHandle)
    await store.write({"a/1": b"one", "a/2": b"two", "b": b""}, keep_keys=[kept.private])
    await store.write({"a/3": b"three"}, ["a/1"])
    await store.close()
    again = await host.open_store(ALICE)
    assert await again.list("a/") == [("a/2", b"two"), ("a/3", b"three")]
    assert (await again.get("a/1"), await again.get("b")) == (None, b"")
    (signature,) = await again.crypto.sign([SignItem("ed25519", kept, b"x")])
    assert len(signature) == 64
    with pytest.raises(RoomkeyError, match="key-not-found"):
        await again.crypto.sign([SignItem("ed25519", lost, b"x")])
    await again.close()
    await host.close()


async def test_dropped_keys_and_deleted_records_are_not_on_the_disk(tmp_path: Path) -> None:
    host = NativeHost(tmp_path)
    store = await host.open_store(ALICE, create=True)
    (pair,) = await store.crypto.generate_keys("X25519", 1)
    assert isinstance(pair.private, KeyHandle)
    await store.write({"secret": b"a secret that is deleted"}, keep_keys=[pair.private])
    assert b"a secret that is deleted" in on_disk(tmp_path)
    await store.write({}, ["secret"], drop_keys=[pair.private])
    assert b"a secret that is deleted" not in on_disk(tmp_path)
    await store.close()
    assert b"a secret that is deleted" not in on_disk(tmp_path)
    await host.close()


async def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    host = NativeHost(tmp_path)
    store = await host.open_store(ALICE, create=True)
    await store.write({"a": b"1"})
    with pytest.raises(RoomkeyError, match="key-not-found"):
        await store.write({"a": b"2"}, keep_keys=[KeyHandle("unknown")])
    assert await store.get("a") == b"1"
    await store.close()
    with pytest.raises(RoomkeyError, match="closed"):
        await store.get("a")
    await host.close()


async def test_one_holds_a_store(tmp_path: Path) -> None:
    first, second = NativeHost(tmp_path), NativeHost(tmp_path)
    with pytest.raises(RoomkeyError, match="no-such-identity"):
        await first.open_store(ALICE)
    store = await first.open_store(ALICE, create=True)
    with pytest.raises(RoomkeyError, match="in-use-in-another-tab"):
        await second.open_store(ALICE)
    with pytest.raises(RoomkeyError, match="identity-exists"):
        await second.open_store(ALICE, create=True)
    assert await second.identities() == [ALICE]
    await store.close()
    await second.delete_store(ALICE)
    assert await first.identities() == []
    await first.close()
    await second.close()


async def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{ALICE}.roomkey").write_bytes(b"no database" * 100)
    host = NativeHost(tmp_path)
    with pytest.raises(RoomkeyError, match="storage-failed"):
        await host.open_store(ALICE)
    await host.close()


async def test_nobody_there(tmp_path: Path) -> None:
    host = NativeHost(tmp_path)
    with pytest.raises(RoomkeyError, match="service-unreachable"):
        await host.http.request("GET", "http://127.0.0.1:1/v1/service", {}, None, timeout=60)
    with pytest.raises(RoomkeyError, match="bad-argument"):
        await host.http.request("GET", "http://a\x00b/", {}, None, timeout=60)
    await host.close()


@pytest.mark.parametrize(("reused", "connections"), [(0.0, 3), (native.REUSED_SECONDS, 1)])
async def test_connections_are_used_again_while_they_are_young(
    monkeypatch: pytest.MonkeyPatch, reused: float, connections: int
) -> None:
    """One that lay idle for longer may be about to be closed by its server: what is sent then is lost."""
    monkeypatch.setattr(native, "REUSED_SECONDS", reused)
    answering: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.ensure_future(answer(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    http = native.NativeHttp()
    for _ in range(3):
        assert (await http.request("GET", f"http://127.0.0.1:{port}/", {}, None, timeout=60.0)).status == 200
    assert len(answering) == connections
    await http.close()
    server.close()
    await asyncio.gather(*answering)
