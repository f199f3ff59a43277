"""The media worker's rules as value machines, in Node and without a clock: keys, waiting, covers, relays."""

from __future__ import annotations

import pytest

from tests.browser.support import media
from tests.browser.support.media import RunCheck

RULES = [
    "sending",
    "counters",
    "oldKeys",
    "removed",
    "races",
    "holding",
    "conditions",
    "wrapping",
    "successors",
    "states",
]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RunCheck:
    return media.node_checks("rules_checks", tmp_path_factory.mktemp("rules"))


@pytest.mark.parametrize("rule", RULES)
def test_keys_come_and_go_by_the_rules(rules: RunCheck, rule: str) -> None:
    assert rules(rule, {}) > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_c5_ten_epochs_a_second_mix_no_keys(rules: RunCheck, seed: int) -> None:
    assert rules("tenEpochs", {"seed": seed})["lost"] == 0


@pytest.fixture(scope="module")
def covers(tmp_path_factory: pytest.TempPathFactory) -> RunCheck:
    return media.node_checks("cover_checks", tmp_path_factory.mktemp("covers"))


@pytest.mark.parametrize("codec", ["audio", "VP8", "VP9", "H264", "AV1"])
@pytest.mark.parametrize("seed", [1, 2])
def test_covers_come_off_whatever_depacketisers_rewrite(covers: RunCheck, codec: str, seed: int) -> None:
    assert covers("roundTrips", {"codec": codec, "seed": seed}) >= 200


@pytest.mark.parametrize("check", ["clearBytes", "damaged", "startCodes", "otherCodecs", "names"])
def test_covers_show_what_they_must_and_no_more(covers: RunCheck, check: str) -> None:
    assert covers(check, {}) > 0


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> RunCheck:
    return media.node_checks("relay_checks", tmp_path_factory.mktemp("relay"))


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("suite", [1, 4, 5])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_hostile_relay_shows_nothing_forged(relay: RunCheck, seed: int, suite: int, bound: bool) -> None:
    assert relay("hostile", {"seed": seed, "suite": suite, "bound": bound}) > 150


def test_c4_swapped_streams_are_refused(relay: RunCheck) -> None:
    assert relay("swapped", {}) > 0


def test_c4_another_member_s_counters_are_not_taken(relay: RunCheck) -> None:
    assert relay("anothersCounters", {}) > 0


def test_d11_no_media_without_keys(relay: RunCheck) -> None:
    assert relay("withoutKeys", {}) > 0
