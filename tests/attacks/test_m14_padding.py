"""M14: padding that is not all zero, sealed by a member as if it were content (RFC 9420 section 6.3.1)."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from roomkey.errors import RoomkeyError
from roomkey.mls import protection
from roomkey.mls.framing import (
    APPLICATION,
    COMMIT,
    PRIVATE_MESSAGE,
    PROPOSAL,
    AuthenticatedContent,
    Content,
    FramedContent,
    MLSMessage,
    PublicMessage,
    member,
    message,
)
from roomkey.mls.private_content import NO_PADDING, Padding, encode_inner
from roomkey.mls.processing import process
from roomkey.mls.proposals import Remove, proposal
from roomkey.mls.state import encode_group

from tests.support.mls_forge import SUITE, Scene


class Kind(NamedTuple):
    content_type: int
    content: Content | None  # None: an honest commit


KINDS = {
    "application data": Kind(APPLICATION, b"hello"),
    "a proposal": Kind(PROPOSAL, proposal(Remove(2))),
    "a commit": Kind(COMMIT, None),
}
PADDINGS = {
    "one byte": b"\1",
    "the first of many": b"\1" + bytes(200),
    "the last of many": bytes(200) + b"\1",
    "a hidden text": b"a channel that nobody was to see",
}


async def padded(scene: Scene, kind: Kind, padding: bytes, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Bob's PrivateMessage, right but for its padding."""
    group, crypto = scene.group("bob"), scene.crypto("bob")
    content, tag = kind.content, None
    if content is None:
        body = MLSMessage.decode((await scene.honest("bob", path=True)).message).body
        assert isinstance(body, PublicMessage)
        content, tag = body.content.content, body.confirmation_tag
    framed = FramedContent(group.group_id, group.epoch, member(group.own_leaf), b"", kind.content_type, content)
    (signature,) = await protection.sign(crypto, SUITE, group.context, [(group.signature, PRIVATE_MESSAGE, framed)])

    def filled(item: AuthenticatedContent, _: Padding) -> bytes:
        return encode_inner(item, NO_PADDING) + padding

    with monkeypatch.context() as forging:
        forging.setattr(protection, "encode_inner", filled)
        _, (private,) = await protection.protect_private(
            crypto, group.context, group.secrets.sender_data_secret, group.messages,
            [AuthenticatedContent(PRIVATE_MESSAGE, framed, signature, tag)],
        )  # fmt: skip
    return message(private).encode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", PADDINGS)
async def test_what_is_not_zero_is_refused(kind: str, padding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene.create()
    data = await padded(scene, KINDS[kind], PADDINGS[padding], monkeypatch)
    before = encode_group(scene.group("alice"))
    with pytest.raises(RoomkeyError) as caught:
        await process(scene.crypto("alice"), scene.group("alice"), data)
    assert caught.value.code == "malformed"
    assert "padding" in caught.value.text
    assert encode_group(scene.group("alice")) == before
    await scene.world.say("bob", b"of the same generation")  # the refused message used up no key
    await scene.world.commit("bob", path=True)


@pytest.mark.parametrize("kind", ["application data", "a proposal"])
async def test_zeros_of_any_number_are_taken(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene.create()
    data = await padded(scene, KINDS[kind], bytes(70_000), monkeypatch)
    await process(scene.crypto("alice"), scene.group("alice"), data)
