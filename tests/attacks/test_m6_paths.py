"""M6: bad UpdatePaths are refused, and whom one locked out comes back.

RFC 9420 section 16.12: an insider can make a path that some members can follow and others cannot. Nobody can prevent
that; those whom it fails see it, keep their old state, and join again.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from roomkey.conference import ordering
from roomkey.crypto import labels
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.mls import protection
from roomkey.mls.commit import Commit
from roomkey.mls.committing import group_info
from roomkey.mls.external import external_commit
from roomkey.mls.framing import (
    COMMIT,
    PRIVATE_MESSAGE,
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    FramedContent,
    PublicMessage,
    member,
    message,
)
from roomkey.mls.group import Group, begin_epoch
from roomkey.mls.key_schedule import next_epoch
from roomkey.mls.policy import EXTERNAL_JOINS, policy_by_name
from roomkey.mls.processing import process
from roomkey.mls.proposals import Remove, proposal
from roomkey.mls.state import encode_group
from roomkey.mls.transcript import confirmation_tag, confirmed_transcript_hash
from roomkey.mls.tree_hash import tree_hash
from roomkey.mls.treekem import UpdatePath, new_path, seal_path

from tests.attacks.foreigners import Table, refused
from tests.attacks.mallory import crypto_of, group_of, heard, put
from tests.interop.conftest import ts_mls
from tests.interop.peer import Peer
from tests.support.mls_forge import Scene, tagged
from tests.support.mls_world import NOW
from tests.support.people import Person, call, together
from tests.support.simulator import until

__all__ = ["ts_mls"]

OPEN = policy_by_name(EXTERNAL_JOINS)


async def fragmenting(
    crypto: CryptoProvider, group: Group, victim: int, wire_format: int = PUBLIC_MESSAGE
) -> tuple[bytes, Group]:
    """A member's commit, and the group after it, with a path whose secret for one leaf is not the path's. All else is
    right, the confirmation tag too.
    """
    suite = group.suite
    (pair,) = await crypto.generate_keys(suite.group, 1)
    new = await new_path(crypto, group.tree, group.own_leaf, group.leaf, pair, group.signature, group.group_id)
    provisional = group.context.replace(epoch=group.epoch + 1, tree_hash=tree_hash(new.tree))
    path = await seal_path(crypto, new, (), provisional.encode())
    hit = group.tree.leaf(victim)
    assert hit is not None
    sealing = labels.Sealing(hit.encryption_key, b"UpdatePathNode", provisional.encode(), bytes(suite.nh))
    (wrong,) = await labels.encrypt_with_label(crypto, suite, [sealing])
    nodes = [
        node.replace(
            encrypted_path_secret=tuple(
                wrong if at == 2 * victim else sealed
                for at, sealed in zip(group.tree.resolution(copath), node.encrypted_path_secret, strict=True)
            )
        )
        for (_, copath), node in zip(new.path, path.nodes, strict=True)
    ]
    assert nodes != list(path.nodes)
    content = Commit((), path.replace(nodes=tuple(nodes)))
    framed = FramedContent(group.group_id, group.epoch, member(group.own_leaf), b"", COMMIT, content)
    (signature,) = await protection.sign(crypto, suite, group.context, [(group.signature, wire_format, framed)])
    confirmed = confirmed_transcript_hash(suite, group.interim_transcript_hash, wire_format, framed, signature)
    context = provisional.replace(confirmed_transcript_hash=confirmed)
    epoch = next_epoch(suite, group.secrets.init_secret, new.commit_secret, bytes(suite.nh), context)
    tag = confirmation_tag(suite, epoch.secrets.confirmation_key, confirmed)
    after = begin_epoch(suite, context, new.tree, group.own_leaf, group.signature, new.keys, epoch, tag, before=group)
    if wire_format == PUBLIC_MESSAGE:
        return message(tagged(group, PublicMessage(framed, signature, tag))).encode(), after
    _, (sealed_message,) = await protection.protect_private(
        crypto, group.context, group.secrets.sender_data_secret, group.messages,
        [AuthenticatedContent(wire_format, framed, signature, tag)],
    )  # fmt: skip
    return message(sealed_message).encode(), after


async def fragmented() -> Scene:
    """Carol has followed bob; alice could not, and has her old state. Bob has gone."""
    scene = await Scene.create()
    data, _ = await fragmenting(scene.crypto("bob"), scene.group("bob"), 0)
    before = encode_group(scene.group("alice"))
    with pytest.raises(RoomkeyError) as caught:
        await process(scene.crypto("alice"), scene.group("alice"), data)
    assert caught.value.details["rule"] == "path-public-keys"
    assert encode_group(scene.group("alice")) == before
    scene.world.groups["carol"] = (await process(scene.crypto("carol"), scene.group("carol"), data)).group
    assert scene.group("carol").epoch == scene.group("alice").epoch + 1
    del scene.world.groups["bob"]
    return scene


async def test_who_was_locked_out_comes_back_by_an_external_commit() -> None:
    scene = await fragmented()
    world = scene.world
    info = message(await group_info(scene.crypto("carol"), scene.group("carol"), external=True)).encode()
    back = await external_commit(scene.crypto("alice"), info, world.keys["alice"], NOW)
    assert back.replaced == scene.group("alice").own_leaf
    world.groups["alice"] = back.group
    world.groups["carol"] = (
        await process(scene.crypto("carol"), scene.group("carol"), back.message, policy=OPEN)
    ).group
    world.agree()
    del world.groups["carol"]
    assert back.group.tree.leaf(1) is not None  # bob, who is shown out
    await world.commit("alice", path=True)


async def test_who_was_locked_out_is_removed_and_invited_again() -> None:
    scene = await fragmented()
    world = scene.world
    del world.groups["alice"]
    await world.commit("carol", proposal(Remove(0)), referenced=False)
    await world.add("carol", "alice", referenced=False)
    world.agree()
    await world.say("alice", b"here I am again")


async def test_who_is_locked_out_of_a_conference_comes_back(alice: Person, bob: Person, mallory: Person) -> None:
    """Mallory's commit wins its epoch. Alice follows. Bob cannot, and founds a branch in which nobody joins him: both
    sides see each other go, and he is invited again.
    """
    conference = await call(alice, mallory, bob)  # mallory's path reaches each of the others by a secret of their own
    group = group_of(mallory)
    data, after = await fragmenting(crypto_of(mallory), group, group_of(bob).own_leaf, PRIVATE_MESSAGE)
    await mallory.client.home.submit_commit(
        group.group_id, group.epoch, data, ordering.token(group), ordering.token(after)
    )
    for person in (alice, bob):
        await put(mallory, data, person)
    await mallory.client.close()
    await until(lambda: conference.epoch == group.epoch + 1, "alice to follow")
    await until(lambda: bob.conference.id != group.group_id, "bob to branch away")
    await until(lambda: len(bob.conference.members) == 1, "bob to see that nobody came")
    await until(lambda: bob.identity not in {member.identity for member in conference.members}, "alice to see him off")
    assert (conference.id, alice.errors, bob.errors) == (group.group_id, [], [])

    await conference.remove(identity=mallory.identity)
    await bob.conference.leave()
    fetched = await alice.client.fetch([bob.identity])
    await alice.client.invite(conference, fetched.keys)
    await bob.invited()
    await together(conference, bob)
    await heard(alice, bob, b"here you are again")


def nodes(change: Callable[[UpdatePath], UpdatePath]) -> Callable[[Commit], Commit]:
    def altered(item: Commit) -> Commit:
        assert item.path is not None
        return item.replace(path=change(item.path))

    return altered


def first(path: UpdatePath, **fields: object) -> UpdatePath:
    return path.replace(nodes=(path.nodes[0].replace(**fields), *path.nodes[1:]))


BAD: dict[str, tuple[Callable[[UpdatePath], UpdatePath], str]] = {
    "no nodes": (lambda path: path.replace(nodes=()), "path-length"),
    "a node less": (lambda path: path.replace(nodes=path.nodes[:-1]), "path-length"),
    "a node twice": (lambda path: path.replace(nodes=(*path.nodes, path.nodes[-1])), "path-length"),
    "nobody to read it": (lambda path: first(path, encrypted_path_secret=()), "path-ciphertexts"),
    "a reader more": (
        lambda path: first(path, encrypted_path_secret=path.nodes[0].encrypted_path_secret * 2),
        "path-ciphertexts",
    ),
    "a short key": (lambda path: first(path, encryption_key=b"k" * 31), "path-keys"),
    "a key twice": (lambda path: first(path, encryption_key=path.nodes[1].encryption_key), "path-keys-fresh"),
    "another key": (lambda path: first(path, encryption_key=b"k" * 32), "path-parent-hash"),
    "nodes the other way round": (lambda path: path.replace(nodes=path.nodes[::-1]), "path-parent-hash"),
    "an altered ciphertext": (
        lambda path: first(
            path,
            encrypted_path_secret=tuple(
                item.replace(ciphertext=bytes(len(item.ciphertext))) for item in path.nodes[0].encrypted_path_secret
            ),
        ),
        "decryption-failed",
    ),
    "the secrets of others": (
        lambda path: first(path, encrypted_path_secret=path.nodes[1].encrypted_path_secret),
        "decryption-failed",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_path_of_ts_mls_with(ts_mls: Peer, name: str) -> None:
    table = await Table.create(ts_mls)
    change, expected = BAD[name]
    await refused(table, await table.commit(nodes(change)), expected)


async def test_a_path_whose_leaf(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    old = table.group.tree.leaf(1)
    assert old is not None
    for field, value, expected in (
        ("encryption_key", old.encryption_key, "path-keys-fresh"),
        ("parent_hash", bytes(32), "path-parent-hash"),
        ("signature_key", table.group.leaf.signature_key, "leaf-signature"),
    ):
        data = await table.path_with(lambda leaf, field=field, value=value: leaf.replace(**{field: value}))  # type: ignore[misc]
        await refused(table, data, expected)
