"""What every store must do, whichever it is. A new store joins by adding its maker to `STORES`."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from roomkey.errors import RoomkeyError
from roomkey_delivery.store.interface import Client, InboxLimits, NewSet, Store
from roomkey_delivery.store.sqlite import HASHES_KEPT, SCHEMA_VERSION, SqliteStore

NOW = 1_795_000_000.0
A, B = b"a" * 32, b"b" * 32
ROOMY = InboxLimits(100, 1 << 20)
STORES: dict[str, Callable[[Path], Store]] = {"sqlite": lambda folder: SqliteStore(folder / "store.db")}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = STORES[request.param](tmp_path)
    for client, name in ((A, "a@e.example"), (B, "b@e.example")):
        await made.enrol(Client(client, name, 0x0807, client), None, NOW, unsafe_open=True)
    yield made
    await made.close()


def new_set(mark: bytes, *, body: bytes = b"", last_resort: bool = False, expires: int = int(NOW) + 100) -> NewSet:
    return NewSet(mark * 32, body or mark, (0, 1, 0xFFFF), last_resort, expires)


async def code(awaitable: object) -> str:
    with pytest.raises(RoomkeyError) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value.code


async def test_clients(store: Store) -> None:
    assert await store.client(A) == Client(A, "a@e.example", 0x0807, A)
    assert await store.client(bytes(32)) is None


async def test_a_failed_publish_changes_nothing(store: Store) -> None:
    await store.publish(A, [new_set(b"1"), new_set(b"L", last_resort=True)], NOW, 10)
    before = await store.stock(A, NOW)
    assert before == (1, True, int(NOW) + 100)
    bad = [new_set(b"2"), new_set(b"M", last_resort=True), new_set(b"1", body=b"other")]
    assert await code(store.publish(A, bad, NOW, 10)) == "set-conflict"
    assert await code(store.publish(A, [new_set(b"M", last_resort=True), new_set(b"2")], NOW, 1)) == "stock-full"
    assert await store.stock(A, NOW) == before
    await store.publish(B, [new_set(b"1", body=b"other")], NOW, 10)  # ids are each client's own
    assert await store.claim("a@e.example", [0xFFFF], NOW) == [b"1"]
    assert await store.claim("a@e.example", [2], NOW) == []
    assert await store.claim("a@e.example", [], NOW) == [b"L"]


async def test_sets_of_some_clients_alone(store: Store) -> None:
    other = Client(b"c" * 32, "a@e.example", 0x0807, b"c" * 32)
    await store.enrol(other, None, NOW, listed=True)
    for client, mark in ((A, b"1"), (other.id, b"2")):
        await store.publish(client, [new_set(mark)], NOW, 10)
    assert await store.claim("a@e.example", [], NOW, frozenset()) == []
    assert await store.claim("a@e.example", [], NOW, {other.id}) == [b"2"]
    assert (await store.stock(A, NOW)).sets == 1  # what is withheld stays
    assert await store.claim("a@e.example", [], NOW) == [b"1"]


async def test_codes_for_a_reset(store: Store) -> None:
    first, second = (Client(mark * 32, "a@e.example", 0x0807, mark * 32) for mark in (b"c", b"d"))
    assert await code(store.check_code(first, b"reset", NOW)) == "enrolment-refused"
    await store.new_reset_code("a@e.example", b"reset", NOW + 10)  # for a name that is taken
    assert await store.check_code(first, b"reset", NOW)
    assert await store.check_code(first, b"reset", NOW)  # looking does not use it up
    assert await code(store.check_code(first, b"reset", NOW + 10)) == "enrolment-refused"
    assert (
        await code(store.enrol(first, b"reset", NOW)) == "enrolment-refused"
    )  # nothing was logged: it is no first code
    await store.enrol(first, b"reset", NOW, listed=True)
    assert await store.check_code(first, b"reset", NOW)  # the answer may have been lost
    assert await code(store.check_code(second, b"reset", NOW)) == "already-enrolled"
    await store.new_reset_code("a@e.example", b"newer", NOW + 10)
    assert await code(store.check_code(second, b"reset", NOW)) == "enrolment-refused"
    assert await store.check_code(second, b"newer", NOW)
    await store.prune(NOW + 10)
    assert await code(store.check_code(second, b"newer", NOW)) == "enrolment-refused"


async def test_a_first_code_is_checked_before_it_is_used(store: Store) -> None:
    first, second = (Client(mark * 32, "new@e.example", 0x0807, mark * 32) for mark in (b"c", b"d"))
    await store.new_code("new@e.example", b"code", NOW + 10)
    assert not await store.check_code(first, b"code", NOW)
    await store.enrol(first, b"code", NOW, listed=True)
    assert not await store.check_code(first, b"code", NOW)
    assert await code(store.check_code(second, b"code", NOW)) == "already-enrolled"


async def test_expired_sets_are_gone(store: Store) -> None:
    await store.publish(A, [new_set(b"1"), new_set(b"L", last_resort=True)], NOW, 10)
    assert await store.stock(A, NOW + 100) == (0, False, None)
    assert await store.claim("a@e.example", [], NOW + 100) == []
    await store.prune(NOW + 100)
    assert await store.stock(A, NOW) == (0, False, None)


async def test_sequences_are_each_inbox_s_own_and_without_gaps(store: Store) -> None:
    assert await store.deliver(b"1", [A, B], NOW, ROOMY) == []
    assert await store.deliver(b"2", [B, bytes(32)], NOW, ROOMY) == [bytes(32)]
    assert await store.deliver(b"1", [A, B], NOW, ROOMY) == []
    assert await store.deliver(b"3", [A, B], NOW, ROOMY) == []
    assert await store.messages(A, 0, 10) == [(1, b"1"), (2, b"3")]
    assert await store.messages(B, 0, 10) == [(1, b"1"), (2, b"2"), (3, b"3")]
    assert await store.messages(B, 1, 1) == [(2, b"2")]
    await store.acknowledge(B, 2)
    assert await store.messages(B, 0, 10) == [(3, b"3")]
    await store.acknowledge(B, 99)
    await store.deliver(b"2", [B], NOW, ROOMY)  # known, though acknowledged
    await store.deliver(b"4", [B], NOW, ROOMY)
    assert await store.messages(B, 0, 10) == [(4, b"4")]
    await store.prune(NOW + HASHES_KEPT)
    await store.deliver(b"2", [B], NOW, ROOMY)  # forgotten by now
    assert await store.messages(B, 0, 10) == [(4, b"4"), (5, b"2")]


async def test_a_full_inbox_stops_nobody_else(store: Store) -> None:
    few = InboxLimits(2, 10)
    await store.deliver(b"12345", [A], NOW, few)
    assert await code(store.deliver(b"123456", [B, A], NOW, few)) == "inbox-full"  # 11 bytes at A
    assert await store.messages(B, 0, 10) == [(1, b"123456")]
    assert [item.body for item in await store.messages(A, 0, 10)] == [b"12345"]
    await store.deliver(b"x", [A], NOW, few)
    assert await code(store.deliver(b"y", [A], NOW, few)) == "inbox-full"  # 3 messages
    await store.deliver(b"x", [A], NOW, few)  # it has this one already
    await store.acknowledge(A, 1)
    await store.deliver(b"y", [A], NOW, few)
    assert await store.messages(A, 0, 10) == [(2, b"x"), (3, b"y")]


async def test_who_got_messages(store: Store) -> None:
    mark, clients = await store.recipients_since((1 << 63) - 1)
    assert clients == set()
    assert await store.recipients_since(mark) == (mark, set())
    await store.deliver(b"1", [A], NOW, ROOMY)
    await store.deliver(b"2", [A, B], NOW, ROOMY)
    mark, clients = await store.recipients_since(mark)
    assert clients == {A, B}
    assert await store.recipients_since(mark) == (mark, set())


async def test_large_inboxes_are_read_in_parts(store: Store) -> None:
    for n in range(3):
        await store.deliver(bytes([n]) * (1 << 19), [A], NOW, InboxLimits(10, 1 << 30))
    first = await store.messages(A, 0, 100)
    assert [message.sequence for message in first] == [1, 2]
    assert [message.sequence for message in await store.messages(A, 2, 100)] == [3]


async def test_codes_and_admissions_are_pruned_but_used_codes_stay(store: Store) -> None:
    await store.new_code("c@e.example", b"hash", NOW + 10)
    await store.enrol(Client(b"c" * 32, "c@e.example", 0x0807, b"c"), b"hash", NOW)
    await store.admit("c@e.example", b"d" * 32, NOW + 10)
    await store.prune(NOW + 10)
    assert await code(store.enrol(Client(b"e" * 32, "c@e.example", 0x0807, b"e"), b"hash", NOW)) == "already-enrolled"
    assert await code(store.enrol(Client(b"d" * 32, "c@e.example", 0x0807, b"d"), None, NOW)) == "enrolment-refused"


# -- SQLite alone --


async def test_a_full_disk_acknowledges_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "small.db")
    await store.enrol(Client(A, "a@e.example", 0x0807, A), None, NOW, unsafe_open=True)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 20}")
    delivered = []
    refusal = ""
    for n in range(100):
        try:
            await store.deliver(bytes([n]) * 4000, [A], NOW, ROOMY)
        except RoomkeyError as error:
            refusal = error.code
            break
        delivered.append(bytes([n]) * 4000)
    assert refusal == "service-unavailable"
    assert [message.body for message in await store.messages(A, 0, 100)] == delivered
    await store.acknowledge(A, 5)  # room comes back
    assert await store.deliver(b"more", [A], NOW, ROOMY) == []
    await store.close()
    again = SqliteStore(tmp_path / "small.db")
    assert [message.body for message in await again.messages(A, 0, 100)] == [*delivered[5:], b"more"]
    await again.close()


async def test_what_is_claimed_or_acknowledged_is_not_left_in_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    await store.enrol(Client(A, "a@e.example", 0x0807, A), None, NOW, unsafe_open=True)
    await store.publish(A, [new_set(b"1", body=b"SECRETSET" * 50)], NOW, 10)
    await store.deliver(b"SECRETMESSAGE" * 50, [A], NOW, ROOMY)
    await store.claim("a@e.example", [], NOW)
    await store.acknowledge(A, 1)
    await store.close()
    assert b"SECRET" not in (tmp_path / "store.db").read_bytes()


def test_a_database_of_a_later_version_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "store.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(RoomkeyError, match=f"version {SCHEMA_VERSION}, got 99"):
        SqliteStore(tmp_path / "store.db")


async def test_a_database_of_another_domain_is_refused(tmp_path: Path) -> None:
    await SqliteStore(tmp_path / "store.db", "email1.example").close()
    await SqliteStore(tmp_path / "store.db", "email1.example").close()
    with pytest.raises(RoomkeyError, match=r"of email2\.example, got that of email1\.example"):
        SqliteStore(tmp_path / "store.db", "email2.example")


FIRST_REGISTER = """
    CREATE TABLE epochs (
      group_id BLOB NOT NULL, epoch INTEGER NOT NULL, token_hash BLOB NOT NULL, ended_by BLOB, ended REAL,
      PRIMARY KEY (group_id, epoch)
    );
    CREATE INDEX epochs_ended ON epochs (ended) WHERE ended IS NOT NULL;
    INSERT INTO epochs VALUES (x'aa', 3, x'03', x'c3', 1795000000.0), (x'aa', 4, x'04', x'c4', 1795000001.0),
      (x'aa', 5, x'05', NULL, NULL), (x'bb', 0, x'b0', NULL, NULL);
    PRAGMA user_version = 1;
"""


async def test_a_database_of_the_first_version_goes_on(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "store.db")
    database.executescript(FIRST_REGISTER)
    database.close()
    store = SqliteStore(tmp_path / "store.db")
    assert await store.commits(b"\xaa", 3, b"\x03") == [(3, b"\xc3", b"\x04"), (4, b"\xc4", b"\x05")]
    assert await store.commits(b"\xaa", 5, b"\x05") == []
    assert await store.submit(b"\xaa", 5, b"\x05", b"\x06", b"\xc5", NOW + 2) is None
    assert await store.submit(b"\xbb", 0, b"\xb0", b"\xb1", b"\xc0", NOW) is None
    for taken in (b"\xaa", b"\xbb"):
        assert await code(store.register_group(taken, 0, b"other", NOW)) == "group-exists"
    await store.prune(NOW + HASHES_KEPT + 0.5)
    await store.close()
    again = SqliteStore(tmp_path / "store.db")
    assert await again.commits(b"\xaa", 4, b"\x04") == [(4, b"\xc4", b"\x05"), (5, b"\xc5", b"\x06")]
    assert await code(again.commits(b"\xaa", 3, b"\x03")) == "wrong-token"
    names = again._db.execute("SELECT name FROM sqlite_master WHERE name LIKE 'epochs%' ORDER BY name").fetchall()
    assert names == [("epochs",), ("epochs_ended",)]
    await again.close()


async def test_chains_of_one_group_id(store: Store) -> None:
    """Who has only seen the id keeps no group from coming, and learns nothing of its chain."""
    await store.register_group(b"g", 7, b"mallory", NOW)
    assert await store.submit(b"g", 7, b"mallory", b"h8", b"hers", NOW) is None
    await store.register_group(b"g", 8, b"t8", NOW)
    assert await store.submit(b"g", 8, b"t8", b"t9", b"ours", NOW) is None
    assert await store.commits(b"g", 8, b"t8") == [(8, b"ours", b"t9")]
    assert await store.commits(b"g", 7, b"mallory") == [(7, b"hers", b"h8")]
    assert await store.submit(b"g", 8, b"t8", b"x", b"late", NOW) == [(8, b"ours", b"t9")]
    assert await store.submit(b"g", 8, b"h8", b"h9", b"hers too", NOW) is None
    assert await store.commits(b"g", 9, b"t9") == []
    assert await code(store.commits(b"g", 9, b"h8")) == "wrong-token"
    await store.register_group(b"g", 0, b"t0", NOW)  # the id's own group may still begin here, once
    assert await code(store.register_group(b"g", 0, b"other", NOW)) == "group-exists"
    await store.register_group(b"g", 0, b"t0", NOW)


async def test_a_chain_that_comes_to_a_registered_epoch_keeps_its_beginning(store: Store) -> None:
    await store.register_group(b"g", 1, b"t1", NOW)
    await store.register_group(b"g", 0, b"t0", NOW)
    assert await store.submit(b"g", 0, b"t0", b"t1", b"first", NOW) is None
    await store.prune(NOW + HASHES_KEPT + 1)
    assert await store.commits(b"g", 1, b"t1") == []
    assert await code(store.register_group(b"g", 0, b"t0", NOW)) == "group-exists"


async def test_durability_is_what_the_file_says(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    await store.close()
