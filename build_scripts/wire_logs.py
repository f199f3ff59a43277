"""Values about logs of keys: manifests, map, log, answers, and what members show each other (`wire_examples`)."""

from __future__ import annotations

from typing import Any

from build_scripts.wire_seeds import BOB, NOW, fixed_crypto, pair_of, seed


def _people() -> tuple[Any, Any, Any, Any]:
    """Bob's first manifest, his second, by which he has a further device, and the keys of who may sign the third."""
    from roomkey.transparency.manifest import NO_PREVIOUS, Manifest, ManifestClient, ManifestKey

    def client(word: str) -> ManifestClient:
        return ManifestClient(ManifestKey(0x0807, pair_of(word).public), (1, 3, 2), (1,))

    recovery = ManifestKey(0x0807, pair_of("recovery").public)
    first = Manifest(BOB.encode(), 1, NO_PREVIOUS, (client("laptop"),), 7_779_600, recovery.hash())
    second = Manifest(BOB.encode(), 2, first.hash(), (client("laptop"), client("phone")), 7_779_600, recovery.hash())
    return first, second, client("laptop"), recovery


async def manifests() -> dict[str, Any]:
    from roomkey.transparency.devices import client_id, make_device_request, prove_recovery
    from roomkey.transparency.manifest import commitment, sign_manifest

    first, second, laptop, recovery = _people()
    phone = second.clients[1]
    crypto, opening, signing = fixed_crypto(), seed("opening")[:16], pair_of("laptop")
    request = await make_device_request(crypto, BOB.encode(), phone, pair_of("phone"))
    return {
        "seed of the first client's key": seed("laptop").hex(),
        "seed of the second client's key": seed("phone").hex(),
        "seed of the recovery key": seed("recovery").hex(),
        "ManifestKey of the recovery key": recovery.encode().hex(),
        "Manifest, version 1": first.encode().hex(),
        "its hash": first.hash().hex(),
        "SignedManifest, version 1": (await sign_manifest(crypto, first, laptop.key, signing)).encode().hex(),
        "DeviceRequest of the second client": request.encode().hex(),
        "SignedManifest, version 2": (await sign_manifest(crypto, second, laptop.key, signing)).encode().hex(),
        "opening": opening.hex(),
        "commitment to version 2": commitment(opening, second).hex(),
        "SignedManifest, version 2 by the recovery key": (
            await sign_manifest(crypto, second, recovery, pair_of("recovery"))
        ).encode().hex(),
        "proof of a recovery for the second client": (
            await prove_recovery(crypto, pair_of("recovery"), client_id(phone.key))
        ).hex(),
    }  # fmt: skip


async def log_answers() -> dict[str, Any]:
    from roomkey.transparency import merkle, vrf
    from roomkey.transparency.answer import Answer, Presence
    from roomkey.transparency.checkpoints import Checkpoint, cosign
    from roomkey.transparency.epochs import EpochLeaf
    from roomkey.transparency.exchange import AnswerRequest, Answers, AnswersRequest, MapUpdates
    from roomkey.transparency.identity_map import MISSING, IdentityMap, MapLeaf
    from roomkey.transparency.manifest import commitment, sign_manifest
    from roomkey.transparency.notes import COSIGNATURE, ED25519, VerifierKey, sign_note

    crypto, secret, opening = fixed_crypto(), seed("vrf"), seed("opening")[:16]
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
    log = VerifierKey("email2.example/roomkey", ED25519, pair_of("log").public)
    auditor = VerifierKey("email1.example/auditor", COSIGNATURE, pair_of("auditor").public)
    note = await sign_note(crypto, Checkpoint(log.name, 2, merkle.root(leaves)).text(), log, pair_of("log"))
    line = await cosign(crypto, note, auditor, pair_of("auditor"), NOW + 61)
    note = note._replace(signatures=(*note.signatures, line))
    signed = await sign_manifest(crypto, second, laptop.key, pair_of("laptop"))
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


async def shown() -> dict[str, Any]:
    """What members show each other of that log, what would prove that it lied, and how pages are asked for."""
    from roomkey.transparency import gossip
    from roomkey.transparency.checkpoints import Checkpoint, SignedCheckpoint
    from roomkey.transparency.evidence import ForkEvidence
    from roomkey.transparency.exchange import AnswerRequest, AnswersRequest
    from roomkey.transparency.notes import ED25519, VerifierKey, sign_note

    log = VerifierKey("email2.example/roomkey", ED25519, pair_of("log").public)
    heads = []
    for root in ("a root", "another root"):
        head = Checkpoint(log.name, 7, seed(root))
        heads.append(SignedCheckpoint(head, await sign_note(fixed_crypto(), head.text(), log, pair_of("log"))))
    after = AnswersRequest(2, (AnswerRequest(BOB.encode(), 257),))
    return {
        "LogHeads of one log": gossip.show([(log, heads[0])]).hex(),
        "evidence of a fork (text)": ForkEvidence(log, heads[0].note, heads[1].note).encode(),
        "AnswersRequest after a page that ends with version 257": after.encode().hex(),
    }
