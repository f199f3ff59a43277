"""SFrame in TypeScript (RFC 9605), in Node and in Chromium: its vectors, Python's keys, and what must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from roomkey.media import sframe

from build_scripts import paths
from tests.browser.support import media
from tests.browser.support.media import RunCheck
from tests.conftest import Vectors
from tests.vectors.support import PASSED_IN_BROWSER

DATA = paths.TESTS / "vectors" / "data"
SUITES = sorted(sframe.SUITES)
LONGER_THAN_NEEDED = [
    "8000",
    "8007",
    "0800",
    "0807",
    "900000",
    "90000a",
    "9000ff",
    "090001",
    "ff" + "00" * 16,
    "f0" + "00" * 7 + "09",
]


@pytest.fixture(scope="module", params=["node", "chromium"])
def run(
    request: pytest.FixtureRequest, chromium: PlaywrightBrowser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunCheck]:
    with media.checks("sframe_checks", request.param, chromium, tmp_path_factory.mktemp("media")) as running:
        yield running


@pytest.fixture(scope="module")
def official(vectors: Vectors) -> Any:
    return json.loads(vectors.path("sframe", "sframe-test-vectors.json").read_text())


def test_header_vectors(run: RunCheck, official: Any) -> None:
    cases = [{**case, "kid": str(case["kid"]), "ctr": str(case["ctr"])} for case in official["header"]]
    assert run("headers", {"cases": cases}) == len(cases) > 200


def test_longer_headers_are_refused(run: RunCheck) -> None:
    assert run("longHeaders", {"cases": LONGER_THAN_NEEDED}) == len(LONGER_THAN_NEEDED)


def test_aead_vectors(run: RunCheck, official: Any) -> None:
    assert run("aeads", {"cases": official["aes_ctr_hmac"]}) == 3


def test_frame_vectors(run: RunCheck, official: Any) -> None:
    cases = official["sframe"]
    assert [case["cipher_suite"] for case in cases] == SUITES
    assert run("frames", {"cases": cases}) == len(cases)
    PASSED_IN_BROWSER["sframe-test-vectors.json"] = dict.fromkeys(SUITES, 1)


def test_kid_vectors(run: RunCheck) -> None:
    figure = json.loads((DATA / "sframe" / "rfc9605-mls-kid.json").read_text())
    assert run("kids", figure) == len(figure["cases"]) > 0


def test_keys_are_those_of_python(run: RunCheck) -> None:
    cases = []
    for suite in sframe.SUITES.values():
        for epoch, leaf_count, leaf, context in ((0, 1, 0, 0), (300, 11, 10, 2), (2**40 + 255, 1000, 999, 2**30)):
            base_key = bytes(range(suite.nk))
            bits = sframe.index_bits(leaf_count)
            kid = sframe.SFrameEpoch(suite, epoch, bits, base_key).kid(leaf, context)
            keys = sframe.derive_keys(suite, base_key, kid)
            cases.append(
                {
                    "suite": suite.number,
                    "epoch": str(epoch),
                    "leafCount": leaf_count,
                    "indexBits": bits,
                    "baseKey": base_key.hex(),
                    "leaf": leaf,
                    "context": str(context),
                    "kid": str(kid),
                    "key": keys.key.hex(),
                    "salt": keys.salt.hex(),
                }
            )
    assert run("python", {"cases": cases}) == len(cases)


@pytest.mark.parametrize("suite", SUITES)
def test_altered_frames_are_refused(run: RunCheck, suite: int) -> None:
    assert run("altered", {"suite": suite}) > 200


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("suite", [1, 4])
def test_loss_reordering_and_replay(run: RunCheck, suite: int, seed: int) -> None:
    assert run("network", {"suite": suite, "seed": seed}) > 200


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_window_knows_what_came(run: RunCheck, seed: int) -> None:
    assert run("replayWindow", {"seed": seed}) == 1


def test_epochs_come_and_go(run: RunCheck) -> None:
    assert run("epochs", {}) == 1


def test_no_counter_twice(run: RunCheck) -> None:
    assert run("limits", {}) == 1
