"""What email2.example does to people of other services while the demo's switch makes it malicious.

Its operator has what every operator has: the machine, so that any answer can be changed on its way out, and the keys of
the service's log, which sign whatever they like. What they do not have is Bob's keys, and the auditors' signatures.

    swapped-key     hands out keys of the operator's own, made out to Bob
    hidden-device   says that Bob has no device
    weaker-suite    cuts all encryption out of Bob's keys but the weakest
    split-view      shows one person another log than everybody else: one in which the operator's keys are Bob's
    old-key         hands out keys of Bob's that were used before

Everything that is made up here is made as well as it can be: encoded, signed and proved by what the operator has.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from roomkey.federation.delivery_messages import init_key_bundles
from roomkey.federation.init_keys import ClientKeys, InitKeySet, InitKeySetBundle, make_client_keys, make_init_key_sets
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.leaf_node import MAX_LIFETIME
from roomkey.mls.version import MLS10
from roomkey.transparency import merkle, vrf
from roomkey.transparency.answer import Answer, Presence
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.epochs import EpochLeaf
from roomkey.transparency.exchange import ANSWERS_PATH, Answers, AnswersRequest
from roomkey.transparency.identity_map import IdentityMap, MapLeaf
from roomkey.transparency.manifest import (
    NO_PREVIOUS,
    OPENING_SIZE,
    Manifest,
    ManifestClient,
    ManifestKey,
    SignedManifest,
    commitment,
    sign_manifest,
)
from roomkey.transparency.merkle import HASH_SIZE
from roomkey.transparency.notes import sign_note
from roomkey_delivery.log.keys import LogKeys

Attack = Literal["swapped-key", "hidden-device", "weaker-suite", "split-view", "old-key"]
ATTACKS: Final[tuple[Attack, ...]] = ("swapped-key", "hidden-device", "weaker-suite", "split-view", "old-key")

CLAIM: Final = "/v1/user-init-keys/claim"
MESSAGES: Final = "/v1/messages"
SUITES: Final = (1, 3, 2)  # that the operator's keys offer

Change: TypeAlias = Callable[[bytes], Awaitable[bytes]]
Bundles = tuple[InitKeySetBundle, ...]

_CLIENT: Final = re.compile(r'keyid="([^"]*)"')
_ED25519: Final = 0x0807


@dataclass
class _Handed:
    """What one client was handed of the victim's keys: last, and when it began to send, which used them up."""

    last: InitKeySetBundle | None = None
    used: InitKeySetBundle | None = None


class Malice:
    """What becomes of the answers of the service whose log has these keys.

    Args:
        keys: of the service's log.
        about: whose keys it lies about, an identity of the service's.
        apart: the website of the person who is shown another log.
    """

    def __init__(self, keys: LogKeys, about: str, apart: str) -> None:
        self.attack: Attack | None = None
        self._keys = keys
        self._about = about.encode("ascii")
        self._apart = apart
        self._crypto = NativeCrypto()
        self._operator: ClientKeys | None = None
        self._handed: dict[str, _Handed] = {}

    def change(self, path: str, headers: Mapping[str, str], body: bytes) -> Change | None:
        """What to do to the good answer to a request, None for nothing. `headers` by lower-case names."""
        found = _CLIENT.search(headers.get("signature-input", ""))
        if found is None or headers.get("roomkey-home") in (None, self._keys.domain):
            return None  # its own people must not notice anything
        handed = self._handed.setdefault(found[1], _Handed())
        apart = headers.get("origin") == self._apart
        if path == MESSAGES:
            handed.used = handed.used or handed.last
        if path == CLAIM:
            return lambda answer: self._claim(answer, handed, apart)
        if path == ANSWERS_PATH and self.attack == "split-view" and apart:
            return lambda answer: self._other_log(AnswersRequest.decode(body), Answers.decode(answer))
        return None

    # -- keys --

    async def _claim(self, answer: bytes, handed: _Handed, apart: bool) -> bytes:
        attack = self.attack if self.attack != "split-view" or apart else None
        bundles = init_key_bundles.decode(answer)
        theirs = [bundle for bundle in bundles if bundle.identity == self._about]
        if not theirs:
            return answer
        if attack is None:
            handed.last = theirs[0]
            return answer
        others = tuple(bundle for bundle in bundles if bundle.identity != self._about)
        return init_key_bundles.encode((*others, *await self._instead(attack, theirs, handed)))

    async def _instead(self, attack: Attack, theirs: list[InitKeySetBundle], handed: _Handed) -> Bundles:
        if attack in ("swapped-key", "split-view"):
            (made,) = await make_init_key_sets(self._crypto, await self._impostor(), SUITES, 1, time.time())
            return (InitKeySetBundle(self._about, made.set),)
        if attack == "hidden-device":
            return ()
        if attack == "weaker-suite":
            return tuple(bundle.replace(set=_weakest(bundle.set)) for bundle in theirs)
        return tuple(theirs) if handed.used is None else (handed.used,)

    async def _impostor(self) -> ClientKeys:
        """The operator as a client by the victim's name."""
        if self._operator is None:
            self._operator = await make_client_keys(self._crypto, self._about.decode(), "ed25519", SUITES)
        return self._operator

    # -- the log --

    async def _other_log(self, asked: AnswersRequest, good: Answers) -> bytes:
        """Answers that fit together, of a log that nobody else has seen: of the size that the asker knows, so that no
        consistency has to be proved, with the log's true signature. It lacks the auditors' alone.
        """
        sizes = [answer.epoch.number + 1 for answer in good.answers if answer is not None]
        size = asked.known_size or max(sizes, default=1)
        place = vrf.prove(self._crypto, self._keys.vrf_secret, self._about)
        index = vrf.index_of(vrf.proof_to_hash(place))
        pinned = max((item.pinned for item in asked.requests if item.identity == self._about), default=0)
        signed, opening = await self._made_up(pinned + 1), secrets.token_bytes(OPENING_SIZE)
        leaf = MapLeaf(index, signed.manifest.version, commitment(opening, signed.manifest))
        current = IdentityMap([leaf])
        before, updates = _noise(2)
        epoch = EpochLeaf(size - 1, int(time.time()), current.root(), before, updates)
        inclusion = _noise((size - 1).bit_count())  # beside the last leaf stands one whole tree for each bit
        root = epoch.leaf_hash()
        for beside in inclusion:
            root = merkle.node_hash(beside, root)
        keys = self._keys
        note = await sign_note(self._crypto, Checkpoint(keys.origin, size, root).text(), keys.log_key, keys.log)
        presence = Presence(opening, signed.manifest.version, (signed,))
        answer = Answer(note.encode(), epoch, inclusion, place, current.proof(index), presence)
        return Answers((), tuple(answer if item.identity == self._about else None for item in asked.requests)).encode()

    async def _made_up(self, version: int) -> SignedManifest:
        """A manifest of the operator's making, which lists the operator alone."""
        pair = (await self._impostor()).pairs["ed25519"]
        key = ManifestKey(_ED25519, pair.public)
        previous, recovery = _noise(2)
        manifest = Manifest(
            self._about, version, previous if version > 1 else NO_PREVIOUS,
            (ManifestClient(key, SUITES, (MLS10,)),), MAX_LIFETIME, recovery,
        )  # fmt: skip
        return await sign_manifest(self._crypto, manifest, key, pair)


def _noise(count: int) -> tuple[bytes, ...]:
    """Hashes of nothing."""
    return tuple(secrets.token_bytes(HASH_SIZE) for _ in range(count))


def _weakest(item: InitKeySet) -> InitKeySet:
    """The set with its last suite alone."""
    index = item.user_init_key
    fewer = index.replace(cipher_suites=index.cipher_suites[-1:], init_keys=index.init_keys[-1:])
    return InitKeySet(fewer, item.key_packages[-1:])
