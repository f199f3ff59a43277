"""The benchmark's rows for the admission of keys; no timing is asserted."""

from __future__ import annotations

import re

from build_scripts import paths
from build_scripts.bench_admission import BROWSER, KEYS, NATIVE, NOBLE, STEPS, Row, add_native, table


def test_a_row_is_microseconds_a_key_and_a_ratio_in_the_same_page() -> None:
    row = Row("p256_keys", {BROWSER: [1.0, 3.0, 2.0], NOBLE: [4.0], NATIVE: [0.5]})
    assert row.microseconds() == {BROWSER: 2000 / KEYS, NOBLE: 4000 / KEYS, NATIVE: 500 / KEYS}
    assert row.ratio() == 0.5
    assert re.split(r"\s{2,}", table([row]).splitlines()[1]) == ["P-256", "20.0", "40.0", "0.500", "5.0"]


def test_where_the_peer_has_no_such_step_there_is_no_ratio() -> None:
    row = Row("x25519_keys", {BROWSER: [1.0], NOBLE: [], NATIVE: [1.0]})
    assert row.ratio() is None
    assert re.split(r"\s{2,}", table([row]).splitlines()[1]) == ["X25519", "10.0", "-", "-", "10.0"]


def test_every_step_runs_natively() -> None:
    rows = [Row(step, {BROWSER: [1.0], NOBLE: [], NATIVE: []}) for step in STEPS]
    add_native(rows, 2)
    assert [len(row.samples[NATIVE]) for row in rows] == [2] * len(STEPS)


def test_the_page_has_the_same_steps_and_as_many_keys() -> None:
    scenario = (paths.WEB / "bench" / "scenario.ts").read_text()
    (listed,) = re.findall(r"const CHECKS = \[(.*)\]", scenario)
    assert re.findall(r'"(\w+)"', listed) == list(STEPS)
    assert f"export const KEYS = {KEYS};" in scenario
