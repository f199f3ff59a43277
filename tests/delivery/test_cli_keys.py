"""Whose keys are whose, from the command line: further devices, people who began anew, evidence against a log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from roomkey.client.log_records import RESETS, AwaitedReset
from roomkey.host.native import NativeHost
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.evidence import ForkEvidence
from roomkey.transparency.notes import sign_note

from tests.delivery.test_cli_logs import desk
from tests.delivery.test_cli_mail import REFUSED, USAGE, Desk
from tests.support.audited_log import CRYPTO, make_key
from tests.support.logged_services import LoggedServices, logged_services

ALICE, BOB = "alice@email1.example", "bob@email2.example"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[LoggedServices]:
    folder = tmp_path / "services"
    folder.mkdir()
    with logged_services(folder) as running:
        yield running


def addresses(services: LoggedServices) -> list[str]:
    return [argument for url in services.urls for argument in ("--service", url)]


def fingerprint(person: Desk) -> str:
    """What their `roomkey devices` says, to be read out."""
    (line,) = [line for line in person.run("devices").splitlines() if "began anew" in line]
    return line.partition(": ")[2]


def ids(person: Desk) -> list[str]:
    return [line.split()[0] for line in person.run("devices").splitlines() if "device, " in line]


def prepared(person: Desk, file: Path) -> str:
    """The id of the device that was prepared there, as it is shown."""
    return person.run("prepare-device", ALICE, "--to", str(file)).split()[0]


def test_a_further_device_comes_and_goes(services: LoggedServices, tmp_path: Path) -> None:
    old, new = (desk(services, ALICE, tmp_path / name) for name in ("old", "new"))
    bob = desk(services, BOB, tmp_path / "bob")
    old.enrol()
    bob.enrol()
    file = tmp_path / "request"
    shown = prepared(new, file)
    assert "cannot be written" in new.run("prepare-device", ALICE, "--to", str(file), expect=USAGE)
    assert "identity-mismatch" in bob.run("admit-device", str(file), "--id", shown, expect=REFUSED)
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk")
    assert "malformed" in old.run("admit-device", str(junk), expect=REFUSED)
    assert shown in old.run("admit-device", str(file), expect=USAGE)
    for wrong in ("", shown[:-1] + ("0" if shown[-1] != "0" else "1"), shown[:16]):
        assert "not the id" in old.run("admit-device", str(file), "--id", wrong, expect=REFUSED)
    assert len(ids(old)) == 1
    admitted = old.run("admit-device", str(file), "--id", shown.upper()).split()[0]
    assert admitted == shown
    new.run("enrol", ALICE, *addresses(services), "--admitted")
    assert sorted(ids(old)) == sorted(ids(new))
    assert admitted in ids(old)
    assert len(ids(old)) == 2
    assert fingerprint(old) == fingerprint(new)

    bob.run("write", ALICE, "--text", "to whichever you carry")
    for device in (old, new):
        assert device.read("--accept", BOB) == ["to whichever you carry"]

    for wrong in (admitted[:6], "0" * 16):
        assert "roomkey devices" in old.run("remove-device", wrong, expect=USAGE)
    (own,) = set(ids(old)) - {admitted}
    assert "bad-argument" in old.run("remove-device", own, expect=REFUSED)
    old.run("remove-device", admitted[:8])
    assert ids(old) == [own]
    assert "not-in-manifest" in new.run("read", expect=REFUSED)
    bob.run("write", ALICE, "--text", "to the one that is left")
    assert old.read() == ["to the one that is left"]


def test_a_conversation_takes_a_further_device_in(services: LoggedServices, tmp_path: Path) -> None:
    """Whoever writes next brings it in, and it reads from there on; a device that was taken off is not brought back."""
    old, new = (desk(services, ALICE, tmp_path / name) for name in ("old", "new"))
    bob = desk(services, BOB, tmp_path / "bob")
    old.enrol()
    bob.enrol()
    bob.run("write", ALICE, "--text", "one")
    assert old.read("--accept", BOB) == ["one"]
    requests = [tmp_path / "request", tmp_path / "another request"]
    admitted = prepared(new, requests[0])
    old.run("admit-device", str(requests[0]), "--id", admitted)
    new.run("enrol", ALICE, *addresses(services), "--admitted")
    assert f"another device of {ALICE} takes part" in bob.run("write", ALICE, "--text", "two")
    assert old.read() == ["two"]
    assert new.read("--accept", BOB) == ["two"]
    new.run("write", BOB, "--text", "three")
    assert (old.read(), bob.read()) == (["three"], ["three"])
    assert bob.run("people").count(f"conversation with {ALICE}") == 1

    spare = desk(services, ALICE, tmp_path / "spare")
    old.run("admit-device", str(requests[1]), "--id", prepared(spare, requests[1]))
    assert "another device" not in bob.run("write", ALICE, "--text", "four")  # it has no keys to be added by yet
    assert (old.read(), new.read()) == (["four"], ["four"])

    old.run("remove-device", admitted)
    assert "another device" not in bob.run("write", ALICE, "--text", "five")
    assert old.read() == ["five"]


async def lose_the_way(folder: Path) -> None:
    """Of the reset that waits for Alice's consent: as if too many manifests lay between to follow them."""
    host = NativeHost(folder)
    store = await host.open_store(ALICE)
    waiting = await store.get(RESETS + BOB)
    assert waiting is not None
    await store.write({RESETS + BOB: AwaitedReset.decode(waiting).replace(version=0).encode()})
    await store.close()
    await host.close()


def test_who_began_anew_is_agreed_to_by_fingerprint(services: LoggedServices, tmp_path: Path) -> None:
    alice, bob = desk(services, ALICE, tmp_path / "alice"), desk(services, BOB, tmp_path / "bob")
    alice.enrol()
    bob.enrol()
    alice.run("write", BOB, "--text", "first")
    assert bob.read("--accept", ALICE) == ["first"]
    assert "did not begin anew" in alice.run("accept-reset", BOB, expect=REFUSED)

    anew = desk(services, BOB, tmp_path / "anew")
    code = services.at(BOB).enrolment_code(BOB, "--reset")
    anew.run("enrol", BOB, *addresses(services), "--reset", ROOMKEY_CODE=code)
    said = alice.run("write", BOB, "--conversation", "second", "--text", "are you the same?", expect=REFUSED)
    assert "identity-reset" in said
    assert f"{BOB} began anew; what you write goes to" in alice.run("write", BOB, "--text", "to the devices before")
    theirs = fingerprint(anew)
    asked = alice.run("accept-reset", BOB, expect=USAGE)
    assert theirs in asked
    assert f"{BOB} began anew" in asked
    asyncio.run(lose_the_way(alice.folder))
    asked = alice.run("accept-reset", BOB, expect=USAGE)
    assert theirs in asked
    assert "whether they began anew, nobody but they can tell" in asked
    for wrong in ("", theirs[:-1] + ("0" if theirs[-1] != "0" else "1"), theirs[5:]):
        assert "is not the fingerprint" in alice.run("accept-reset", BOB, "--fingerprint", wrong, expect=REFUSED)
    alice.run("accept-reset", BOB, "--fingerprint", theirs.upper())
    alice.run("write", BOB, "--conversation", "second", "--text", "welcome back")
    assert anew.read("--accept", ALICE)[-1:] == ["welcome back"]


def test_evidence_of_others(services: LoggedServices, tmp_path: Path) -> None:
    alice = desk(services, ALICE, tmp_path / "alice")
    alice.enrol()
    assert "no log was seen to show two truths" in alice.run("evidence")

    async def lie() -> ForkEvidence:
        log, pair = await make_key("email2.example/roomkey")
        notes = [
            await sign_note(CRYPTO, Checkpoint(log.name, 7, bytes((fill,)) * 32).text(), log, pair) for fill in (1, 2)
        ]
        return ForkEvidence(log, *notes)

    proof = asyncio.run(lie())
    good, same, junk = (tmp_path / name for name in ("good.txt", "same.txt", "junk.txt"))
    good.write_text(proof.encode())
    same.write_text(proof._replace(second=proof.first).encode())
    junk.write_bytes(b"\xff\xfe")
    assert proof.log.encode() in alice.run("evidence", "--check", str(good))
    assert "proves nothing (log-proof-invalid)" in alice.run("evidence", "--check", str(same), expect=REFUSED)
    assert "not UTF-8" in alice.run("evidence", "--check", str(junk), expect=REFUSED)
    assert "cannot be read" in alice.run("evidence", "--check", str(tmp_path / "none"), expect=USAGE)
