"""message-protection.json: public and private messages of leaf 1, read and made (RFC 9420 section 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls.commit import Commit
from roomkey.mls.framing import (
    APPLICATION,
    COMMIT,
    PRIVATE_MESSAGE,
    PROPOSAL,
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    FramedContent,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    member,
    message,
)
from roomkey.mls.group_context import GroupContext
from roomkey.mls.proposals import Proposal
from roomkey.mls.protection import open_private, open_public, protect_private, protect_public, sign, verify
from roomkey.mls.secret_tree import SecretTree
from roomkey.mls.version import MLS10

SENDER = 1
# Makers of our own messages need some tag on a commit; nothing here checks its value.
TAG = bytes(32)
KINDS: dict[str, tuple[int, Callable[[bytes], bytes | Proposal | Commit]]] = {
    "proposal": (PROPOSAL, Proposal.decode),
    "commit": (COMMIT, Commit.decode),
    "application": (APPLICATION, bytes),
}


@dataclass
class Side:
    """The keys of one case, the same for sender and receiver."""

    crypto: CryptoProvider
    suite: CipherSuite
    context: GroupContext
    v: dict[str, bytes]

    def tree(self) -> SecretTree:
        return SecretTree.create(self.suite, 2, self.v["encryption_secret"])

    async def read(self, data: bytes) -> FramedContent:
        """Opens and verifies an encoded MLSMessage."""
        body = MLSMessage.decode(data).body
        if isinstance(body, PublicMessage):
            content = open_public(self.suite, self.context, self.v["membership_key"], body)
        else:
            assert isinstance(body, PrivateMessage), "a framed content"
            secret = self.v["sender_data_secret"]
            _, content = await open_private(self.crypto, self.context, secret, self.tree(), body, expect_sender)
        (verified,) = await verify(self.crypto, self.suite, self.context, [(content, self.v["signature_pub"])])
        return verified.framed

    async def make(self, content: FramedContent, wire_format: int) -> bytes:
        """Signs and protects a content as an encoded MLSMessage."""
        key = KeyPair(self.v["signature_pub"], self.v["signature_priv"])
        (signature,) = await sign(self.crypto, self.suite, self.context, [(key, wire_format, content)])
        tag = TAG if content.content_type == COMMIT else None
        signed = AuthenticatedContent(wire_format, content, signature, tag)
        if wire_format == PUBLIC_MESSAGE:
            return message(protect_public(self.suite, self.context, self.v["membership_key"], signed)).encode()
        secret = self.v["sender_data_secret"]
        _, (private,) = await protect_private(self.crypto, self.context, secret, self.tree(), [signed])
        return message(private).encode()


def expect_sender(leaf_index: int) -> None:
    assert leaf_index == SENDER, f"sender {leaf_index}"


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    passed: Counter[int] = Counter()
    for case in cases:
        suite = SUITES.get(case["cipher_suite"])
        if suite is None:
            continue
        v = {name: bytes.fromhex(value) for name, value in case.items() if isinstance(value, str)}
        context = GroupContext(
            MLS10, suite.number, v["group_id"], case["epoch"], v["tree_hash"], v["confirmed_transcript_hash"], ()
        )
        for name in KINDS:
            await check(Side(crypto, suite, context, v), name)
        passed[suite.number] += 1
    return passed


async def check(side: Side, name: str) -> None:
    content_type, decode = KINDS[name]
    raw = side.v[name]
    content = FramedContent(side.context.group_id, side.context.epoch, member(SENDER), b"", content_type, decode(raw))
    messages = [side.v[f"{name}_priv"], await side.make(content, PRIVATE_MESSAGE)]
    if content_type == APPLICATION:
        code = "none"
        try:
            await side.make(content, PUBLIC_MESSAGE)
        except RoomkeyError as error:
            code = error.code
        assert code == "bad-argument", f"application data in the clear: {code}"
    else:
        messages += [side.v[f"{name}_pub"], await side.make(content, PUBLIC_MESSAGE)]
    for data in messages:
        got = (await side.read(data)).content
        assert (got if isinstance(got, bytes) else got.encode()) == raw, f"{name}: content"
