"""The log over HTTP: who may ask and submit, how much, and what everybody can read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.code_points import scheme_of
from roomkey.tls import Struct
from roomkey.transparency import merkle
from roomkey.transparency.checkpoints import open_checkpoint
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import (
    ANSWERS_PATH,
    LOG_ANSWERS,
    MANIFEST,
    MANIFESTS_PATH,
    MAP_UPDATES,
    AnswerRequest,
    Answers,
    AnswersRequest,
    MapUpdates,
)
from roomkey_delivery.config import Rate, Rates
from roomkey_delivery.log.tiles import TilePath, tile_number
from roomkey_delivery.store.interface import Client

from tests.delivery.local import Local, code_of
from tests.delivery.people import Person, person
from tests.support.logged_services import LoggedLocals
from tests.support.manifest_makers import CRYPTO, Owner

HOME = "email1.example"
ALICE, BOB, CAROL = f"alice@{HOME}", f"bob@{HOME}", "carol@email2.example"


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[LoggedLocals]:
    made = LoggedLocals(tmp_path, peers={name: f"https://ds.{name}" for name in (HOME, "email2.example")})
    assert await made.advance()
    yield made
    await made.close()


async def enrolled(logs: LoggedLocals, identity: str) -> Person:
    """A client that its service knows, without a manifest."""
    made = await person(identity)
    local = logs.at[identity.rpartition("@")[2]]
    basic = made.keys.credential.require_basic()
    client = Client(made.signer.client_id, identity, basic.algorithm, basic.public_key)
    assert scheme_of(basic.algorithm) == "ed25519"
    await local.service.store.enrol(client, None, logs.time, listed=True)
    return made


async def post(local: Local, who: Person, path: str, body: Struct | bytes, kind: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else body.encode()
    headers = await local.signed(who, "POST", path, content, kind)
    return await local.bare.post(path, headers=headers, content=content)


async def ask(local: Local, who: Person, *identities: str) -> httpx.Response:
    asked = AnswersRequest(0, tuple(AnswerRequest(identity.encode(), 0) for identity in identities))
    return await post(local, who, ANSWERS_PATH, asked, LOG_ANSWERS)


async def test_manifests_are_taken_and_answered_about(logs: LoggedLocals) -> None:
    home = logs.at[HOME]
    alice, carol = await enrolled(logs, ALICE), await enrolled(logs, CAROL)
    signed = await (await Owner.of(alice)).next()
    answer = await post(home, alice, MANIFESTS_PATH, signed, MANIFEST)
    assert (answer.status_code, answer.json()) == (200, {"version": 1})
    await logs.advance()
    for who in (alice, carol):
        answer = await ask(home, who, ALICE)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == LOG_ANSWERS
        (found,) = Answers.decode(answer.content).answers
        assert found is not None
        assert found.presence is not None
        assert found.presence.manifests == (signed,)


async def test_who_may_submit(logs: LoggedLocals) -> None:
    home = logs.at[HOME]
    alice, bob, carol = await enrolled(logs, ALICE), await enrolled(logs, BOB), await enrolled(logs, CAROL)
    of_alice, of_carol = await (await Owner.of(alice)).next(), await (await Owner.of(carol)).next()
    for who, signed, status, code in (
        (bob, of_alice, 403, "not-yours"),
        (carol, of_carol, 403, "not-yours"),
        (alice, of_alice.replace(signature=bytes(64)), 403, "manifest-refused"),
        (await person(ALICE), of_alice, 401, "unknown-client"),
    ):
        answer = await post(home, who, MANIFESTS_PATH, signed, MANIFEST)
        assert (answer.status_code, code_of(answer)) == (status, code)
    assert await logs.log().newest(ALICE) is None
    for body in (b"", of_alice.encode() + b"\0", bytes(1 << 17)):
        answer = await post(home, alice, MANIFESTS_PATH, body, MANIFEST)
        assert (answer.status_code, code_of(answer)) == (400, "malformed-request")
    answer = await post(home, alice, MANIFESTS_PATH, bytes((1 << 17) + 1), MANIFEST)
    assert answer.status_code == 413
    owner = await Owner.of(alice)
    versions = [await owner.next(), await owner.next(), await owner.next()]
    for place, status, code in ((0, 200, ""), (2, 409, "manifest-conflict"), (1, 200, "")):
        answer = await post(home, alice, MANIFESTS_PATH, versions[place], MANIFEST)
        assert answer.status_code == status
        assert status == 200 or code_of(answer) == code


async def test_nobody_learns_who_is_there(logs: LoggedLocals) -> None:
    """An identity that waits, one without a manifest, and one that is not there: the same status and bytes."""
    home = logs.at[HOME]
    alice, carol = await enrolled(logs, ALICE), await enrolled(logs, CAROL)
    await enrolled(logs, BOB)
    await post(home, alice, MANIFESTS_PATH, await (await Owner.of(alice)).next(), MANIFEST)
    answers = [await ask(home, carol, name) for name in (ALICE, BOB, f"nobody@{HOME}", CAROL)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {Answers((), (None,)).encode()}
    own = Answers.decode((await ask(home, alice, ALICE)).content)
    assert own.answers[0] is not None
    assert own.answers[0].presence is None


async def test_questions_have_one_form_and_a_limit(logs: LoggedLocals) -> None:
    home, alice = logs.at[HOME], await enrolled(logs, ALICE)
    names = [f"p{number}@{HOME}" for number in range(51)]
    many = AnswersRequest(0, tuple(AnswerRequest(name.encode(), 0) for name in names[:50]))
    assert (await post(home, alice, ANSWERS_PATH, many, LOG_ANSWERS)).status_code == 200
    whole = many.encode()
    for body in (b"", whole[:-1], whole + b"\0", whole[:8] + b"\0\0"):
        answer = await post(home, alice, ANSWERS_PATH, body, LOG_ANSWERS)
        assert (answer.status_code, code_of(answer)) == (400, "malformed-request")
    assert (await ask(home, alice, "Alice@email1.example")).status_code == 400
    assert (await post(home, alice, ANSWERS_PATH, bytes(1 << 16), LOG_ANSWERS)).status_code == 413
    with pytest.raises(RoomkeyError):
        AnswersRequest.decode(AnswersRequest(0, many.requests + many.requests[:1]).encode())


async def test_questions_are_counted_but_for_ones_own_name(tmp_path: Path) -> None:
    logs = LoggedLocals(tmp_path, rates=Rates(claimed=Rate(5, 0.001), target=Rate(2, 0.001)))
    home = logs.at[HOME]
    alice, bob = await enrolled(logs, ALICE), await enrolled(logs, BOB)
    for _ in range(2):
        assert (await ask(home, alice, BOB)).status_code == 200
    answer = await ask(home, alice, BOB)
    assert (answer.status_code, code_of(answer)) == (429, "too-many-requests")
    for _ in range(5):  # nobody can keep its owner out
        assert (await ask(home, bob, BOB)).status_code == 200
    assert (await ask(home, bob, BOB)).status_code == 429
    await logs.close()


async def test_a_tree_can_be_made_of_the_files(logs: LoggedLocals) -> None:
    """As c2sp.org/tlog-tiles describes: past a tile's border, whole and partial tiles and bundles, of every level."""
    home, count = logs.at[HOME].bare, 260
    owner = await Owner.make()
    for _ in range(count - 1):
        logs.time += 86400
        await logs.log().submit(await owner.next(), logs.time)
        await logs.log().advance()
    note = await home.get("/v1/log/checkpoint")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    assert note.headers["cache-control"] == "no-store"
    trust = logs.trusts[HOME]
    head = (await open_checkpoint(CRYPTO, note.content, trust.log)).checkpoint
    assert head.size == count
    tiles = {}
    for path in ("entries/000", "entries/001.p/4", "0/000", "0/001.p/4", "1/000.p/1", "entries/000.p/7", "0/000.p/7"):
        answer = await home.get(f"/v1/log/tile/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]
        tiles[path] = answer.content
    hashes = tiles["0/000"] + tiles["0/001.p/4"]
    leaves = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    assert merkle.root(leaves) == head.root
    assert tiles["1/000.p/1"] == merkle.root(leaves[:256])
    assert tiles["0/000"].startswith(tiles["0/000.p/7"])
    assert tiles["entries/000"].startswith(tiles["entries/000.p/7"])
    bundle = tiles["entries/000"] + tiles["entries/001.p/4"]
    entries = [bundle[at + 2 : at + 114] for at in range(0, len(bundle), 114)]
    assert [merkle.leaf_hash(entry) for entry in entries] == leaves
    for number in (0, 1, 259):
        answer = await home.get(f"/v1/log/updates/{number}")
        assert answer.headers["content-type"] == MAP_UPDATES
        assert MapUpdates.decode(answer.content).hash() == EpochLeaf.decode(entries[number]).updates_hash
    for path in ("0/001.p/5", "0/001", "1/000.p/2", "1/000", "2/000.p/1", "entries/001", "entries/001.p/5", "0/002"):
        assert (await home.get(f"/v1/log/tile/{path}")).status_code == 404
    assert (await home.get("/v1/log/updates/260")).status_code == 404


@pytest.mark.parametrize("number", ["-1", "00", "01", "1x", "", "٣", "9" * 30, "0/0"])
async def test_updates_have_one_name(logs: LoggedLocals, number: str) -> None:
    assert (await logs.at[HOME].bare.get(f"/v1/log/updates/{number}")).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["0/0", "0/00", "0/0000", "00/000", "64/000", "-1/000", "x/000", "0/x000/000", "0/001/000", "0/x001", "0/000.p/0",
     "0/000.p/256", "0/000.p/01", "0/000.p/", "0/000.p/1/2", "0/٠٠٠", "entries/000.p/x", "Entries/000", "0/", "/000"],
)  # fmt: skip
async def test_tiles_have_one_name(logs: LoggedLocals, path: str) -> None:
    level, _, place = path.partition("/")
    assert TilePath.decode(level, place) is None
    assert (await logs.at[HOME].bare.get(f"/v1/log/tile/{path}")).status_code in (404, 307)


def test_names_of_tiles() -> None:
    """The specification's own example, and one for each number of digits."""
    assert TilePath.decode("0", "x001/x234/067") == (0, 1234067, 256)
    assert TilePath.decode("entries", "x001/x234/067.p/255") == (None, 1234067, 255)
    for number in (0, 7, 999, 1000, 999_999, 1_000_000, 2**40):
        assert TilePath.decode("63", tile_number(number)) == (63, number, 256)
        assert re.fullmatch("(x[0-9]{3}/)*[0-9]{3}", tile_number(number))


async def test_files_are_counted_by_address(tmp_path: Path) -> None:
    logs = LoggedLocals(tmp_path, rates=Rates(log_files=Rate(3, 0.001)))
    await logs.advance()
    statuses = [(await logs.at[HOME].bare.get("/v1/log/updates/0")).status_code for _ in range(5)]
    assert statuses[-1] == 429
    assert 200 in statuses
    await logs.close()


async def test_a_service_without_a_log_has_none_of_it(tmp_path: Path) -> None:
    local = Local(tmp_path)
    for path in ("/v1/log/checkpoint", "/v1/log/tile/0/000", "/v1/log/updates/0"):
        assert (await local.bare.get(path)).status_code == 404
    assert "log" not in (await local.bare.get("/v1/service")).json()
    await local.close()


async def test_the_description_names_the_keys(logs: LoggedLocals) -> None:
    keys = logs.keys[HOME].public()
    said = (await logs.at[HOME].bare.get("/v1/service")).json()["log"]
    assert said == {"key": keys["log"], "vrfKey": keys["vrfKey"], "auditor": keys["auditor"]}
