"""Members who mean ill, against the rules of media: most of them value machines in Node, without a clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.support import media
from tests.browser.support.media import RunCheck


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunCheck:
    return media.node_checks("attack_checks", tmp_path_factory.mktemp("media"))


def test_a_stream_of_another_ones_number_slows_nobody_down(run: RunCheck) -> None:
    assert run("sameNumber", {}) == 1


def test_clients_seldom_have_one_number(run: RunCheck) -> None:
    assert run("numbers", {}) == 1


def test_who_asks_for_key_frames_all_the_time_gets_few(run: RunCheck) -> None:
    assert run("keyFrames", {}) == 1


def test_who_announces_streams_all_the_time_is_answered_now_and_then(run: RunCheck) -> None:
    assert run("announcements", {}) == 1


@pytest.mark.parametrize("check", ["candidates", "manySections"])
def test_signals_of_a_call_are_bounded_in_what_they_cause(run: RunCheck, check: str) -> None:
    assert run(check, {}) == 1


@pytest.fixture(scope="module")
def run_in_page(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunCheck]:
    with media.checks("attack_checks", "chromium", chromium, tmp_path_factory.mktemp("media")) as running:
        yield running


def test_a_member_who_offers_many_sections_gets_one_picture(run_in_page: RunCheck) -> None:
    """Each would have us encode another one."""
    assert run_in_page("sections", {"count": 20}) == 1


def test_a_member_who_sends_many_streams_is_shown_once(run: RunCheck) -> None:
    assert run("manyStreams", {}) == 1


def test_a_member_does_not_say_how_much_we_send(run_in_page: RunCheck) -> None:
    assert run_in_page("forcedBitrate", {}) == 1


def test_a_picture_that_is_too_large_reaches_no_decoder(run: RunCheck, run_in_page: RunCheck) -> None:
    assert run_in_page("hugePictures", {}) == 1
    assert run("superframes", {}) == 1
