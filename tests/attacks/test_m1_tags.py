"""M1: messages of ts-mls with truncated or empty tags, signatures and ciphertexts."""

from __future__ import annotations

import pytest
from roomkey.mls.framing import MLSMessage, PrivateMessage, PublicMessage, message
from roomkey.mls.welcome import Welcome

from tests.attacks.foreigners import Table, not_joined, refused
from tests.interop.conftest import ts_mls
from tests.interop.peer import Peer
from tests.support.mls_forge import tagged

__all__ = ["ts_mls"]

CUTS = pytest.mark.parametrize("left", [0, 1, 16, 27], ids=lambda left: f"{left} bytes")


async def committed(table: Table) -> PublicMessage:
    body = MLSMessage.decode((await table.honest()).message).body
    assert isinstance(body, PublicMessage)
    return body


@CUTS
async def test_a_membership_tag(ts_mls: Peer, left: int) -> None:
    table = await Table.create(ts_mls)
    body = await committed(table)
    assert body.membership_tag is not None
    cut = message(body.replace(membership_tag=body.membership_tag[:left])).encode()
    await refused(table, cut, "message-membership-tag")


@CUTS
async def test_a_confirmation_tag_that_bob_signs_and_tags(ts_mls: Peer, left: int) -> None:
    table = await Table.create(ts_mls)
    body = await committed(table)
    assert body.confirmation_tag is not None
    cut = message(table.message(body.content, body.confirmation_tag[:left])).encode()
    await refused(table, cut, "commit-confirmation")


@CUTS
async def test_a_signature_that_bob_tags(ts_mls: Peer, left: int) -> None:
    table = await Table.create(ts_mls)
    body = await committed(table)
    cut = message(tagged(table.group, body.replace(signature=body.signature[:left]))).encode()
    await refused(table, cut, "message-signature")


@CUTS
@pytest.mark.parametrize("name", ["ciphertext", "encrypted_sender_data"])
async def test_ciphertexts(ts_mls: Peer, name: str, left: int) -> None:
    table = await Table.create(ts_mls)
    data = await table.bob.protect(b"hello")
    body = MLSMessage.decode(data).body
    assert isinstance(body, PrivateMessage)
    cut = message(body.replace(**{name: getattr(body, name)[:left]})).encode()
    await refused(table, cut, "decryption-failed")


async def test_a_ciphertext_without_its_last_byte_costs_no_key(ts_mls: Peer) -> None:
    """What a relay cut off, bob's honest message still brings."""
    table = await Table.create(ts_mls)
    data = await table.bob.protect(b"hello")
    body = MLSMessage.decode(data).body
    assert isinstance(body, PrivateMessage)
    await refused(table, message(body.replace(ciphertext=body.ciphertext[:-1])).encode(), "decryption-failed")
    assert (await table.alice.process(data, {})).data == b"hello"


@CUTS
@pytest.mark.parametrize("name", ["encrypted_group_info", "ciphertext", "kem_output"])
async def test_a_welcome(ts_mls: Peer, name: str, left: int) -> None:
    table = await Table.create(ts_mls)
    erin, data = await table.welcome()
    body = MLSMessage.decode(data).body
    assert isinstance(body, Welcome)
    if name == "encrypted_group_info":
        body = body.replace(encrypted_group_info=body.encrypted_group_info[:left])
    else:
        (entry,) = body.secrets
        sealed = entry.encrypted_group_secrets
        sealed = sealed.replace(**{name: getattr(sealed, name)[:left]})
        body = body.replace(secrets=(entry.replace(encrypted_group_secrets=sealed),))
    await not_joined(erin, message(body).encode(), "decryption-failed", "invalid-key")
    await erin.join(data, None, {})
