"""The media worker's rules as value machines, in Node and without a clock: when keys change, what frames wait for, covers."""

from __future__ import annotations

from collections.abc import Iterator

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
def rules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunCheck]:
    yield media.node_checks("rules_checks", tmp_path_factory.mktemp("rules"))


@pytest.mark.parametrize("rule", RULES)
def test_keys_come_and_go_by_the_rules(rules: RunCheck, rule: str) -> None:
    assert rules(rule, {}) > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_c5_ten_epochs_a_second_mix_no_keys(rules: RunCheck, seed: int) -> None:
    assert rules("tenEpochs", {"seed": seed})["lost"] == 0
