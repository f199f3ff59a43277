"""Messages that break a rule of framing, RFC 9420 section 6."""

from __future__ import annotations

from roomkey.mls.commit import Commit
from roomkey.mls.framing import (
    EXTERNAL,
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    Sender,
    member,
    message,
)
from roomkey.mls.group import PAST_EPOCHS
from roomkey.mls.private_content import SenderData, sender_item
from roomkey.mls.processing import protect
from roomkey.mls.proposals import ExternalInit, Remove, proposal

from tests.support.mls_forge import SUITE, Scene
from tests.unit.validation_rules.registry import Attempt, breaks, heard

REMOVE_CAROL = proposal(Remove(2))


@breaks("message-group", "wrong-group")
async def another_group(scene: Scene) -> Attempt:
    data = await scene.public("bob", REMOVE_CAROL, change=lambda framed: framed.replace(group_id=b"another"))
    return heard(scene, data)


@breaks("message-group", "wrong-group")
async def a_late_text_of_another_group(scene: Scene) -> Attempt:
    _, data = await protect(scene.crypto("bob"), scene.group("bob"), b"late")
    body = MLSMessage.decode(data).body
    assert isinstance(body, PrivateMessage)
    await scene.world.commit("carol", path=True)
    return heard(scene, message(body.replace(group_id=b"another")).encode())


@breaks("message-epoch", "wrong-epoch")
async def the_next_epoch(scene: Scene) -> Attempt:
    data = await scene.public("bob", REMOVE_CAROL, change=lambda framed: framed.replace(epoch=framed.epoch + 1))
    return heard(scene, data)


@breaks("message-epoch", "wrong-epoch")
async def a_commit_of_the_last_epoch(scene: Scene) -> Attempt:
    late = await scene.honest("bob", REMOVE_CAROL)
    await scene.world.commit("bob", path=True)
    return heard(scene, late.message)


@breaks("message-epoch", "wrong-epoch")
async def a_text_of_an_epoch_that_nobody_keeps(scene: Scene) -> Attempt:
    _, late = await protect(scene.crypto("bob"), scene.group("bob"), b"better late than never")
    for _ in range(PAST_EPOCHS + 1):
        await scene.world.commit("carol", path=True)
    return heard(scene, late)


@breaks("message-sender-member", "invalid-message")
async def a_blank_leaf(scene: Scene) -> Attempt:
    return heard(scene, await scene.public("bob", REMOVE_CAROL, sender=member(3)))


@breaks("message-sender-member", "invalid-message")
async def a_leaf_beyond_the_tree(scene: Scene) -> Attempt:
    return heard(scene, await scene.public("bob", REMOVE_CAROL, sender=member(2**32 - 1)))


@breaks("message-sender-member", "invalid-message")
async def a_late_text_of_a_blank_leaf(scene: Scene) -> Attempt:
    group, crypto = scene.group("bob"), scene.crypto("bob")
    _, data = await protect(crypto, group, b"late")
    body = MLSMessage.decode(data).body
    assert isinstance(body, PrivateMessage)
    claim = SenderData(3, 0, b"gard").encode()
    (sealed,) = await crypto.seal([sender_item(SUITE, group.secrets.sender_data_secret, body, body.ciphertext, claim)])
    await scene.world.commit("carol", path=True)
    return heard(scene, message(body.replace(encrypted_sender_data=sealed)).encode())


@breaks("message-sender-type", "invalid-message")
async def a_commit_from_the_service(scene: Scene) -> Attempt:
    data = await scene.public("service", Commit((), None), sender=Sender(EXTERNAL, sender_index=0), key=scene.service)
    return heard(scene, data)


@breaks("message-sender-type", "invalid-message")
async def a_proposal_by_an_external_committer(scene: Scene) -> Attempt:
    keys = await scene.world.client("dave")
    data = await scene.public("dave", REMOVE_CAROL, sender=Sender(NEW_MEMBER_COMMIT), key=keys.leaf.signature)
    return heard(scene, data)


@breaks("message-application-encrypted", "invalid-message")
async def application_data_in_the_clear(scene: Scene) -> Attempt:
    return heard(scene, await scene.public("bob", b"hello"))


@breaks("message-membership-tag", "invalid-tag")
async def an_altered_membership_tag(scene: Scene) -> Attempt:
    body = MLSMessage.decode(await scene.public("bob", REMOVE_CAROL)).body
    assert isinstance(body, PublicMessage)
    assert body.membership_tag is not None
    return heard(scene, message(body.replace(membership_tag=bytes(len(body.membership_tag)))).encode())


@breaks("message-membership-tag", "invalid-tag")
async def an_empty_membership_tag(scene: Scene) -> Attempt:
    body = MLSMessage.decode(await scene.public("bob", REMOVE_CAROL)).body
    assert isinstance(body, PublicMessage)
    return heard(scene, message(body.replace(membership_tag=b"")).encode())


@breaks("message-signature", "invalid-signature")
async def in_the_name_of_another_member(scene: Scene) -> Attempt:
    return heard(scene, await scene.public("bob", REMOVE_CAROL, sender=member(2)))


@breaks("message-own", "own-message")
async def our_own_back(scene: Scene) -> Attempt:
    return heard(scene, await scene.public("alice", REMOVE_CAROL))


@breaks("proposal-external-type", "invalid-proposal")
async def an_external_init_by_the_service(scene: Scene) -> Attempt:
    item = proposal(ExternalInit(b"kem output"))
    data = await scene.public("service", item, sender=Sender(EXTERNAL, sender_index=0), key=scene.service)
    return heard(scene, data)


@breaks("proposal-external-type", "invalid-proposal")
async def an_update_by_the_service(scene: Scene) -> Attempt:
    item = await scene.update("carol")
    data = await scene.public("service", item, sender=Sender(EXTERNAL, sender_index=0), key=scene.service)
    return heard(scene, data)


@breaks("proposal-external-sender", "invalid-proposal")
async def a_service_that_is_not_listed(scene: Scene) -> Attempt:
    data = await scene.public("service", REMOVE_CAROL, sender=Sender(EXTERNAL, sender_index=1), key=scene.service)
    return heard(scene, data)


@breaks("proposal-new-member", "invalid-proposal")
async def a_newcomer_who_removes(scene: Scene) -> Attempt:
    keys = await scene.world.client("dave")
    data = await scene.public("dave", REMOVE_CAROL, sender=Sender(NEW_MEMBER_PROPOSAL), key=keys.leaf.signature)
    return heard(scene, data)
