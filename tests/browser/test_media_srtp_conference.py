"""SRTP of a conference in TypeScript (wire.md section 7), in Node and in Chromium: epochs, streams, a hostile relay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser

from tests.browser.support import media
from tests.browser.support.media import RunCheck

PROFILES = [1, 7, 8]
MODES = ["mki", "no-mki"]
# By hand: a length in one byte, in two, and none.
STREAMS = [
    {"streams": [], "encoded": "00"},
    {"streams": [{"ssrc": 0xDEADBEEF, "profile": 7, "rollover": 0xFFFFFFFF}], "encoded": "0adeadbeef0007ffffffff"},
    {
        "streams": [{"ssrc": number, "profile": 1, "rollover": 2} for number in range(7)],
        "encoded": "4046" + "".join(f"{number:08x}000100000002" for number in range(7)),
    },
]


@pytest.fixture(scope="module", params=["node", "chromium"])
def run(
    request: pytest.FixtureRequest, chromium: PlaywrightBrowser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunCheck]:
    with media.checks("srtp_conference_checks", request.param, chromium, tmp_path_factory.mktemp("media")) as running:
        yield running


def test_announcements(run: RunCheck) -> None:
    assert run("encoding", {"cases": STREAMS}) == len(STREAMS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_stream_runs_on_through_epochs(run: RunCheck, profile: int, mode: str) -> None:
    assert run("epochs", {"profile": profile, "mode": mode}) == 1


@pytest.mark.parametrize("check", ["oldKeys", "removal", "streams", "successor", "exhausted"])
def test_rules(run: RunCheck, check: str) -> None:
    assert run(check, {}) == 1


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_relay_that_does_what_it_likes(run: RunCheck, profile: int, mode: str, seed: int) -> None:
    assert run("relay", {"profile": profile, "mode": mode, "seed": seed}) > 700
