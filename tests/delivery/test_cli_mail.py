"""Mail from the command line: two services, two people, and each step a process of its own."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.processes import SOURCES
from tests.support.services import TwoServices, two_services

DONE, REFUSED, USAGE, NOT_NOW = range(4)


class Desk:
    """A person at a terminal: `roomkey` with a folder of their own."""

    def __init__(self, services: TwoServices, identity: str, folder: Path) -> None:
        self.services, self.identity, self.folder = services, identity, folder

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "roomkey_cli", "--folder", str(self.folder), *arguments]

    def run(self, *arguments: str, text: str = "", expect: int = DONE, **environment: str) -> str:
        """What a command prints; its messages of trouble too, after it. Fails unless it ends with this status."""
        result = subprocess.run(
            self.command(*arguments), input=text, capture_output=True, text=True, timeout=120, check=False,
            env=os.environ | {"PYTHONPATH": str(SOURCES), "TZ": "UTC"} | environment,
        )  # fmt: skip
        said = result.stdout + result.stderr
        assert result.returncode == expect, said
        assert "Traceback" not in said, said
        return said

    def enrol(self) -> None:
        code = self.services.at(self.identity).enrolment_code(self.identity)
        addresses = [argument for url in self.services.urls for argument in ("--service", url)]
        assert self.run("enrol", self.identity, *addresses, ROOMKEY_CODE=code).startswith(self.identity)

    def read(self, *arguments: str, expect: int = DONE) -> list[str]:
        """The texts of the messages that came."""
        lines = self.run("read", *arguments, expect=expect).splitlines()
        return [line.partition(": ")[2] for line in lines if line.startswith("[")]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[TwoServices]:
    folder = tmp_path / "services"
    folder.mkdir()
    with two_services(folder) as running:
        yield running


@pytest.fixture
def alice(services: TwoServices, tmp_path: Path) -> Desk:
    made = Desk(services, "alice@email1.example", tmp_path / "alice")
    made.enrol()
    return made


@pytest.fixture
def bob(services: TwoServices, tmp_path: Path) -> Desk:
    made = Desk(services, "bob@email2.example", tmp_path / "bob")
    made.enrol()
    return made


def test_two_people_who_are_never_there_at_the_same_time(services: TwoServices, alice: Desk, bob: Desk) -> None:
    first, answer, more = "the harbour at nine", "then the ferry at ten", "bring the green folder"
    alice.run("write", bob.identity, text=first + "\n")
    assert f"invites you to a conversation with {alice.identity}" in bob.run("read")
    assert bob.read("--accept", alice.identity) == [first]
    assert "nothing new" in bob.run("read")
    bob.run("write", alice.identity, "--text", answer)
    bob.run("write", alice.identity, "--text", more)
    assert alice.read() == [answer, more]
    assert alice.run("digits") == bob.run("digits").replace(alice.identity, bob.identity)
    assert f"{bob.identity}  known since" in alice.run("people")
    assert alice.run("people").endswith(f"conversation with {bob.identity}: 0 unread\n")
    assert [line.split("] ")[1].split(" ")[0].rstrip(":") for line in alice.run("read", "--all").splitlines()] == [
        alice.identity, bob.identity, bob.identity,
    ]  # fmt: skip

    # The services have what they need to deliver, and no word of what was said.
    stored = services.stored()
    for probe in (b"alice@email1.example", b"bob@email2.example"):
        assert probe in stored
    for said in (first, answer, more):
        for piece in (said[:12], said[-12:]):  # long enough to come from nowhere else
            for probe in (piece.encode(), piece.encode("utf-16-le"), piece.encode().hex().encode()):
                assert probe not in stored, piece


def test_what_is_on_disk_before_it_is_read_is_not_plain_either(services: TwoServices, alice: Desk, bob: Desk) -> None:
    said = "waits in an inbox, unread"
    alice.run("write", bob.identity, "--text", said)
    inbox = services.at(bob.identity)
    inbox.kill()  # the write-ahead log stays as it is
    stored = services.stored()
    assert b"alice@email1.example" in stored
    assert said.encode() not in stored
    inbox.restart()
    assert bob.read("--accept", alice.identity) == [said]


def test_writing_without_a_network_is_sent_by_the_next_run(services: TwoServices, alice: Desk, bob: Desk) -> None:
    for domain in services.running:
        services.at(domain).kill()
    assert "waits here for the next run" in alice.run("write", bob.identity, "--text", "one", expect=NOT_NOW)
    assert "waits here for the next run" in alice.run("write", bob.identity, "--text", "two", expect=NOT_NOW)
    assert alice.run("people", expect=NOT_NOW).count(f"unsent: to {bob.identity}") == 2
    services.at(alice.identity).restart()
    alice.run("read", expect=NOT_NOW)  # Bob's service is still away
    services.at(bob.identity).restart()
    alice.run("read")
    assert bob.read("--accept", alice.identity) == ["one", "two"]
    # Now that there is a conversation, its own service is not needed to write in it.
    services.at(alice.identity).kill()
    bob.run("write", alice.identity, "--text", "three", expect=NOT_NOW)
    services.at(alice.identity).restart()
    bob.run("read")
    assert alice.read() == ["three"]
    assert "unsent" not in bob.run("people")


def test_both_began_at_the_same_time_and_go_on_in_one_conversation(alice: Desk, bob: Desk) -> None:
    alice.run("write", bob.identity, "--text", "from alice")
    bob.run("write", alice.identity, "--text", "from bob", "--conversation", "elsewhere")
    assert alice.read() == ["from bob"]  # Bob is known: she has fetched his keys
    assert bob.read() == ["from alice"]
    alice.run("write", "--conversation", "elsewhere", "--text", "here too")
    assert bob.read() == ["here too"]
    alice.run("write", bob.identity, "--text", "again")
    assert bob.read() == ["again"]
    assert alice.run("people").count("conversation ") == 2


def test_a_reader_that_follows_sends_what_others_write(alice: Desk, bob: Desk) -> None:
    alice.run("write", bob.identity, "--text", "hello")
    bob.read("--accept", alice.identity)
    following = subprocess.Popen(
        bob.command("read", "--follow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    try:
        assert following.stdout is not None
        alice.run("write", bob.identity, "--text", "are you there?")
        assert following.stdout.readline().endswith("are you there?\n")
        bob.run("write", alice.identity, "--text", "yes")  # by another process, while the identity is open
        assert alice.read() == ["yes"]
    finally:
        following.send_signal(signal.SIGINT)
        _, said = following.communicate(timeout=120)
    assert following.returncode == 0
    assert "Traceback" not in said


def test_what_others_write_does_not_steer_the_terminal(alice: Desk, bob: Desk) -> None:
    alice.run("write", bob.identity, "--text", "one\n[2026-01-01 00:00] bob@email2.example: forged\x1b[2J\u202e")
    lines = bob.run("read", "--accept", alice.identity).splitlines()
    (start,) = (place for place, line in enumerate(lines) if line.startswith("["))
    assert lines[start + 1] == r"    [2026-01-01 00:00] bob@email2.example: forged\x1b[2J\u202e"


def test_what_is_kept_here_is_for_its_owner_only(services: TwoServices, alice: Desk, bob: Desk) -> None:
    services.at(bob.identity).kill()
    alice.run("write", bob.identity, "--text", "mine", expect=NOT_NOW)
    files = [path for path in alice.folder.rglob("*") if path.is_file()]
    assert any(b"mine" in path.read_bytes() for path in files if path.suffix == ".json")
    for path in (alice.folder, *alice.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_errors_are_sentences_with_a_status(services: TwoServices, alice: Desk, tmp_path: Path) -> None:
    assert "begin with roomkey enrol" in Desk(services, "x", tmp_path / "nobody").run("read", expect=REFUSED)
    assert "is no name we can use" in alice.run("write", "nonsense", "--text", "x", expect=USAGE)
    assert "nothing to send" in alice.run("write", "bob@email2.example", text=" \n", expect=USAGE)
    assert "name somebody else" in alice.run("write", alice.identity, "--text", "x", expect=USAGE)
    said = alice.run("write", "nobody@elsewhere.example", "--text", "kept text", expect=REFUSED)
    assert "No delivery service is known" in said
    aside = Path(said.rpartition(" as ")[2].strip())
    assert "kept text" in aside.read_text("utf-8")
    assert "nothing new" in alice.run("read")  # it is not tried for ever
    assert "no such conversation" in alice.run("digits", "bob@email2.example", expect=REFUSED)
    assert "exists here already" in alice.run(
        "enrol", alice.identity, "--service", services.urls[0], expect=REFUSED, ROOMKEY_CODE="x"
    )
    eve = Desk(services, "eve@email1.example", tmp_path / "eve")
    assert "code is missing" in eve.run("enrol", eve.identity, "--service", services.urls[0], expect=USAGE)
    assert "not valid for this name" in eve.run(
        "enrol", eve.identity, "--service", services.urls[0], "--code-file", "-", text="wrong\n", expect=REFUSED
    )
    (eve.folder / "roomkey.toml").write_text("[services]\n'email2.example' = 5\n")
    assert "should look like https://" in eve.run("read", expect=USAGE)
    (eve.folder / "roomkey.toml").write_text("[service")
    assert "is not TOML" in eve.run("read", expect=USAGE)
