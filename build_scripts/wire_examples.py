"""Values to check an implementation of web/docs/wire.md against: web/docs/wire-examples.json, made by this code.

Everything in it follows from fixed seeds, so it is the same at every run; a check fails when the file is stale, that
is, when the wire changed. Keys come from SHA-256 of words, and are nobody's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from build_scripts import paths

FILE = paths.WEB / "docs" / "wire-examples.json"
ALICE = "alice@email1.example"
BOB = "bob@email2.example"
NOW = 1_795_000_000


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


def seed(word: str) -> bytes:
    """32 bytes that follow from a word."""
    return hashlib.sha256(b"roomkey wire example: " + word.encode()).digest()


async def _examples() -> dict[str, Any]:
    return {
        "about": "Values for web/docs/wire.md. Bytes in hex unless said otherwise; seeds are private Ed25519 keys "
        '(RFC 8032). Made by build_scripts/wire_examples.py; keys from SHA-256("roomkey wire example: " || word).',
        "init keys (sections 1 and 2)": await _init_keys(),
        "requests (section 5)": await _requests(),
        "groups and their register (section 5)": _register(),
        "manifests (section 6)": await _manifests(),
        "the log (section 6)": await _log(),
        "media keys (section 7)": _media(),
    }


def _crypto() -> Any:
    """A crypto of which everything that it makes up follows from its place in order."""
    from roomkey.crypto.provider import KeyHandle, KeyPair
    from roomkey.crypto.suites import Group, Scheme
    from roomkey.host.native_crypto import NativeCrypto

    class Fixed(NativeCrypto):
        def __init__(self) -> None:
            super().__init__()
            self._made = 0

        def random(self, size: int) -> bytes:
            self._made += 1
            return hashlib.shake_256(seed(f"random {self._made}")).digest(size)

        async def generate_keys(self, kind: Group | Scheme, count: int) -> list[KeyPair]:
            pairs: list[KeyPair] = []
            for _ in range(count):
                self._made += 1
                raw = seed(f"key {self._made}")
                (public,) = await self.public_keys(kind, [raw]) if kind == "X25519" else [ed25519_public(raw)]
                self.keys[f"key {self._made}"] = raw
                pairs.append(KeyPair(public, KeyHandle(f"key {self._made}")))
            return pairs

    return Fixed()


def ed25519_public(raw: bytes) -> bytes:
    """The public key of a private Ed25519 key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()


def _pair(word: str) -> Any:
    from roomkey.crypto.provider import KeyPair

    return KeyPair(ed25519_public(seed(word)), seed(word))


async def _init_keys() -> dict[str, Any]:
    from roomkey.federation.init_keys import InitKeySetBundle, KeyPackages, make_client_keys, make_init_key_sets
    from roomkey.federation.messages import (
        GetUserInitKeyRequest,
        GetUserInitKeyResponse,
        UserInitKeyBundle,
    )

    crypto = _crypto()
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

    pair, body = _pair("alice"), b'{"client":"AAAA"}'
    url = "https://ds.email2.example/v1/clients/lookup"
    headers = await requests.sign_request(
        _crypto(), "ed25519", pair, "email1.example", "POST", url, body, "application/json", NOW
    )
    vouching = await requests.sign_as_domain(
        _crypto(), _pair("domain"), "email1.example", requests.client_id(pair.public), ALICE, "POST", url, body,
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


def _register() -> dict[str, Any]:
    from roomkey.conference.ordering import RoomkeyGroup
    from roomkey.conference.tickets import RoomkeyTicket
    from roomkey.crypto.suites import SUITES
    from roomkey.federation.delivery_messages import CommitsRead, CommitSubmission, GroupRegistration
    from roomkey.mls.key_schedule import export

    token = export(SUITES[1], seed("exporter"), b"roomkey ordering 1.0", b"", 32)
    following = export(SUITES[1], seed("next exporter"), b"roomkey ordering 1.0", b"", 32)
    group = seed("group")
    return {
        "exporter_secret of epoch 0, suite 1": seed("exporter").hex(),
        "token of epoch 0": token.hex(),
        "exporter_secret of epoch 1, suite 1": seed("next exporter").hex(),
        "token of epoch 1": following.hex(),
        "group id": group.hex(),
        "roomkey_group (0xF0C2)": RoomkeyGroup(b"email1.example").encode().hex(),
        "roomkey_ticket (0xF0C5)": RoomkeyTicket(b"email1.example", token).encode().hex(),
        "GroupRegistration": GroupRegistration(group, 0, hashlib.sha256(token).digest()).encode().hex(),
        "CommitSubmission": CommitSubmission(group, 0, token, hashlib.sha256(following).digest(), b"commit")
        .encode()
        .hex(),
        "CommitsRead": CommitsRead(group, 0, token).encode().hex(),
    }


def _people() -> tuple[Any, Any, Any, Any]:
    """Bob's first manifest, his second, by which he has a further device, and the keys of who may sign the third."""
    from roomkey.transparency.manifest import NO_PREVIOUS, Manifest, ManifestClient, ManifestKey

    def client(word: str) -> ManifestClient:
        return ManifestClient(ManifestKey(0x0807, _pair(word).public), (1, 3, 2), (1,))

    recovery = ManifestKey(0x0807, _pair("recovery").public)
    first = Manifest(BOB.encode(), 1, NO_PREVIOUS, (client("laptop"),), 7_779_600, recovery.hash())
    second = Manifest(BOB.encode(), 2, first.hash(), (client("laptop"), client("phone")), 7_779_600, recovery.hash())
    return first, second, client("laptop"), recovery


async def _manifests() -> dict[str, Any]:
    from roomkey.transparency.devices import client_id, make_device_request, prove_recovery
    from roomkey.transparency.manifest import commitment, sign_manifest

    first, second, laptop, recovery = _people()
    phone = second.clients[1]
    crypto, opening = _crypto(), seed("opening")[:16]
    request = await make_device_request(crypto, BOB.encode(), phone, _pair("phone"))
    return {
        "seed of the first client's key": seed("laptop").hex(),
        "seed of the second client's key": seed("phone").hex(),
        "seed of the recovery key": seed("recovery").hex(),
        "ManifestKey of the recovery key": recovery.encode().hex(),
        "Manifest, version 1": first.encode().hex(),
        "its hash": first.hash().hex(),
        "SignedManifest, version 1": (await sign_manifest(crypto, first, laptop.key, _pair("laptop"))).encode().hex(),
        "DeviceRequest of the second client": request.encode().hex(),
        "SignedManifest, version 2": (await sign_manifest(crypto, second, laptop.key, _pair("laptop"))).encode().hex(),
        "opening": opening.hex(),
        "commitment to version 2": commitment(opening, second).hex(),
        "SignedManifest, version 2 by the recovery key": (
            await sign_manifest(crypto, second, recovery, _pair("recovery"))
        ).encode().hex(),
        "proof of a recovery for the second client": (
            await prove_recovery(crypto, _pair("recovery"), client_id(phone.key))
        ).hex(),
    }  # fmt: skip


async def _log() -> dict[str, Any]:
    from roomkey.transparency import merkle, vrf
    from roomkey.transparency.answer import Answer, Presence
    from roomkey.transparency.checkpoints import Checkpoint, cosign
    from roomkey.transparency.epochs import EpochLeaf
    from roomkey.transparency.exchange import AnswerRequest, Answers, AnswersRequest, MapUpdates
    from roomkey.transparency.identity_map import MISSING, IdentityMap, MapLeaf
    from roomkey.transparency.manifest import commitment, sign_manifest
    from roomkey.transparency.notes import COSIGNATURE, ED25519, VerifierKey, sign_note

    crypto, secret, opening = _crypto(), seed("vrf"), seed("opening")[:16]
    first, second, laptop, _ = _people()
    proof = vrf.prove(crypto, secret, BOB.encode())
    index = vrf.index_of(vrf.proof_to_hash(proof))
    others = [MapLeaf(seed(f"index {number}"), 1, seed(f"commitment {number}")) for number in range(3)]
    before, after = (MapLeaf(index, item.version, commitment(opening, item)) for item in (first, second))
    maps = [IdentityMap([*others, before]), IdentityMap([*others, after])]
    updates = [MapUpdates(tuple(sorted([*others, before], key=lambda leaf: leaf.index))), MapUpdates((after,))]
    epochs = [
        EpochLeaf(0, NOW, maps[0].root(), MISSING, updates[0].hash()),
        EpochLeaf(1, NOW + 60, maps[1].root(), maps[0].root(), updates[1].hash()),
    ]
    leaves = [epoch.leaf_hash() for epoch in epochs]
    log = VerifierKey("email2.example/roomkey", ED25519, _pair("log").public)
    auditor = VerifierKey("email1.example/auditor", COSIGNATURE, _pair("auditor").public)
    note = await sign_note(crypto, Checkpoint(log.name, 2, merkle.root(leaves)).text(), log, _pair("log"))
    line = await cosign(crypto, note, auditor, _pair("auditor"), NOW + 61)
    note = note._replace(signatures=(*note.signatures, line))
    signed = await sign_manifest(crypto, second, laptop.key, _pair("laptop"))
    answer = Answer(
        note.encode(),
        epochs[1],
        (leaves[0],),
        proof,
        maps[1].proof(index),
        Presence(opening, second.version, (signed,)),
    )
    stranger = BOB.replace("bob", "nobody")
    absent = vrf.prove(crypto, secret, stranger.encode())
    nowhere = vrf.index_of(vrf.proof_to_hash(absent))
    nothing = Answer(note.encode(), epochs[1], (leaves[0],), absent, maps[1].proof(nowhere), None)
    asked = AnswersRequest(0, (AnswerRequest(BOB.encode(), 0), AnswerRequest(stranger.encode(), 0)))
    return {
        "seed of the log's key": seed("log").hex(),
        "the log's verifier key (text)": log.encode(),
        "secret of the VRF": secret.hex(),
        "public key of the VRF": vrf.public_key(crypto, secret).hex(),
        "seed of the auditor's key": seed("auditor").hex(),
        "the auditor's verifier key (text)": auditor.encode(),
        "VRF proof of bob@email2.example": proof.hex(),
        "index": index.hex(),
        "MapUpdates of epoch 0": updates[0].encode().hex(),
        "map root of epoch 0": maps[0].root().hex(),
        "EpochLeaf 0": epochs[0].encode().hex(),
        "MapUpdates of epoch 1": updates[1].encode().hex(),
        "map root of epoch 1": maps[1].root().hex(),
        "EpochLeaf 1": epochs[1].encode().hex(),
        "leaf hash of EpochLeaf 1": leaves[1].hex(),
        "checkpoint with a cosignature (text)": note.encode().decode(),
        "AnswersRequest for bob and nobody@email2.example": asked.encode().hex(),
        "Answers: bob by version 2, and that nobody is absent": Answers((), (answer, nothing)).encode().hex(),
        "good until (Unix seconds)": NOW + 61 + 86400,
    }


def _media() -> dict[str, Any]:
    from roomkey.crypto.suites import SUITES
    from roomkey.media.sframe import SUITES as SFRAME_SUITES
    from roomkey.media.sframe import derive_keys, sframe_epoch
    from roomkey.media.srtp import PROFILES, srtp_keys, verification_digits
    from roomkey.mls.key_schedule import export

    def exporter(label: bytes, context: bytes, length: int) -> bytes:
        return export(SUITES[1], seed("exporter"), label, context, length)

    srtp = {
        name: {"master key": keys.master_key.hex(), "master salt": keys.master_salt.hex(), "MKI": keys.mki.hex()}
        for name, keys in ((name, srtp_keys(exporter, profile, 3, 258)) for name, profile in PROFILES.items())
    }
    epoch = sframe_epoch(exporter, SFRAME_SUITES[4], 258, 5)
    kid = epoch.kid(3, 1)
    keys = derive_keys(epoch.suite, epoch.base_key, kid)
    return {
        "exporter_secret of epoch 258, suite 1": seed("exporter").hex(),
        "SRTP keys of leaf 3": srtp,
        "SFrame base key, suite 4": epoch.base_key.hex(),
        "KID of leaf 3 of 5, context 1": f"{kid:#x}",
        "its key": keys.key.hex(),
        "its salt": keys.salt.hex(),
        "epoch_authenticator": seed("authenticator").hex(),
        "its digits (text)": verification_digits(seed("authenticator")),
    }
