"""Whom a client believes about a log, as people configure it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from roomkey.errors import RoomkeyError
from roomkey.transparency.notes import COSIGNATURE, ED25519, VerifierKey
from roomkey.transparency.trust_text import read_trust, trust_values
from roomkey.transparency.verifier import Trust

DOMAIN = "email1.example"
LOG = VerifierKey("email1.example/roomkey", ED25519, bytes([1] * 32))
AUDITOR = VerifierKey("email2.example/auditor", COSIGNATURE, bytes([2] * 32))
OTHER = VerifierKey("audit.example/auditor", COSIGNATURE, bytes([3] * 32))
VRF_KEY = bytes([4] * 32)
VALUES: dict[str, Any] = {
    "log": LOG.encode(),
    "vrfKey": base64.b64encode(VRF_KEY).decode(),
    "auditors": [AUDITOR.encode(), OTHER.encode()],
}


def test_what_is_configured_is_what_is_believed() -> None:
    trust = read_trust(VALUES, [DOMAIN])
    assert trust == Trust(LOG, VRF_KEY, (AUDITOR, OTHER))
    assert trust_values(trust) == VALUES


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"log": AUDITOR.encode()}, "log"),
        ({"log": LOG.encode() + "="}, "log"),
        ({"log": 7}, "log"),
        ({"vrfKey": "AAAA"}, "vrfKey"),
        ({"vrfKey": "é" * 44}, "vrfKey"),
        ({"vrfKey": VRF_KEY}, "vrfKey"),
        ({"auditors": []}, "auditors"),
        ({"auditors": AUDITOR.encode()}, "auditors"),
        ({"auditors": [LOG.encode()]}, "auditors"),
        ({"auditors": [AUDITOR.encode(), AUDITOR.encode()]}, "auditors"),
        ({"auditors": [AUDITOR._replace(name="a").encode(), AUDITOR.encode()]}, "auditors"),
        ({"auditors": [AUDITOR._replace(public=LOG.public).encode()]}, "auditors"),
        ({"auditors": [None]}, "auditors"),
        ({"policy": "any"}, "transparency"),
    ],
)
def test_what_cannot_be_believed_is_named(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(RoomkeyError) as caught:
        read_trust({**VALUES, **changed}, [DOMAIN])
    assert (caught.value.code, caught.value.details) == ("bad-argument", {"field": field})


@pytest.mark.parametrize("domains", [["email2.example"], [DOMAIN, "email2.example"], ["email1.exampl"]])
def test_a_log_is_of_its_own_domain(domains: list[str]) -> None:
    with pytest.raises(RoomkeyError) as caught:
        read_trust(VALUES, domains)
    assert (caught.value.code, caught.value.details) == ("bad-argument", {"field": "log"})
