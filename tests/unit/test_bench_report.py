"""Medians, ratios and aims of the benchmark; no timing is asserted."""

from __future__ import annotations

import json
import re

import pytest

from build_scripts import paths
from build_scripts.bench_report import (
    AIM_MEMBERS,
    KEY_PACKAGES,
    STEPS,
    Measure,
    missed,
    post_quantum_table,
    step_name,
    table,
)

COMMIT = step_name("commit", AIM_MEMBERS)


def measure(samples: dict[str, list[float]], name: str = COMMIT, unit: str = "ms") -> Measure:
    return Measure(name, unit, samples)


def test_the_ratio_is_against_the_better_peer() -> None:
    one = measure({"roomkey": [9, 6, 100], "ts-mls": [3, 3, 4], "core-crypto": [2, 50, 60]})
    assert one.medians() == {"roomkey": 9, "ts-mls": 3, "core-crypto": 50}
    assert one.ratio() == 3
    assert one.ratio_of_minima() == 3


@pytest.mark.parametrize("samples", [{"roomkey": [1.0]}, {"ts-mls": [1.0]}, {"roomkey": [1.0], "ts-mls": []}])
def test_without_both_sides_there_is_no_ratio(samples: dict[str, list[float]]) -> None:
    one = measure(samples)
    assert one.ratio() is None
    assert one.ratio_of_minima() is None
    assert missed([one]) == []


def test_the_aim_is_three_times_the_better_peer() -> None:
    assert missed([measure({"roomkey": [3.0], "ts-mls": [1.0], "core-crypto": [2.0]})]) == []
    (text,) = missed([measure({"roomkey": [3.01], "ts-mls": [1.0], "core-crypto": [2.0]})])
    assert text.startswith(f"{COMMIT}: 3.01 times")


def test_the_aim_holds_for_key_packages_and_not_for_small_groups() -> None:
    slow = {"roomkey": [10.0], "ts-mls": [1.0]}
    assert len(missed([measure(slow, KEY_PACKAGES)])) == 1
    assert missed([measure(slow, step_name("commit", 2))]) == []


def test_a_cold_start_has_a_limit_of_its_own() -> None:
    assert missed([measure({"roomkey": [2500.0], "ts-mls": [100.0]}, "start, cold")]) == []
    assert missed([measure({"roomkey": [2501.0]}, "start, cold")]) == ["start, cold: 2501 ms, aim 2500"]


def test_the_table_has_a_line_per_measure() -> None:
    lines = table(
        [measure({"roomkey": [1.25], "ts-mls": [2.5]}), measure({"roomkey": [1234567.0]}, "download", "bytes")]
    ).splitlines()
    assert lines[0].split() == ["roomkey", "ts-mls", "core-crypto", "ratio", "of", "minima"]
    assert lines[1].split() == ["commit,", "100", "members", "(ms)", "1.2", "2.5", "-", "0.50", "0.50"]
    assert lines[2].split() == ["download", "(bytes)", "1,234,567", "-", "-"]


def test_the_post_quantum_suite_stands_beside_suite_1() -> None:
    lines = post_quantum_table([measure({"roomkey": [2.0, 1.0, 9.0], "post-quantum": [3.0]})]).splitlines()
    assert lines[0].split() == ["post-quantum", "suite", "1", "ratio"]
    assert lines[1].split() == ["commit,", "100", "members", "(ms)", "3.0", "2.0", "1.50"]


def test_what_is_written_can_be_computed_again() -> None:
    written = json.loads(json.dumps(measure({"roomkey": [4.0, 2.0, 3.0], "ts-mls": [1.0]}).as_json()))
    assert written["medians"] == {"roomkey": 3.0, "ts-mls": 1.0}
    assert written["ratio"] == 3.0
    assert written["samples"]["roomkey"] == [4.0, 2.0, 3.0]


def test_page_and_report_name_the_same_steps() -> None:
    source = (paths.WEB / "bench" / "scenario.ts").read_text()
    found = re.search(r"const STEPS = \[(.*)\] as const", source)
    assert found is not None
    assert tuple(json.loads(f"[{found[1]}]")) == STEPS
