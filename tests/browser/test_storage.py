"""Records and keys in IndexedDB: they last over a reload, all or nothing, sealed, and one tab has them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import BrowserContext

from tests.browser.support.python import BrowserPython, add_python_page
from tests.browser.support.server import Site, asset_site, serving

ALICE = "alice@email1.example"
STORE = """
from roomkey.crypto.provider import KeyHandle, KeyPair, SignItem, VerifyItem
from roomkey.errors import RoomkeyError
machine = BrowserHost(host)
async def refused(work):
    try:
        await work
    except RoomkeyError as error:
        return error.code
ALICE = "alice@email1.example"
"""
# Every value of every database, and the names of all, as text.
DUMP = """async () => {
  const promise = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const text = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value)
    ? new TextDecoder("latin1").decode(value)
    : value instanceof CryptoKey ? `key ${value.extractable}` : value && typeof value === "object"
    ? Object.values(value).map(text).join(" ") : String(value);
  const found = [];
  for (const { name } of await indexedDB.databases()) {
    const database = await promise(indexedDB.open(name));
    for (const store of database.objectStoreNames) {
      const rows = database.transaction(store).objectStore(store);
      const keys = rows.getAllKeys(), values = rows.getAll();
      found.push([name, store, await promise(keys), (await promise(values)).map(text)]);
    }
    database.close();
  }
  return found;
}"""


@pytest.fixture(scope="module")
def served(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = asset_site(assets)
    add_python_page(site, tmp_path_factory.mktemp("python"))
    with serving(site) as running:
        yield running


@pytest.fixture
def context(chromium: PlaywrightBrowser) -> Iterator[BrowserContext]:
    """A browser profile of its own."""
    with chromium.new_context() as running:
        yield running


@pytest.fixture
def tab(served: Site, context: BrowserContext) -> Callable[[], BrowserPython]:
    """Opens one more tab of this profile, with Python in it."""
    return lambda: BrowserPython(context.new_page(), served)


def test_records_and_keys_last_over_a_reload(tab: Callable[[], BrowserPython]) -> None:
    first = tab()
    public, listed = first.run(
        STORE
        + """
store = await machine.open_store(ALICE, create=True)
kept, lost = await store.crypto.generate_keys("ed25519", 2)
await store.write({"a/2": b"two", "a/1": b"one", "b": bytes(100_000)}, keep_keys=[kept.private])
await store.write({"a/2": b"two again", "gone": b""}, ["b"])
await store.write({}, ["gone", "never there"])
json.dumps([[kept.public.hex(), kept.private.id, lost.private.id], await machine.identities()])
"""
    )
    assert listed == [ALICE]
    first.page.close()
    answer = tab().run(
        STORE
        + """
store = await machine.open_store(ALICE)
found = [(name, value.decode()) for name, value in await store.list("a/")]
public, kept, lost = values["public"]
pair = KeyPair(unhex(public), KeyHandle(kept))
(signature,) = await store.crypto.sign([SignItem("ed25519", pair, b"after reload")])
good = await store.crypto.verify([VerifyItem("ed25519", pair.public, b"after reload", signature)])
lost = await refused(store.crypto.sign([SignItem("ed25519", KeyPair(b"", KeyHandle(lost)), b"")]))
await store.write({}, drop_keys=[pair.private])
dropped = await refused(store.crypto.sign([SignItem("ed25519", pair, b"")]))
json.dumps([found, await store.get("b"), good, lost, dropped])
""",
        public=public,
    )
    found = [["a/1", "one"], ["a/2", "two again"]]
    assert answer == [found, None, [True], "key-not-found", "key-not-found"]


def test_a_page_that_reloads_gets_its_identity_back(tab: Callable[[], BrowserPython]) -> None:
    python = tab()
    opened = STORE + "store = await machine.open_store(ALICE, create=%s); %s json.dumps('open')"
    assert python.run(opened % (True, "await store.write({'a': b'1'});")) == "open"
    for _ in range(3):
        python.page.reload()
        python.page.wait_for_function("() => 'run' in globalThis")
        assert python.run(opened % (False, "")) == "open"


def test_one_tab_at_a_time(tab: Callable[[], BrowserPython]) -> None:
    first, second = tab(), tab()
    first.run(STORE + "store = await machine.open_store(ALICE, create=True); await store.write({'a': b'1'}); 'null'")
    trying = (
        STORE + "json.dumps([await refused(machine.open_store(ALICE)), await refused(machine.delete_store(ALICE))])"
    )
    assert second.run(trying) == ["in-use-in-another-tab"] * 2
    assert first.run("await store.close(); await store.close(); json.dumps(await refused(store.get('a')))") == "closed"
    reading = "store = await machine.open_store(ALICE); json.dumps((await store.get('a')).decode())"
    assert second.run(STORE + reading) == "1"


def test_creating_opening_and_deleting(tab: Callable[[], BrowserPython]) -> None:
    answer = tab().run(
        STORE
        + """
told = [await refused(machine.open_store(ALICE))]
cut_short = await machine.open_store(ALICE, create=True)
await cut_short.close()
store = await machine.open_store(ALICE, create=True)  # an empty store is a creation that did not finish
await store.write({"a": b"1"})
told.append(await refused(machine.open_store(ALICE, create=True)))
await store.close()
told.append(await refused(machine.open_store(ALICE, create=True)))
other = await machine.open_store("bob@email2.example", create=True)
told.append(await machine.identities())
await machine.delete_store(ALICE)
await machine.delete_store(ALICE)
told.append(await machine.identities())
told.append(await refused(machine.open_store(ALICE)))
json.dumps(told)
"""
    )
    both = [ALICE, "bob@email2.example"]
    refusals = ["no-such-identity", "in-use-in-another-tab", "identity-exists"]
    assert answer == [*refusals, both, both[1:], "no-such-identity"]


def test_nothing_stored_is_readable_or_named(tab: Callable[[], BrowserPython]) -> None:
    python = tab()
    python.run(
        STORE
        + """
store = await machine.open_store(ALICE, create=True)
(pair,) = await store.crypto.generate_keys("X25519", 1)
await store.write({"group": b"a secret of the group", "old": b"older secret"}, keep_keys=[pair.private])
await store.write({}, ["old"])
'null'
"""
    )
    dump = python.page.evaluate(DUMP)
    assert sorted((store, len(rows)) for _, store, rows, _ in dump) == [("identities", 1), ("keys", 1), ("records", 1)]
    everything = str(dump)
    assert not [word for word in ("secret", "alice", "email1") if word in everything]
    assert "key true" not in everything
    assert everything.count("key false") == 3  # the identity's name, the record, the private key


def test_records_do_not_change_places(tab: Callable[[], BrowserPython]) -> None:
    python = tab()
    python.run(
        STORE
        + """
store = await machine.open_store(ALICE, create=True)
await store.write({"a": b"first", "b": b"second"})
'null'
"""
    )
    python.page.evaluate("""async () => {
      const promise = (request) => new Promise((resolve) => { request.onsuccess = () => resolve(request.result); });
      const { name } = (await indexedDB.databases()).find(({ name }) => name !== "roomkey");
      const database = await promise(indexedDB.open(name));
      const records = database.transaction("records", "readwrite").objectStore("records");
      await promise(records.put(await promise(records.get("a")), "b"));
      database.close();
    }""")
    code = "json.dumps([(await store.get('a')).decode(), await refused(store.get('b')), await refused(store.list(''))])"
    assert python.run(code) == ["first", "storage-altered", "storage-altered"]


@pytest.mark.parametrize(
    "fault",
    ["throw new DOMException('full', 'QuotaExceededError')", "put.call(this, value, key); this.transaction.abort()"],
)
def test_a_failed_write_changes_nothing(tab: Callable[[], BrowserPython], fault: str) -> None:
    python = tab()
    python.run(
        STORE
        + """
store = await machine.open_store(ALICE, create=True)
first, second = await store.crypto.generate_keys("ed25519", 2)
await store.write({"a": b"1"}, keep_keys=[first.private])
'null'
"""
    )
    (worker,) = python.page.workers
    worker.evaluate(f"""() => {{
      const {{ put }} = IDBObjectStore.prototype;
      IDBObjectStore.prototype.put = function (value, key) {{
        if (key === "b") {{ {fault}; }}
        return put.call(this, value, key);
      }};
    }}""")
    code = """
told = [
    await refused(store.write({"a": b"2"}, keep_keys=[KeyHandle("00" * 16)])),
    await refused(store.write({"a": b"2", "b": b"2"}, keep_keys=[second.private], drop_keys=[first.private])),
]
await store.close()
store = await machine.open_store(ALICE)
told += [(await store.get("a")).decode(), await store.get("b")]
told += [await refused(store.crypto.sign([SignItem("ed25519", pair, b"")])) for pair in (first, second)]
json.dumps(told)
"""
    assert python.run(code) == ["key-not-found", "storage-failed", "1", None, None, "key-not-found"]
