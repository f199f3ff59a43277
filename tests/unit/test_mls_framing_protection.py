"""Protecting messages and Welcomes: every check of the lists in `protection` and `welcome` refuses what it should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from roomkey.crypto.provider import KeyPair
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls import private_content
from roomkey.mls.extensions import Extension
from roomkey.mls.framing import (
    APPLICATION,
    EXTERNAL,
    PRIVATE_MESSAGE,
    PROPOSAL,
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    FramedContent,
    PrivateMessage,
    PublicMessage,
    Sender,
    member,
)
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_schedule import NewEpoch, next_epoch
from roomkey.mls.private_content import NO_PADDING, PAD_256, Padding
from roomkey.mls.proposals import Remove, proposal
from roomkey.mls.protection import (
    expect_current,
    open_private,
    open_public,
    own_content,
    protect_private,
    protect_public,
    sign,
    verify,
)
from roomkey.mls.secret_tree import SecretTree
from roomkey.mls.validation import violation
from roomkey.mls.version import MLS10
from roomkey.mls.welcome import (
    GroupInfo,
    Joiner,
    find_secrets,
    open_group_info,
    open_group_secrets,
    seal_welcome,
    sign_group_info,
    verify_group_info,
)

ZERO = bytes(32)
CRYPTO = NativeCrypto()


@dataclass
class World:
    """An epoch of a group of four; leaf 1 speaks."""

    number: int
    context: GroupContext
    epoch: NewEpoch
    key: KeyPair
    tree: SecretTree

    async def signed(self, content: FramedContent, wire_format: int) -> AuthenticatedContent:
        (signature,) = await sign(CRYPTO, SUITES[self.number], self.context, [(self.key, wire_format, content)])
        return AuthenticatedContent(wire_format, content, signature)

    def content(self, body: Any = b"hello", kind: int = APPLICATION, sender: Sender | None = None) -> FramedContent:
        return FramedContent(self.context.group_id, self.context.epoch, sender or member(1), b"aad", kind, body)

    async def private(self, body: bytes = b"hello", padding: Padding = PAD_256) -> PrivateMessage:
        signed = await self.signed(self.content(body), PRIVATE_MESSAGE)
        secret = self.epoch.secrets.sender_data_secret
        _, (sealed,) = await protect_private(CRYPTO, self.context, secret, self.tree, [signed], padding)
        return sealed

    async def open(self, message: PrivateMessage, tree: SecretTree | None = None) -> tuple[SecretTree, bytes]:
        secret = self.epoch.secrets.sender_data_secret
        after, content = await open_private(CRYPTO, self.context, secret, tree or self.tree, message, any_sender)
        (verified,) = await verify(CRYPTO, SUITES[self.number], self.context, [(content, self.key.public)])
        assert isinstance(verified.framed.content, bytes)
        return after, verified.framed.content

    async def public(self, sender: Sender | None = None) -> PublicMessage:
        signed = await self.signed(self.content(proposal(Remove(2)), PROPOSAL, sender), PUBLIC_MESSAGE)
        return protect_public(SUITES[self.number], self.context, self.epoch.secrets.membership_key, signed)

    def open_public(self, message: PublicMessage) -> AuthenticatedContent:
        return open_public(SUITES[self.number], self.context, self.epoch.secrets.membership_key, message)


def any_sender(leaf_index: int) -> None:
    """Takes every leaf."""


@pytest.fixture(params=list(SUITES))
async def world(request: pytest.FixtureRequest) -> World:
    suite = SUITES[request.param]
    context = GroupContext(MLS10, suite.number, b"group", 9, b"t" * 32, b"c" * 32, (Extension(0x0A0A, b"grease"),))
    epoch = next_epoch(suite, ZERO, ZERO, ZERO, context)
    (key,) = await CRYPTO.generate_keys(suite.scheme, 1)
    return World(suite.number, context, epoch, key, SecretTree.create(suite, 4, epoch.encryption_secret))


def refused(code: str) -> Any:
    return pytest.raises(RoomkeyError, match=f"^{code}")


def flipped(data: bytes, at: int = -1) -> bytes:
    out = bytearray(data)
    out[at] ^= 1
    return bytes(out)


async def test_public_messages_of_members(world: World) -> None:
    message = await world.public()
    content = world.open_public(message)
    (verified,) = await verify(CRYPTO, SUITES[world.number], world.context, [(content, world.key.public)])
    assert verified.authenticated == own_content(content).authenticated
    tag = message.membership_tag
    assert tag is not None
    for wrong in (b"", tag[:1], tag[:-1], tag + b"\0", flipped(tag), ZERO):
        with refused("invalid-tag"):
            world.open_public(message.replace(membership_tag=wrong))
    with refused("invalid-tag"):
        world.open_public(message.replace(content=message.content.replace(authenticated_data=b"")))
    with refused("invalid-tag"):
        world.open_public(message.replace(signature=flipped(message.signature)))


async def test_public_messages_from_outside_carry_no_tag(world: World) -> None:
    message = await world.public(Sender(EXTERNAL, sender_index=0))
    assert message.membership_tag is None
    content = world.open_public(message)
    elsewhere = world.context.replace(tree_hash=b"other")
    # The signature of an outsider does not cover the context, a member's does.
    await verify(CRYPTO, SUITES[world.number], elsewhere, [(content, world.key.public)])
    ours = world.open_public(await world.public())
    with refused("invalid-signature"):
        await verify(CRYPTO, SUITES[world.number], elsewhere, [(ours, world.key.public)])


async def test_application_data_never_travel_in_the_clear(world: World) -> None:
    signed = await world.signed(world.content(), PUBLIC_MESSAGE)
    with refused("bad-argument"):
        protect_public(SUITES[world.number], world.context, world.epoch.secrets.membership_key, signed)
    with refused("invalid-message"):
        world.open_public(PublicMessage(signed.content, signed.signature, None, ZERO))


async def test_a_signature_counts_for_one_wire_format(world: World) -> None:
    content = world.content(proposal(Remove(2)), PROPOSAL)
    public, private = await world.signed(content, PUBLIC_MESSAGE), await world.signed(content, PRIVATE_MESSAGE)
    secrets = world.epoch.secrets
    with refused("bad-argument"):
        protect_public(SUITES[world.number], world.context, secrets.membership_key, private)
    with refused("bad-argument"):
        await protect_private(CRYPTO, world.context, secrets.sender_data_secret, world.tree, [public])
    with refused("invalid-signature"):
        crossed = public.replace(wire_format=PRIVATE_MESSAGE)
        await verify(CRYPTO, SUITES[world.number], world.context, [(crossed, world.key.public)])


async def test_one_bad_signature_fails_a_batch(world: World) -> None:
    good = await world.signed(world.content(), PRIVATE_MESSAGE)
    bad = good.replace(signature=flipped(good.signature))
    suite, public = SUITES[world.number], world.key.public
    assert len(await verify(CRYPTO, suite, world.context, [(good, public)] * 3)) == 3
    with pytest.raises(RoomkeyError, match="content 1 of 3") as caught:
        await verify(CRYPTO, suite, world.context, [(good, public), (bad, public), (good, public)])
    assert caught.value.details["rule"] == "message-signature"
    for wrong in (b"", good.signature[:-1], good.signature + b"\0"):
        with refused("invalid-signature"):
            await verify(CRYPTO, suite, world.context, [(good.replace(signature=wrong), public)])


async def test_private_messages_are_read_once(world: World) -> None:
    message = await world.private()
    tree, data = await world.open(message)
    assert data == b"hello"
    with refused("key-consumed"):
        await world.open(message, tree)


async def test_a_batch_uses_a_key_for_each_message(world: World) -> None:
    bodies = [bytes((n,)) * n for n in range(5)]
    signed = [await world.signed(world.content(body), PRIVATE_MESSAGE) for body in bodies]
    secret = world.epoch.secrets.sender_data_secret
    after, messages = await protect_private(CRYPTO, world.context, secret, world.tree, signed)
    assert len({m.ciphertext for m in messages}) == 5
    tree = world.tree
    for message, body in reversed(list(zip(messages, bodies, strict=True))):
        tree, data = await world.open(message, tree)
        assert data == body
    assert tree.encode() == after.encode()


async def test_an_altered_private_message_fails_and_costs_no_key(world: World) -> None:
    message = await world.private()
    altered = [
        message.replace(ciphertext=flipped(message.ciphertext)),
        message.replace(ciphertext=flipped(message.ciphertext, 0)),
        message.replace(ciphertext=message.ciphertext[:-1]),
        message.replace(ciphertext=b""),
        message.replace(encrypted_sender_data=flipped(message.encrypted_sender_data)),
        message.replace(encrypted_sender_data=b""),
        message.replace(authenticated_data=b"else"),
        message.replace(content_type=PROPOSAL),
    ]
    for wrong in altered:
        with refused("decryption-failed"):
            await world.open(wrong)
    assert (await world.open(message))[1] == b"hello"


async def test_padding_hides_the_length_and_must_be_zero(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {len((await world.private(b"x" * n)).ciphertext) for n in range(1, 60)}
    assert sizes == {256 + 16}
    assert len((await world.private(b"", NO_PADDING)).ciphertext) < 120

    def encode_with(padding: bytes) -> Callable[[AuthenticatedContent, Padding], bytes]:
        plain = private_content.encode_inner
        return lambda content, _: plain(content, NO_PADDING) + padding

    for padding in (b"\1", bytes(99) + b"\1", b"\1" + bytes(99)):
        with monkeypatch.context() as patch:
            patch.setattr("roomkey.mls.protection.encode_inner", encode_with(padding))
            message = await world.private()
        with pytest.raises(RoomkeyError, match="padding") as caught:
            await world.open(message)
        assert caught.value.code == "malformed"


async def test_the_sender_is_asked_about_before_its_key_is_used(world: World) -> None:
    asked: list[int] = []

    def refuse(leaf_index: int) -> None:
        asked.append(leaf_index)
        raise violation("message-sender-member")

    message, secret = await world.private(), world.epoch.secrets.sender_data_secret
    with refused("invalid-message"):
        await open_private(CRYPTO, world.context, secret, world.tree, message, refuse)
    assert asked == [1]


async def test_only_members_send_private_messages(world: World) -> None:
    signed = await world.signed(
        world.content(proposal(Remove(2)), PROPOSAL, Sender(EXTERNAL, sender_index=0)), PRIVATE_MESSAGE
    )
    with refused("bad-argument"):
        await protect_private(CRYPTO, world.context, world.epoch.secrets.sender_data_secret, world.tree, [signed])


async def test_other_groups_and_epochs_are_refused(world: World) -> None:
    private, public = await world.private(), await world.public()
    for message in (private, public):
        expect_current(world.context, message)
        for change, code in (({"group_id": b"other"}, "wrong-group"), ({"epoch": 8}, "wrong-epoch")):
            with refused(code):
                expect_current(world.context.replace(**change), message)
    with refused("wrong-epoch"):
        await world.open(private.replace(epoch=10))
    with refused("wrong-group"):
        world.open_public(public.replace(content=public.content.replace(group_id=b"other")))


async def group_info(world: World) -> GroupInfo:
    extensions = (Extension(0x0A0A, b"x"),)
    return await sign_group_info(CRYPTO, SUITES[world.number], world.key, 1, world.context, extensions, b"tag" * 10)


async def test_a_welcome_lets_in_all_joiners_and_nobody_else(world: World) -> None:
    suite, info = SUITES[world.number], await group_info(world)
    inits = await CRYPTO.generate_keys(suite.group, 3)
    joiners = [Joiner(bytes((n,)) * 32, pair.public, bytes((n,)) * 32 if n else None) for n, pair in enumerate(inits)]
    secret, joiner_secret = world.epoch.welcome_secret, world.epoch.joiner_secret
    welcome = await seal_welcome(CRYPTO, suite, secret, joiner_secret, info, (), joiners)
    for joiner, pair in zip(joiners, inits, strict=True):
        _, entry = find_secrets(welcome, [joiner.key_package_ref])
        secrets = await open_group_secrets(CRYPTO, suite, welcome, entry, pair)
        assert secrets.joiner_secret == joiner_secret
        assert (secrets.path_secret and secrets.path_secret.path_secret) == joiner.path_secret
    assert await open_group_info(CRYPTO, suite, welcome, secret) == info

    with refused("welcome-not-for-us"):
        find_secrets(welcome, [b"\7" * 32])
    with refused("welcome-not-for-us"):
        find_secrets(welcome, [])
    _, entry = find_secrets(welcome, [joiners[0].key_package_ref])
    with refused("decryption-failed"):
        await open_group_secrets(CRYPTO, suite, welcome, entry, inits[1])
    with refused("decryption-failed"):
        await open_group_info(CRYPTO, suite, welcome, ZERO)
    # The entries are bound to the GroupInfo beside them, and to the suite.
    altered = welcome.replace(encrypted_group_info=flipped(welcome.encrypted_group_info))
    with refused("decryption-failed"):
        await open_group_secrets(CRYPTO, suite, altered, entry, inits[0])
    with refused("decryption-failed"):
        await open_group_info(CRYPTO, suite, altered, secret)
    with refused("invalid-welcome"):
        await open_group_secrets(CRYPTO, suite, welcome.replace(cipher_suite=7), entry, inits[0])


async def test_every_field_of_a_group_info_is_signed(world: World) -> None:
    suite, info = SUITES[world.number], await group_info(world)
    assert (await verify_group_info(CRYPTO, suite, world.key.public, info)).info is info
    altered = [
        info.replace(group_context=world.context.replace(epoch=1)),
        info.replace(extensions=()),
        info.replace(confirmation_tag=b""),
        info.replace(signer=2),
        info.replace(signature=flipped(info.signature)),
        info.replace(signature=b""),
    ]
    for wrong in altered:
        with refused("invalid-welcome"):
            await verify_group_info(CRYPTO, suite, world.key.public, wrong)
