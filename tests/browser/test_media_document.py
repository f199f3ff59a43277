"""What web/docs/native-media.md says, done: by its command ffmpeg records the picture that a page sent."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from roomkey.media.srtp import SrtpKeys, profile_by_name

from build_scripts import ffmpeg, paths
from tests.browser.support import media
from tests.browser.support.media import RunCheck
from tests.browser.support.srtp_player import DEADLINE, FRAME_SIZE, PLAYED_SECONDS, free_port, is_free, send
from tests.browser.test_media_ffmpeg import COUNT, PROFILE, RATE, shows_the_picture, stream
from tests.delivery.processes import SOURCES
from tests.delivery.test_cli_mail import USAGE, Desk
from tests.support.person_browser import until
from tests.support.services import two_services

DOCUMENT = paths.WEB / "docs" / "native-media.md"
ALICE, BOB = "alice@email1.example", "bob@email2.example"


@pytest.fixture(scope="module")
def run(chromium: PlaywrightBrowser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunCheck]:
    with media.checks("picture_stream", "chromium", chromium, tmp_path_factory.mktemp("media")) as running:
        yield running


@pytest.fixture(scope="module")
def player() -> Path:
    try:
        return ffmpeg.find_ffmpeg()
    except ffmpeg.FfmpegMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Desk]]:
    """Alice and Bob, in one conversation."""
    folder = tmp_path_factory.mktemp("desks")
    (folder / "services").mkdir()
    with two_services(folder / "services") as services:
        alice, bob = Desk(services, ALICE, folder / "alice"), Desk(services, BOB, folder / "bob")
        for desk in (bob, alice):
            desk.enrol()
        alice.run("write", BOB, "--text", "look at this")
        assert bob.read("--accept", ALICE) == ["look at this"]
        yield alice, bob


def keys_of(desk: Desk, *names: str) -> dict[str, Any]:
    """What the command gives as JSON, and what it says it is."""
    said = desk.run("srtp-keys", *names, "--fd", "1")
    first, rest = said.splitlines()[0], said.splitlines()[1:]
    assert any("whoever has them sees and hears" in line for line in rest), said
    found: dict[str, Any] = json.loads(first)
    return found


def sent_by(found: dict[str, Any], identity: str) -> SrtpKeys:
    (one,) = (key for key in found["keys"] if key["identity"] == identity)
    parts = (bytes.fromhex(one[name]) for name in ("mki", "masterKey", "masterSalt"))
    return SrtpKeys(profile_by_name(found["profile"]), found["epoch"], one["leafIndex"], *parts)


def command_of_the_document() -> str:
    """The document's one block of shell."""
    _, block, *more = DOCUMENT.read_text().split("```sh\n")
    assert not more
    return block.partition("```")[0]


def test_the_documents_command_records_what_a_page_sent(
    run: RunCheck, player: Path, desks: tuple[Desk, Desk], tmp_path: Path
) -> None:
    alice, bob = desks
    frames = stream(run, "VP8", sent_by(keys_of(alice, BOB), ALICE))
    port = free_port()
    command = command_of_the_document()
    assert " 5004 " in command
    program = tmp_path / "roomkey"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m roomkey_cli --folder {bob.folder} "$@"\n')
    program.chmod(stat.S_IRWXU)
    search = os.pathsep.join([str(tmp_path), str(player.parent), os.environ["PATH"]])
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command.replace(" 5004 ", f" {port} ")], cwd=tmp_path, start_new_session=True, stderr=log,
            env=os.environ | {"PYTHONPATH": str(SOURCES), "PATH": search},
        )  # fmt: skip
    try:
        until("ffmpeg to listen", lambda: not is_free(port))
        send(port, frames[:-RATE], RATE)
        time.sleep(PLAYED_SECONDS)
        os.killpg(process.pid, signal.SIGINT)  # as by Ctrl-C, which it heeds when the next packet comes
        send(port, frames[-RATE:], RATE)
        until("all of the command to end", lambda: process.poll() is not None and not is_there(process.pid))
    finally:
        if is_there(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert shows_the_picture(recorded(player, tmp_path / "call.mkv"))


def is_there(group: int) -> bool:
    """Whether a process of this group runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def recorded(player: Path, file: Path) -> list[bytes]:
    """The pictures of a file."""
    command = [str(player), "-nostdin", "-loglevel", "error", "-i", str(file), "-fps_mode", "passthrough"]
    result = subprocess.run(
        [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, timeout=DEADLINE
    )
    data = result.stdout
    found = [data[at : at + FRAME_SIZE] for at in range(0, len(data) - FRAME_SIZE + 1, FRAME_SIZE)]
    assert len(found) >= COUNT // 2, result.stderr
    return found


def test_both_get_the_same_keys_and_nobody_gets_them_by_accident(desks: tuple[Desk, Desk]) -> None:
    alice, bob = desks
    hers, his = keys_of(alice, BOB), keys_of(bob, ALICE)
    assert (hers["profile"], hers["epoch"]) == (his["profile"], his["epoch"]) == (PROFILE, his["epoch"])
    assert {key["identity"]: (key["masterKey"], key["masterSalt"], key["mki"]) for key in hers["keys"]} == {
        key["identity"]: (key["masterKey"], key["masterSalt"], key["mki"]) for key in his["keys"]
    }
    assert [key["own"] for key in hers["keys"]] == [not key["own"] for key in his["keys"]]
    assert "required: --fd" in bob.run("srtp-keys", ALICE, expect=USAGE)
    assert "is not open" in bob.run("srtp-keys", ALICE, "--fd", "9", expect=USAGE)
    assert "name them by --of" in bob.run("srtp-keys", ALICE, "--fd", "1", "--sdp", "5004", expect=USAGE)
    controller, terminal = os.openpty()
    try:
        refused = subprocess.run(
            bob.command("srtp-keys", ALICE, "--fd", str(terminal)), pass_fds=[terminal], capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": str(SOURCES)}, timeout=DEADLINE, check=False,
        )  # fmt: skip
    finally:
        os.close(terminal)
        os.close(controller)
    assert (refused.returncode, refused.stdout) == (USAGE, "")
    assert "not shown on a terminal" in refused.stderr
