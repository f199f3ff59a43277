"""Values to check an implementation of web/docs/wire.md against: web/docs/wire-examples.json, made by this code.

Everything in it follows from fixed seeds, so it is the same at every run; a check fails when the file is stale, that
is, when the wire changed. Keys come from SHA-256 of words, and are nobody's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from build_scripts import paths, wire_groups, wire_logs
from build_scripts.wire_seeds import ALICE, BOB, NOW, fixed_crypto, pair_of, seed

FILE = paths.WEB / "docs" / "wire-examples.json"


def update() -> None:
    """Writes the file."""
    FILE.write_text(make())


def problems() -> Iterator[str]:
    """One line if the file is stale."""
    if not FILE.exists() or FILE.read_text() != make():
        yield f"{FILE.relative_to(paths.ROOT)} is stale: run python3 build_scripts check --update, and say what changed"


def make() -> str:
    """The text of the file."""
    return json.dumps(asyncio.run(_examples()), indent=1, ensure_ascii=False) + "\n"


async def _examples() -> dict[str, Any]:
    return {
        "about": "Values for web/docs/wire.md. Bytes in hex unless said otherwise; seeds are private Ed25519 keys "
        '(RFC 8032). Made by build_scripts/wire_examples.py; keys from SHA-256("roomkey wire example: " || word).',
        "init keys (sections 1 and 2)": await _init_keys(),
        "requests (section 5)": await _requests(),
        "groups and their register (section 5)": wire_groups.register(),
        "successors (section 5)": await wire_groups.successors(),
        "manifests (section 6)": await wire_logs.manifests(),
        "the log (section 6)": await wire_logs.log_answers(),
        "what members show (section 6)": await wire_logs.shown(),
        "signals (section 7)": wire_groups.signals(),
        "media keys (section 7)": wire_groups.media(),
    }


async def _init_keys() -> dict[str, Any]:
    from roomkey.federation.init_keys import InitKeySetBundle, KeyPackages, make_client_keys, make_init_key_sets
    from roomkey.federation.messages import (
        GetUserInitKeyRequest,
        GetUserInitKeyResponse,
        UserInitKeyBundle,
    )

    crypto = fixed_crypto()
    client = await make_client_keys(crypto, BOB, "ed25519", (1, 3))
    (made,) = await make_init_key_sets(crypto, client, (1, 3), 1, NOW)
    item = made.set
    key = item.user_init_key
    request = GetUserInitKeyRequest(BOB.encode(), (1, 3))
    response = GetUserInitKeyResponse((UserInitKeyBundle(BOB.encode(), key),))
    return {
        "identity (text)": BOB,
        "made at (Unix seconds)": NOW,
        "credential": client.credential.encode().hex(),
        "client id": client.client_id.hex(),
        "key_packages<V>": KeyPackages.encode(item.key_packages).hex(),
        "user_init_key_id": item.set_id.hex(),
        "UserInitKey, what its signature covers": key.signed_part().hex(),
        "UserInitKey": key.encode().hex(),
        "InitKeySet": item.encode().hex(),
        "InitKeySetBundle": InitKeySetBundle(BOB.encode(), item).encode().hex(),
        "GetUserInitKeyRequest": request.encode().hex(),
        "GetUserInitKeyResponse": response.encode().hex(),
    }


async def _requests() -> dict[str, Any]:
    from roomkey.federation import requests
    from roomkey.federation.delivery_messages import InboxItem, MessageDelivery
    from roomkey.federation.relaying import Relayed

    pair, body = pair_of("alice"), b'{"client":"AAAA"}'
    url = "https://ds.email2.example/v1/clients/lookup"
    headers = await requests.sign_request(
        fixed_crypto(), "ed25519", pair, "email1.example", "POST", url, body, "application/json", NOW
    )
    vouching = await requests.sign_as_domain(
        fixed_crypto(), pair_of("domain"), "email1.example", requests.client_id(pair.public), ALICE, "POST", url, body,
        "application/json", NOW,
    )  # fmt: skip
    return {
        "seed of the client's key": seed("alice").hex(),
        "POST (text)": url,
        "body (text)": body.decode(),
        "headers": headers,
        "signature base (text)": _base(headers, url),
        "seed of the domain key of email1.example": seed("domain").hex(),
        "headers of email1.example asking for its client": vouching,
        "MessageDelivery to one client": MessageDelivery((requests.client_id(pair.public),), b"message").encode().hex(),
        "InboxItem 1": InboxItem(1, b"message").encode().hex(),
        "InboxItem, a heartbeat": InboxItem(0, b"").encode().hex(),
        "Relayed": Relayed(
            b"email2.example", b"/v1/messages", b"application/roomkey-delivery", b"application/json", b"body"
        ).encode().hex(),
    }  # fmt: skip


def _base(headers: dict[str, str], url: str) -> str:
    from roomkey.federation.requests import parse_signature, request_target, signature_base

    given, _ = parse_signature(headers["signature-input"], headers["signature"])
    return signature_base(request_target("POST", url) | headers, given).decode()
