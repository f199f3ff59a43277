"""web/docs/wire.md says what the code does: its structs are those above the code's types, and its values hold."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from roomkey.conference.attempts import RoomkeyFounding
from roomkey.conference.signals import Signal, is_signal
from roomkey.federation import messages, requests
from roomkey.federation.delivery_messages import StoredCommits
from roomkey.federation.init_keys import InitKeySetBundle
from roomkey.federation.messages import GetUserInitKeyResponse
from roomkey.federation.negotiation import own_offer
from roomkey.federation.proof import Terms, UnverifiedInitKeySets, prove
from roomkey.federation.trust import FirstUse
from roomkey.host.native_crypto import NativeCrypto
from roomkey.media.srtp import SrtpStreams
from roomkey.tls import opaque
from roomkey.transparency import gossip
from roomkey.transparency.devices import DeviceRequest, check_device_request
from roomkey.transparency.evidence import ForkEvidence, verify_evidence
from roomkey.transparency.exchange import Answers, AnswersRequest, MapUpdates
from roomkey.transparency.identity_map import IdentityMap
from roomkey.transparency.manifest import Followed, SignedManifest, check_chain
from roomkey.transparency.notes import VerifierKey
from roomkey.transparency.verifier import Known, Proved, ProvedAbsent, Trust, verify_answer

from build_scripts import paths, wire_examples

DOCUMENT = (paths.WEB / "docs" / "wire.md").read_text()
STRUCT = re.compile(r"struct \{(.*?)\}\s+(\w+);", re.DOTALL)


def structs(text: str) -> set[tuple[str, str]]:
    """Structs in a text: name, and fields without remarks and line ends."""
    text = re.sub(r"/\*.*?\*/", "", text)
    found: set[tuple[str, str]] = set()
    for match in STRUCT.finditer(text):
        # What stands far behind a semicolon is a remark.
        lines = [re.sub(r";  .*", ";", line) for line in match[1].splitlines()]
        found.add((match[2], " ".join(" ".join(lines).split())))
    return found


def code() -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for path in sorted((paths.PY_SRC / "roomkey").rglob("*.py")):
        found |= structs(re.sub(r"(?m)^\s*# ?", "", path.read_text()))
    return found


def test_structs_are_the_codes() -> None:
    described = structs(DOCUMENT)
    assert len(described) > 25
    assert described - code() == set()


@pytest.fixture(scope="module")
def examples() -> Any:
    return json.loads(wire_examples.FILE.read_text())


def test_values_are_what_the_code_makes() -> None:
    assert list(wire_examples.problems()) == []


async def test_the_set_is_proved(examples: Any) -> None:
    values = examples["init keys (sections 1 and 2)"]
    bundle = InitKeySetBundle.decode(bytes.fromhex(values["InitKeySetBundle"]))
    terms = Terms(values["made at (Unix seconds)"], own_offer("alice@email1.example", (1, 3)), FirstUse(), None)
    proved = await prove(NativeCrypto(), UnverifiedInitKeySets(values["identity (text)"], (bundle,)), terms)
    assert proved.sets[0].client.client_id.hex() == values["client id"]
    packages = bytes.fromhex(values["key_packages<V>"])
    assert hashlib.sha256(packages).hexdigest() == values["user_init_key_id"]
    (draft,) = GetUserInitKeyResponse.decode(bytes.fromhex(values["GetUserInitKeyResponse"])).user_init_keys
    assert await messages.verify(NativeCrypto(), [draft.user_init_key]) == [True]
    assert draft.user_init_key.signed_part().hex() == values["UserInitKey, what its signature covers"]


async def test_the_request_is_signed(examples: Any) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    values = examples["requests (section 5)"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(values["seed of the client's key"])).public_key()
    _, signature = requests.parse_signature(values["headers"]["signature-input"], values["headers"]["signature"])
    key.verify(signature, values["signature base (text)"].encode())
    assert requests.base64url(requests.client_id(key.public_bytes_raw())) in values["signature base (text)"]


async def test_manifests_follow(examples: Any) -> None:
    values = examples["manifests (section 6)"]
    first, second, recovered = (
        SignedManifest.decode(bytes.fromhex(values[f"SignedManifest, version {name}"]))
        for name in ("1", "2", "2 by the recovery key")
    )
    crypto, identity = NativeCrypto(), first.manifest.identity
    for following in (second, recovered):
        assert await check_chain(crypto, identity, first.manifest, [following]) == Followed(following.manifest)
    request = DeviceRequest.decode(bytes.fromhex(values["DeviceRequest of the second client"]))
    await check_device_request(crypto, request)
    assert second.manifest.clients[1] == request.client


async def test_the_logs_answers_are_proved(examples: Any) -> None:
    values = examples["the log (section 6)"]
    trust = Trust(
        VerifierKey.decode(values["the log's verifier key (text)"]),
        bytes.fromhex(values["public key of the VRF"]),
        (VerifierKey.decode(values["the auditor's verifier key (text)"]),),
    )
    asked = AnswersRequest.decode(bytes.fromhex(values["AnswersRequest for bob and nobody@email2.example"]))
    answers = Answers.decode(bytes.fromhex(values["Answers: bob by version 2, and that nobody is absent"]))
    outcomes = []
    for item, answer in zip(asked.requests, answers.answers, strict=True):
        assert answer is not None
        now = values["good until (Unix seconds)"]
        outcomes.append(await verify_answer(NativeCrypto(), answer, item.identity, trust, Known(), (), now))
    assert isinstance(outcomes[0], Proved)
    assert outcomes[0].chain.manifest.version == 2
    assert isinstance(outcomes[1], ProvedAbsent)
    leaves = {}
    for number in range(2):
        for leaf in MapUpdates.decode(bytes.fromhex(values[f"MapUpdates of epoch {number}"])).updates:
            leaves[leaf.index] = leaf
        assert IdentityMap(leaves.values()).root().hex() == values[f"map root of epoch {number}"]


def exported(secret: bytes, label: str, context: bytes, length: int) -> bytes:
    """MLS-Exporter of suite 1 (RFC 9420 section 8.5), by itself."""

    def expand(key: bytes, name: bytes, about: bytes, size: int) -> bytes:
        info = b"".join((size.to_bytes(2), opaque().encode(b"MLS 1.0 " + name), opaque().encode(about)))
        return hmac.digest(key, info + b"\x01", "sha256")[:size]

    derived = expand(secret, label.encode(), b"", 32)
    return expand(derived, b"exported", hashlib.sha256(context).digest(), length)


async def test_successors_follow_from_the_ended_epoch(examples: Any) -> None:
    values = examples["successors (section 5)"]
    secret = bytes.fromhex(values["exporter_secret of the ended epoch, suite 1"])
    for what, ended, names in (
        ("the unusable commit", "ended, by the commit", {0: "id of attempt 0", 1: "id of attempt 1"}),
        ("ReInit", "ended, by the ReInit", {1: "id of attempt 1 at what the ReInit asked for"}),
    ):
        digest = hashlib.sha256(bytes.fromhex(values[what])).digest()
        assert digest.hex() == values[ended]
        for attempt, name in names.items():
            number = attempt.to_bytes(4)
            assert (exported(secret, "roomkey branch 1.0", digest + number, 28) + number).hex() == values[name]
    first = bytes.fromhex(values["id of attempt 0"])
    assert exported(secret, "roomkey successor 1.0", first, 32).hex() == values["first token of attempt 0"]
    founding = RoomkeyFounding.decode(bytes.fromhex(values["RoomkeyFounding of attempt 0 by leaf 2"]))
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(values["seed of the key of leaf 2"])).public_key()
    key.verify(founding.signature, b"".join(map(opaque().encode, (b"MLS 1.0 RoomkeyFounding", first))))
    assert founding.leaf == 2
    (stored,) = StoredCommits.decode(bytes.fromhex(values["StoredCommits that hold it"])).commits
    assert (stored.epoch, stored.commit) == (0, b"a founding commit")
    assert StoredCommits.decode(bytes.fromhex(values["StoredCommits of an open attempt"])).commits == ()
    assert bytes.fromhex(values["authenticated data of a farewell"]) == b"roomkey farewell 1.0"


async def test_what_members_show_proves_that_a_log_lied(examples: Any) -> None:
    values = examples["what members show (section 6)"]
    evidence = ForkEvidence.decode(values["evidence of a fork (text)"])
    assert evidence.log.encode() == examples["the log (section 6)"]["the log's verifier key (text)"]
    assert (await verify_evidence(NativeCrypto(), evidence)).first.size == 7
    assert gossip.read(bytes.fromhex(values["LogHeads of one log"])) == [evidence.first]
    asked = AnswersRequest.decode(bytes.fromhex(values["AnswersRequest after a page that ends with version 257"]))
    assert [item.pinned for item in asked.requests] == [257]


def test_signals_are_marked_and_dated(examples: Any) -> None:
    values = dict(examples["signals (section 7)"])
    assert is_signal(bytes.fromhex(values.pop("authenticated data (SignalMark)")))
    signals = [Signal.decode(bytes.fromhex(value)) for value in values.values()]
    assert [(signal.kind, signal.to is None, signal.time) for signal in signals] == [
        (1, False, 1_795_000_000_000), (2, True, 1_795_000_000_000), (3, True, 1_795_000_000_000),
    ]  # fmt: skip
    assert json.loads(signals[1].data)["type"] == "join"
    assert [item.ssrc for item in SrtpStreams.decode(signals[2].data).streams] == [0x01020304, 0x05060708]
