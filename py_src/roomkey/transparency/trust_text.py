"""Whom to believe about one log, as people configure it: plain values, as `roomkey-delivery log-keys` prints them.

    {"log": VKEY, "vrfKey": BASE64, "auditors": [VKEY, ...]}

VKEY: a verifier key of c2sp.org/signed-note. log: of type 1. vrfKey: 32 bytes. auditors: at least one, of type 4.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Final

from roomkey.errors import RoomkeyError
from roomkey.transparency.notes import COSIGNATURE, ED25519, VerifierKey, verifier_keys
from roomkey.transparency.verifier import Trust

VRF_KEY_SIZE: Final = 32
FIELDS: Final = ("log", "vrfKey", "auditors")


def read_trust(values: Mapping[str, object], domains: Sequence[str]) -> Trust:
    """The trust that these values name, for the people of these domains.

    1. exactly the fields above, each of its type.
    2. the log's key is of type 1, the auditors' of type 4; no auditor twice (by name or key), none with the log's.
    3. the log is named after each domain (DOMAIN/...): a service that says that it is another domain's does not get its
       people believed by its own log.

    Errors: "bad-argument" (details `field`).
    """
    # 1.
    if set(values) != set(FIELDS):
        raise _wrong("transparency", f"expected {', '.join(FIELDS)}")
    log, vrf_key, auditors = (values[name] for name in FIELDS)
    if not isinstance(auditors, Sequence) or isinstance(auditors, str | bytes) or not auditors:
        raise _wrong("auditors", "expected a list of verifier keys")
    # 2.
    trust = Trust(_key("log", log), _vrf_key(vrf_key), tuple(_key("auditors", item) for item in auditors))
    if trust.log.kind != ED25519:
        raise _wrong("log", "expected the key of a log (type 1), got a cosigner's")
    if any(auditor.kind != COSIGNATURE for auditor in trust.cosigners):
        raise _wrong("auditors", "expected the keys of cosigners (type 4), got a log's")
    try:
        verifier_keys([auditor.encode() for auditor in trust.cosigners])
    except RoomkeyError as error:
        raise _wrong("auditors", error.text) from None
    if trust.log.public in {auditor.public for auditor in trust.cosigners}:
        raise _wrong("auditors", "expected others than the log itself")
    # 3.
    for domain in domains:
        if not trust.log.name.startswith(f"{domain}/"):
            raise _wrong("log", f"expected the log of {domain}, got another domain's")
    return trust


def trust_values(trust: Trust) -> dict[str, str | list[str]]:
    """The values of a trust."""
    return {
        "log": trust.log.encode(),
        "vrfKey": base64.b64encode(trust.vrf_key).decode(),
        "auditors": [auditor.encode() for auditor in trust.cosigners],
    }


def _key(field: str, text: object) -> VerifierKey:
    if not isinstance(text, str):
        raise _wrong(field, "expected a verifier key")
    try:
        return VerifierKey.decode(text)
    except RoomkeyError as error:
        raise _wrong(field, error.text) from None


def _vrf_key(text: object) -> bytes:
    try:
        key = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != VRF_KEY_SIZE:
        raise _wrong("vrfKey", f"expected {VRF_KEY_SIZE} bytes as base64")
    return key


def _wrong(field: str, text: str) -> RoomkeyError:
    return RoomkeyError("bad-argument", f"{field}: {text}", field=field)
