"""SRTP of a conference in TypeScript (wire.md section 7), in Node and in Chromium: epochs, streams, a hostile relay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from roomkey.errors import RoomkeyError
from roomkey.media.srtp import SrtpStream, SrtpStreams

from tests.browser.support import media
from tests.browser.support.media import RunCheck

PROFILES = [1, 7, 8]
MODES = ["mki", "no-mki"]
# A length in one byte, in two, and none.
STREAMS = [
    (),
    (SrtpStream(0xDEADBEEF, 7, 0xFFFFFFFF),),
    tuple(SrtpStream(number, 1, 2) for number in range(7)),
    tuple(SrtpStream(2**32 - 1 - number, 8, number) for number in range(32)),
]


@pytest.fixture(scope="module", params=["node", "chromium"])
def run(
    request: pytest.FixtureRequest, chromium: PlaywrightBrowser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunCheck]:
    with media.checks("srtp_conference_checks", request.param, chromium, tmp_path_factory.mktemp("media")) as running:
        yield running


def test_announcements(run: RunCheck) -> None:
    """As Python writes them."""
    cases = [
        {
            "streams": [
                {"ssrc": item.ssrc, "profile": item.protection_profile, "rollover": item.roc} for item in streams
            ],
            "encoded": SrtpStreams(streams).encode().hex(),
        }
        for streams in STREAMS
    ]
    assert run("encoding", {"cases": cases}) == len(STREAMS)
    assert cases[1]["encoded"] == "0adeadbeef0007ffffffff"
    with pytest.raises(RoomkeyError, match="malformed"):
        SrtpStreams.decode(SrtpStreams(tuple(SrtpStream(number, 7, 0) for number in range(33))).encode())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_stream_runs_on_through_epochs(run: RunCheck, profile: int, mode: str) -> None:
    assert run("epochs", {"profile": profile, "mode": mode}) == 1


@pytest.mark.parametrize(
    "check",
    ["oldKeys", "removal", "streams", "reloads", "lapses", "unnamed", "condition", "successor", "exhausted", "junk"],
)
def test_rules(run: RunCheck, check: str) -> None:
    assert run(check, {}) == 1


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_relay_that_does_what_it_likes(run: RunCheck, profile: int, mode: str, seed: int) -> None:
    assert run("relay", {"profile": profile, "mode": mode, "seed": seed}) > 700
