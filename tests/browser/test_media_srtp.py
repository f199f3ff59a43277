"""SRTP in TypeScript (RFC 3711, RFC 7714), in Node and in Chromium: vectors, and what must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from roomkey.media import srtp

from build_scripts import paths
from tests.browser.support import media
from tests.browser.support.media import RunCheck
from tests.vectors.support import PASSED_IN_BROWSER

VECTORS = json.loads((paths.TESTS / "vectors" / "data" / "srtp" / "srtp-vectors.json").read_text())
PROFILES = [profile.number for profile in srtp.PROFILES.values()]
LIBSRTP = {1: "libsrtp_aes_cm_128_hmac_sha1_80", 7: "libsrtp_aead_aes_128_gcm"}


@pytest.fixture(scope="module", params=["node", "chromium"])
def run(
    request: pytest.FixtureRequest, chromium: PlaywrightBrowser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunCheck]:
    with media.checks("srtp_checks", request.param, chromium, tmp_path_factory.mktemp("media")) as running:
        yield running


def test_key_derivation_vectors(run: RunCheck) -> None:
    cases = [
        {
            "masterKey": entry["master_key"],
            "masterSalt": entry["master_salt"],
            "label": int(name.split("_")[1]),
            "expected": value,
        }
        for kind, entry in VECTORS.items()
        if kind.startswith("kdf_")
        for name, value in entry.items()
        if name.startswith("label_")
    ]
    assert run("keyDerivation", {"cases": cases}) == len(cases) == 13


def test_packet_vectors_of_rfc_7714(run: RunCheck) -> None:
    assert run("sessionKeys", {"cases": VECTORS["rfc7714"]}) == 6
    PASSED_IN_BROWSER["srtp-vectors.json"] = {0: 13 + 6 + 4 * len(LIBSRTP)}


@pytest.mark.parametrize("profile", sorted(LIBSRTP))
def test_packet_vectors_of_libsrtp(run: RunCheck, profile: int) -> None:
    assert run("masterKeys", {"profile": profile, **VECTORS[LIBSRTP[profile]]}) == 4


@pytest.mark.parametrize("rtcp_mode", ["encrypted", "unsafe-clear"])
@pytest.mark.parametrize("mode", ["mki", "no-mki"])
@pytest.mark.parametrize("profile", PROFILES)
def test_altered_packets_are_refused(run: RunCheck, profile: int, mode: str, rtcp_mode: str) -> None:
    assert run("altered", {"profile": profile, "mode": mode, "rtcpMode": rtcp_mode}) > 800


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("mode", ["mki", "no-mki"])
@pytest.mark.parametrize("profile", PROFILES)
def test_loss_reordering_replay_and_rollover(run: RunCheck, profile: int, mode: str, seed: int) -> None:
    assert run("network", {"profile": profile, "mode": mode, "seed": seed}) > 400


def test_rollover_counters(run: RunCheck) -> None:
    assert run("rollovers", {}) == 1


def test_no_place_twice_and_no_limit_passed(run: RunCheck) -> None:
    assert run("limits", {}) == 1


def test_which_keys_open_what(run: RunCheck) -> None:
    assert run("keys", {}) == 1


def test_streams_and_senders_stay_apart(run: RunCheck) -> None:
    assert run("streams", {}) == len(PROFILES)


def test_where_the_mki_stands(run: RunCheck) -> None:
    assert run("mkiPlaces", {}) == len(PROFILES)


def test_profiles_are_those_of_python(run: RunCheck) -> None:
    expected: dict[str, Any] = {
        profile.name: [profile.number, profile.key_size, profile.salt_size] for profile in srtp.PROFILES.values()
    }
    assert run("profiles", {}) == expected
