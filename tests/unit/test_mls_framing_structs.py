"""Every struct of messages: decode of encode is identity, and hostile bytes give our error and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from roomkey.crypto import hpke, labels
from roomkey.crypto.provider import SealItem
from roomkey.errors import RoomkeyError
from roomkey.mls.commit import Commit
from roomkey.mls.framing import (
    APPLICATION,
    EXTERNAL,
    MEMBER,
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    FramedContent,
    FramedContentTBS,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    Sender,
    member,
    message,
)
from roomkey.mls.group_context import GroupContext
from roomkey.mls.private_content import PrivateApplication, PrivateCommit, PrivateProposal, SenderData
from roomkey.mls.proposals import (
    Proposal,
    ProposalOrRef,
    Remove,
    proposal,
)
from roomkey.mls.psk import PreSharedKeyID, PSKLabel
from roomkey.mls.secret_tree import SecretTree, StoredTree
from roomkey.mls.welcome import GroupInfo, GroupSecrets, Welcome
from roomkey.tls import Struct

from tests.unit.struct_strategy import structs

STRUCTS: tuple[type[Struct], ...] = (
    AuthenticatedContent,
    Commit,
    FramedContent,
    FramedContentTBS,
    GroupContext,
    GroupInfo,
    GroupSecrets,
    MLSMessage,
    PSKLabel,
    PreSharedKeyID,
    PrivateApplication,
    PrivateCommit,
    PrivateMessage,
    PrivateProposal,
    Proposal,
    ProposalOrRef,
    PublicMessage,
    SenderData,
    StoredTree,
    Welcome,
)
# Nested structs are slow to draw, and slow is no failure here.
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


@pytest.mark.parametrize("cls", STRUCTS, ids=lambda cls: cls.__name__)
@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_decode_of_encode_is_identity(cls: type[Struct], data: st.DataObject) -> None:
    value = data.draw(structs(cls))
    decoded = cls.decode(value.encode())
    assert decoded == value
    # Fields, not only remembered bytes: each copy is encoded anew.
    assert decoded.replace().encode() == value.encode()
    for name in cls._names:
        assert getattr(decoded, name) == getattr(value, name)


@pytest.mark.parametrize("cls", STRUCTS, ids=lambda cls: cls.__name__)
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(data=st.binary(max_size=1 << 16))
def test_any_bytes_give_a_value_or_our_error(cls: type[Struct], data: bytes) -> None:
    decodes_strictly(cls, data)


@pytest.mark.parametrize("cls", STRUCTS, ids=lambda cls: cls.__name__)
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_altered_bytes_give_a_value_or_our_error(cls: type[Struct], data: st.DataObject) -> None:
    good = bytearray(data.draw(structs(cls)).encode())
    start = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 4))
    good[start : start + cut] = data.draw(st.binary(max_size=4))
    decodes_strictly(cls, bytes(good))


def decodes_strictly(cls: type[Struct], data: bytes) -> None:
    """What decodes has these bytes as its only encoding."""
    try:
        value = cls.decode(data)
    except RoomkeyError as error:
        assert error.code in ("malformed", "too-large")  # noqa: PT017 - a value is as good an outcome
    else:
        assert value.replace().encode() == data


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=2000))
def test_a_stored_secret_tree_of_any_bytes_gives_a_tree_or_our_error(data: bytes) -> None:
    try:
        SecretTree.decode(data)
    except RoomkeyError as error:
        assert error.code in ("malformed", "unsupported-suite")  # noqa: PT017


def test_every_cut_of_a_message_is_malformed() -> None:
    content = FramedContent(b"group", 7, member(3), b"aad", 2, proposal(Remove(1)))
    whole = message(PublicMessage(content, b"s" * 64, None, b"t" * 32)).encode()
    assert MLSMessage.decode(whole).encode() == whole
    for size in range(len(whole)):
        with pytest.raises(RoomkeyError) as caught:
            MLSMessage.decode(whole[:size])
        assert caught.value.code == "malformed"
    with pytest.raises(RoomkeyError, match="end of data"):
        MLSMessage.decode(whole + b"\0")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"\x00\x02\x00\x01", "version"),
        (b"\x00\x01\x00\x06", "wire_format"),
        (b"\x00\x01\x00\x00", "wire_format"),
        (b"\x00\x01\x00\x01" + b"\0" + bytes(8) + b"\x05", "sender_type"),
        (b"\x00\x01\x00\x02" + b"\0" + bytes(8) + b"\x04", "content_type"),
    ],
)
def test_unknown_enums_are_named(data: bytes, field: str) -> None:
    with pytest.raises(RoomkeyError) as caught:
        MLSMessage.decode(data)
    assert caught.value.code == "malformed"
    assert str(caught.value.details["field"]).endswith(field)


def test_a_proposal_of_an_unknown_type_is_carried() -> None:
    data = b"\x0a\x0a" + b"\x03abc"
    custom = Proposal.decode(data)
    assert custom.custom
    assert custom.body == b"abc"
    assert custom.replace().encode() == data
    assert not proposal(Remove(4)).custom


@pytest.mark.parametrize(
    "wrong",
    [
        Sender(MEMBER),
        Sender(MEMBER, sender_index=1),
        Sender(EXTERNAL, leaf_index=1),
        Sender(9, leaf_index=1),
        AuthenticatedContent(PUBLIC_MESSAGE, FramedContent(b"", 0, member(0), b"", APPLICATION, b""), b"", b"tag"),
    ],
)
def test_fields_that_do_not_fit_their_tag_are_not_encoded(wrong: Struct) -> None:
    with pytest.raises(RoomkeyError) as caught:
        wrong.encode()
    assert caught.value.code == "bad-argument"


def test_text_forms_show_nothing() -> None:
    secret = b"do not show me"
    shown: list[Any] = [
        GroupSecrets(secret, None, ()),
        FramedContent(secret, 0, member(0), secret, APPLICATION, secret),
        PrivateApplication(secret, secret, b""),
        SealItem("AES-128-GCM", secret, secret, b"", secret),
        hpke.Seal(secret, b"", b"", secret),
        labels.Sealing(secret, b"", b"", secret),
    ]
    for value in shown:
        assert "show" not in repr(value)
        assert "show" not in str(value)
