"""A service's log: what it takes, what it publishes, what it answers. Two services, each the other's auditor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.crypto.provider import KeyPair
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.exchange import AnswerRequest, Answers, AnswersRequest
from roomkey.transparency.manifest import (
    NO_PREVIOUS,
    FirstSeen,
    Followed,
    Manifest,
    ManifestClient,
    ManifestKey,
    SignedManifest,
    sign_manifest,
)
from roomkey.transparency.verifier import Known, Outcome, Proved, verify_answer

from tests.support.logged_services import LoggedLocals

CRYPTO = NativeCrypto()
ALICE = "alice@email1.example"
BOB = "bob@email1.example"
NOTHING = Known()


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[LoggedLocals]:
    made = LoggedLocals(tmp_path)
    assert await made.advance()
    yield made
    await made.close()


class Owner:
    """Who makes manifests: one client key, one recovery key."""

    def __init__(self, identity: str, pair: KeyPair, recovery: KeyPair) -> None:
        self.identity, self.pair, self.recovery = identity, pair, recovery
        self.last: Manifest | None = None

    @classmethod
    async def make(cls, identity: str = ALICE) -> Owner:
        return cls(identity, *await CRYPTO.generate_keys("ed25519", 2))

    @property
    def key(self) -> ManifestKey:
        return ManifestKey(0x0807, self.pair.public)

    async def next(self, *, by: KeyPair | None = None, keep: bool = True) -> SignedManifest:
        """The next version, which lists this client alone."""
        recovery = ManifestKey(0x0807, self.recovery.public)
        version, previous = (1, NO_PREVIOUS) if self.last is None else (self.last.version + 1, self.last.hash())
        client = ManifestClient(self.key, (1, 3), (1,))
        manifest = Manifest(self.identity.encode(), version, previous, (client,), 86400 + version, recovery.hash())
        signer = by or self.pair
        if keep:
            self.last = manifest
        return await sign_manifest(CRYPTO, manifest, ManifestKey(0x0807, signer.public), signer)


async def asked(
    logs: LoggedLocals, identity: str = ALICE, *, own: str | None = None, size: int = 0, pin: int = 0
) -> Answers:
    return await logs.log().answers(AnswersRequest(size, (AnswerRequest(identity.encode(), pin),)), own)


async def proved(logs: LoggedLocals, answers: Answers, known: Known = NOTHING, identity: str = ALICE) -> Outcome:
    (answer,) = answers.answers
    assert answer is not None
    trust = logs.trusts["email1.example"]
    return await verify_answer(CRYPTO, answer, identity.encode(), trust, known, answers.consistency, int(logs.time))


async def test_a_manifest_is_logged_cosigned_and_proved(logs: LoggedLocals) -> None:
    owner = await Owner.make()
    first = await owner.next()
    assert await logs.log().submit(first, logs.time) == 1
    assert await logs.log().newest(ALICE) == first
    assert await logs.log().cosigned(ALICE) is None
    assert await logs.advance()
    assert await logs.log().cosigned(ALICE) == first
    outcome = await proved(logs, await asked(logs))
    assert isinstance(outcome, Proved)
    assert outcome.chain == FirstSeen(first.manifest)
    second = await owner.next()
    await logs.log().submit(second, logs.time)
    await logs.advance()
    known = Known(outcome.checkpoint, first.manifest)
    size = outcome.checkpoint.checkpoint.size
    later = await proved(logs, await asked(logs, size=size, pin=1), known)
    assert isinstance(later, Proved)
    assert later.chain == Followed(second.manifest)
