"""MLKEM768-X25519 in the browser, by its own ML-KEM and by the library's: what one side makes, the other takes.

Chromium has ML-KEM; without its feature WebCryptoPQC it is a browser that has none, and the library must be fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, sync_playwright
from roomkey.crypto import hpke, hybrid_kem
from roomkey.crypto.hybrid_kem import HYBRID
from roomkey.crypto.provider import DhItem, KeyPair
from roomkey.crypto.suites import SUITES
from roomkey.host.native_crypto import NativeCrypto

from build_scripts import browser as browsers
from tests.browser.support.python import BrowserPython, add_python_page
from tests.browser.support.server import Site, asset_site, serving
from tests.browser.test_host import CRYPTO, hexed, run
from tests.browser.test_storage import DUMP, STORE
from tests.conftest import Vectors

SUITE = SUITES[0xF0C1]
LIBRARY = "/roomkey/ml-kem.js"
WAYS: dict[str, list[str]] = {"WebCrypto": [], "library": ["--disable-features=WebCryptoPQC"]}


class Browsing:
    """A profile of a browser, and the site of the test worker."""

    def __init__(self, way: str, context: BrowserContext, site: Site) -> None:
        self.way, self.context, self.site = way, context, site

    def tab(self) -> BrowserPython:
        return BrowserPython(self.context.new_page(), self.site)


@pytest.fixture(scope="module", params=WAYS)
def browsing(
    request: pytest.FixtureRequest,
    assets: Path,
    found_browser: browsers.Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Browsing]:
    site = asset_site(assets)
    add_python_page(site, tmp_path_factory.mktemp("python"))
    with sync_playwright() as playwright, serving(site):
        running = browsers.launch(playwright, found_browser, args=WAYS[request.param])
        yield Browsing(request.param, running.new_context(), site)
        running.close()


@pytest.fixture(scope="module")
def python(browsing: Browsing) -> BrowserPython:
    return browsing.tab()


def test_the_library_is_fetched_when_it_is_needed_and_only_then(browsing: Browsing) -> None:
    browsing.site.asked.clear()
    python = browsing.tab()
    python.run(CRYPTO + "await crypto.generate_keys('X25519', 1); 'null'")
    assert LIBRARY not in browsing.site.asked
    assert python.run(CRYPTO + f"json.dumps(crypto.supports('ed25519', {HYBRID!r}, 'AES-128-GCM'))") is True
    python.run(CRYPTO + f"await crypto.generate_keys({HYBRID!r}, 1); 'null'")
    assert (LIBRARY in browsing.site.asked) == (browsing.way == "library")


def test_both_sides_take_what_the_other_makes(python: BrowserPython) -> None:
    """Raw private keys and held ones, here as decapsulators and there as encapsulators, and the other way round."""
    native = NativeCrypto()
    ours, theirs = (hybrid_kem.expand(bytes([index]) * 32) for index in (1, 2))
    our_public, their_public = run(native.public_keys(HYBRID, [ours, theirs]))
    code = """
group = values["group"]
raw = unhex(values["raw"])
(public,) = await crypto.public_keys(group, [raw])
(held,) = await crypto.generate_keys(group, 1)
((enc, shared),) = await crypto.ephemeral_dh(group, [unhex(values["peer"])])
kept = [KeyPair(public, raw), held]
json.dumps(hexed([public, held.public, enc, shared]))
"""
    public, held, enc, shared = python.run(CRYPTO + code, group=HYBRID, raw=theirs.hex(), peer=our_public.hex())
    assert public == their_public.hex()
    (found,) = run(native.dh([DhItem(HYBRID, KeyPair(our_public, ours), bytes.fromhex(enc))]))
    assert hexed(found) == [shared]

    made = run(native.ephemeral_dh(HYBRID, [their_public, bytes.fromhex(held)]))
    encs, secrets = zip(*(pair for pair in made if pair is not None), strict=True)
    code = """
encs = [unhex(enc) for enc in values["encs"]]
json.dumps(hexed(await held_crypto.dh([DhItem(group, pair, enc) for pair, enc in zip(kept, encs)])))
"""
    python.run("held_crypto = crypto; 'null'")
    assert python.run(CRYPTO + code, encs=hexed(*encs)) == hexed(*secrets)


def altered(public: bytes, *, unreduced: bool) -> bytes:
    if unreduced:  # 3329, that is 0, as the first coefficient (FIPS 203 section 7.2)
        return bytes([3329 & 255, public[1] & 0xF0 | 3329 >> 8]) + public[2:]
    return public[: hybrid_kem.ML_KEM_PUBLIC] + bytes(32)


def test_bad_keys_and_ciphertexts_have_no_secret_and_spoil_no_batch(python: BrowserPython) -> None:
    native = NativeCrypto()
    raw = hybrid_kem.expand(bytes(32))
    (public,) = run(native.public_keys(HYBRID, [raw]))
    ((enc, _),) = [pair for pair in run(native.ephemeral_dh(HYBRID, [public])) if pair is not None]
    peers = [public, altered(public, unreduced=True), altered(public, unreduced=False), public[:-1], b"", public]
    encs = [enc, enc[:-1], enc + b"\x00", enc[:-32] + bytes(32), b"", enc]
    code = """
group, own = values["group"], KeyPair(unhex(values["public"]), unhex(values["raw"]))
made = await crypto.ephemeral_dh(group, [unhex(peer) for peer in values["peers"]])
found = await crypto.dh([DhItem(group, own, unhex(enc)) for enc in values["encs"]])
json.dumps([[pair is None for pair in made], [secret is None for secret in found]])
"""
    answer = python.run(
        CRYPTO + code, group=HYBRID, public=public.hex(), raw=raw.hex(), peers=hexed(*peers), encs=hexed(*encs)
    )
    assert answer == [[False, True, True, True, True, False]] * 2
    assert [pair is None for pair in run(native.ephemeral_dh(HYBRID, peers))] == answer[0]


def test_an_altered_ciphertext_gives_the_secret_that_every_host_gives(python: BrowserPython) -> None:
    """Implicit rejection (FIPS 203 section 6.3) depends on the key's z: all three must agree on it."""
    native = NativeCrypto()
    raw = hybrid_kem.expand(b"z" * 32)
    (public,) = run(native.public_keys(HYBRID, [raw]))
    ((enc, good),) = [pair for pair in run(native.ephemeral_dh(HYBRID, [public])) if pair is not None]
    bad = bytes([enc[0] ^ 1]) + enc[1:]
    code = """
own = KeyPair(unhex(values["public"]), unhex(values["raw"]))
json.dumps(hexed(await crypto.dh([DhItem(values["group"], own, unhex(values["enc"]))])))
"""
    (secret,) = python.run(CRYPTO + code, group=HYBRID, public=public.hex(), raw=raw.hex(), enc=bad.hex())
    assert [secret] == hexed(*run(native.dh([DhItem(HYBRID, KeyPair(public, raw), bad)])))
    assert secret != good.hex()


def test_the_drafts_vectors(python: BrowserPython, vectors: Vectors) -> None:
    cases = json.loads(vectors.path("hpke-pq", "test-vectors.json").read_text())
    (case,) = [case for case in cases if (case["kem_id"], case["kdf_id"], case["aead_id"]) == (0x647A, 1, 3)]
    code = """
from dataclasses import replace
case = values["case"]
suite = replace(SUITES[0xF0C1], number=0, aead="CHACHA20-POLY1305", aead_id=3, nk=32)
(pair,) = await hpke.derive_key_pairs(crypto, suite, [unhex(case["ikmR"])])
shared = await hpke.decapsulate(crypto, suite, pair, unhex(case["enc"]))
first = case["exports"][0]
exported = hpke.export(suite, shared, unhex(case["info"]), unhex(first["exporter_context"]), first["L"])
json.dumps(hexed([pair.private, pair.public, shared, exported]))
"""
    wanted = [case["skRm"], case["pkRm"], case["shared_secret"], case["exports"][0]["exported_value"]]
    assert python.run(CRYPTO + code, case=case) == wanted


def test_sealed_both_ways(python: BrowserPython) -> None:
    native = NativeCrypto()
    (own,) = run(native.generate_keys(HYBRID, 1))
    code = """
suite = SUITES[0xF0C1]
(pair,) = await crypto.generate_keys(suite.group, 1)
((enc, text),) = await hpke.seal(crypto, suite, [hpke.Seal(unhex(values["public"]), b"info", b"aad", b"hello")])
sealing = crypto
json.dumps(hexed([enc, text, pair.public]))
"""
    enc, text, public = (bytes.fromhex(field) for field in python.run(CRYPTO + code, public=own.public.hex()))
    assert run(hpke.open_one(native, SUITE, own, enc, b"info", b"aad", text)) == b"hello"
    ((enc, text),) = run(hpke.seal(native, SUITE, [hpke.Seal(public, b"info", b"aad", b"greetings")]))
    code = """
enc, text = (unhex(field) for field in values["sealed"])
json.dumps((await hpke.open_one(sealing, suite, pair, enc, b"info", b"aad", text)).decode())
"""
    assert python.run(CRYPTO + code, sealed=hexed(enc, text)) == "greetings"


def test_a_hybrid_handle_is_good_for_nothing_else(python: BrowserPython) -> None:
    code = f"""
(hybrid,) = await crypto.generate_keys({HYBRID!r}, 1)
(plain,) = await crypto.generate_keys("X25519", 1)
codes = []
for work in (
    crypto.dh([DhItem("X25519", hybrid, plain.public)]),
    crypto.dh([DhItem({HYBRID!r}, plain, bytes(1120))]),
    crypto.sign([SignItem("ed25519", hybrid, b"")]),
    crypto.dh([DhItem({HYBRID!r}, KeyPair(b"", bytes(32)), bytes(1120))]),
):
    try:
        await work
    except RoomkeyError as error:
        codes.append(error.code)
json.dumps(codes)
"""
    assert python.run(CRYPTO + code) == ["key-not-found", "key-not-found", "key-not-found", "bad-argument"]


def as_dumped(data: bytes) -> str:
    """Bytes as DUMP shows them: what JavaScript calls latin1 is windows-1252 with its holes filled."""
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in data)


def test_held_keys_last_over_a_reload_and_nothing_readable_is_stored(browsing: Browsing) -> None:
    """Where WebCrypto holds them they cannot be exported; the library's seed is sealed as a record is."""
    first = browsing.tab()
    public, handle, halves = first.run(
        STORE
        + f"""
store = await machine.open_store(ALICE, create=True)
(kept,) = await store.crypto.generate_keys({HYBRID!r}, 1)
await store.write({{"a": b"1"}}, keep_keys=[kept.private])
held = store.crypto._host.keys.get(kept.private.id)
readable = bytes(held.mlKem.to_bytes()).hex() if hasattr(held.mlKem, "to_bytes") else held.mlKem.extractable
json.dumps([kept.public.hex(), kept.private.id, [readable, held.x25519.extractable]])
"""
    )
    stored = json.dumps(first.page.evaluate(DUMP), ensure_ascii=False)
    first.page.close()
    if browsing.way == "library":
        seed = bytes.fromhex(halves[0])
        assert len(seed) == hybrid_kem.ML_KEM_SEED
        assert json.dumps(as_dumped(seed[:16]), ensure_ascii=False)[1:-1] not in stored
    else:
        assert halves[0] is False
        assert "key false key false" in stored
    assert halves[1] is False

    ((enc, shared),) = [
        pair for pair in run(NativeCrypto().ephemeral_dh(HYBRID, [bytes.fromhex(public)])) if pair is not None
    ]
    second = browsing.tab()
    answer = second.run(
        STORE
        + f"""
from roomkey.crypto.provider import DhItem
store = await machine.open_store(ALICE)
pair = KeyPair(unhex(values["public"]), KeyHandle(values["handle"]))
(found,) = await store.crypto.dh([DhItem({HYBRID!r}, pair, unhex(values["enc"]))])
await store.write({{}}, drop_keys=[pair.private])
gone = await refused(store.crypto.dh([DhItem({HYBRID!r}, pair, unhex(values["enc"]))]))
await store.close()
await machine.delete_store(ALICE)
json.dumps([found.hex(), gone])
""",
        public=public,
        handle=handle,
        enc=enc.hex(),
    )
    assert answer == [shared.hex(), "key-not-found"]


def test_a_damaged_library_is_refused_and_asked_for_again(browsing: Browsing) -> None:
    good, needed = browsing.site.files[LIBRARY], browsing.way == "library"
    python = browsing.tab()
    code = f"""
try:
    await crypto.generate_keys({HYBRID!r}, 1)
    answer = "made"
except RoomkeyError as error:
    answer = [error.code, error.details["asset"]]
json.dumps(answer)
"""
    try:
        browsing.site.files[LIBRARY] = good.replace(b"3329", b"3327")
        assert python.run(CRYPTO + code) == (["asset-altered", "ml-kem.js"] if needed else "made")
        del browsing.site.files[LIBRARY]
        assert python.run(CRYPTO + code) == (["asset-not-found", "ml-kem.js"] if needed else "made")
    finally:
        browsing.site.files[LIBRARY] = good
    assert python.run(CRYPTO + code) == "made"
