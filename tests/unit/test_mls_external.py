"""Joining and proposing from outside, made and taken by us (RFC 9420 sections 12.4.3.2 and 12.1.8)."""

from __future__ import annotations

import pytest
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.committing import commit, group_info
from roomkey.mls.credential import Credential
from roomkey.mls.extensions import Extension, ExtensionType, ExternalSender, ExternalSenders
from roomkey.mls.external import ExternalCommit, external_commit, propose_external, propose_own_add
from roomkey.mls.framing import message
from roomkey.mls.group import JoinKeys, Psks
from roomkey.mls.joining import join
from roomkey.mls.policy import EXTERNAL_JOINS, MEMBERS_ONLY, policy_by_name, policy_extension
from roomkey.mls.processing import process
from roomkey.mls.proposals import GroupContextExtensions, Remove, Update, proposal
from roomkey.mls.psk import USAGE_APPLICATION, USAGE_REINIT, external_psk, resumption_psk

from tests.support.mls_world import NOW, World, join_keys

SUITE = SUITES[1]
OPEN = policy_extension(EXTERNAL_JOINS)


async def _shown(world: World, name: str, *, with_tree: bool = True) -> bytes:
    group, crypto = world.groups[name], world.cryptos[name]
    return message(await group_info(crypto, group, external=True, with_tree=with_tree)).encode()


async def _enter(world: World, name: str, keys: JoinKeys, info: bytes, **how: object) -> ExternalCommit:
    """`name` joins, and all members but who is replaced follow."""
    made = await external_commit(world.cryptos[name], info, keys, NOW, **how)  # type: ignore[arg-type]
    psks = how.get("psks", Psks())
    for other, group in list(world.groups.items()):
        if group.own_leaf != made.replaced:
            done = await process(world.cryptos[other], group, made.message, psks=psks)  # type: ignore[arg-type]
            assert isinstance(done.event, CommitProcessed)
            assert done.event.external
            assert done.event.added == (made.group.own_leaf,)
            world.groups[other] = done.group
    world.groups[name] = made.group
    world.agree()
    return made


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
async def test_strangers_join_one_after_the_other(suite: CipherSuite) -> None:
    world = await World.create(suite, "alice", "bob", "carol", extensions=[OPEN])
    for turn, name in enumerate(("dave", "erin", "frank")):
        made = await _enter(world, name, await world.client(name), await _shown(world, "bob"))
        assert (made.group.own_leaf, made.replaced) == (3 + turn, None)
        await world.say(name, b"hello")
        await world.commit("alice", path=True)  # everybody holds the keys above them
        await world.commit(name, path=True)
        world.agree()


async def test_the_leftmost_blank_leaf_is_taken_and_the_tree_may_come_beside() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol", extensions=[OPEN])
    await world.remove("carol", "bob")
    info = await _shown(world, "alice", with_tree=False)
    with pytest.raises(RoomkeyError) as without:
        await external_commit(NativeCrypto(), info, await world.client("dave"), NOW)
    assert without.value.details["rule"] == "welcome-tree"
    tree = world.groups["alice"].tree.encode()
    made = await _enter(world, "dave", world.keys["dave"], info, tree=tree)
    assert made.group.own_leaf == 1
    await world.commit("carol", path=True)
    world.agree()


async def test_who_lost_the_group_comes_back_in_place_of_the_old_leaf() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol", extensions=[OPEN])
    info = await _shown(world, "alice")
    made = await _enter(world, "bob", world.keys["bob"], info)  # found by our signature key
    assert (made.replaced, made.group.own_leaf) == (1, 1)
    await world.commit("bob", path=True)
    await world.say("bob", b"back")
    world.agree()


async def test_who_lost_the_signature_key_says_which_leaf() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol", extensions=[OPEN])
    keys = await join_keys(world.cryptos["bob"], SUITE, b"bob")
    made = await _enter(world, "bob", keys, await _shown(world, "alice"), replaces=1)
    assert (made.replaced, made.group.own_leaf) == (1, 1)
    with pytest.raises(RoomkeyError) as stranger:
        await external_commit(world.cryptos["bob"], await _shown(world, "alice"), keys, NOW, replaces=2)
    assert stranger.value.details["rule"] == "external-remove-self"
    with pytest.raises(RoomkeyError) as nobody:
        await external_commit(world.cryptos["bob"], await _shown(world, "alice"), keys, NOW, replaces=3)
    assert nobody.value.details["rule"] == "remove-leaf"


async def test_who_is_replaced_sees_by_whom() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol", extensions=[OPEN])
    crypto = NativeCrypto()
    impostor = await join_keys(crypto, SUITE, b"bob")  # a credential is no secret; whose it is, is asked above
    made = await external_commit(crypto, await _shown(world, "alice"), impostor, NOW, replaces=1)
    for name in ("alice", "bob"):
        done = await process(world.cryptos[name], world.groups[name], made.message)
        assert isinstance(done.event, CommitProcessed)
        assert done.event.self_removed == (name == "bob")
        assert done.event.newcomer == made.group.leaf
        assert done.event.newcomer.signature_key == impostor.leaf.signature.public
    by_member = await commit(world.cryptos["carol"], world.groups["carol"], NOW, path=True)
    done = await process(world.cryptos["bob"], world.groups["bob"], by_member.message)
    assert isinstance(done.event, CommitProcessed)
    assert done.event.newcomer is None


async def test_psks_come_along() -> None:
    world = await World.create(SUITE, "alice", "bob", extensions=[OPEN])
    old = world.groups["bob"]
    offered = Psks({b"door": b"k" * 32}, {(old.group_id, old.epoch): old.secrets.resumption_psk})
    ids = [external_psk(b"door", b"n" * 32), resumption_psk(USAGE_APPLICATION, old.group_id, old.epoch, b"n" * 32)]
    info = await _shown(world, "alice")
    await _enter(world, "bob", world.keys["bob"], info, psk_ids=ids, psks=offered)
    for wrong, rule in (
        ([ids[0], ids[0]], "commit-psk-twice"),
        ([resumption_psk(USAGE_REINIT, old.group_id, old.epoch, b"n" * 32)], "psk-type"),
        ([external_psk(b"door", b"n")], "psk-nonce"),
        ([external_psk(b"other", b"n" * 32)], "psk-unknown"),
    ):
        with pytest.raises(RoomkeyError) as refused:
            await external_commit(world.cryptos["bob"], info, world.keys["bob"], NOW, psk_ids=wrong, psks=offered)
        assert refused.value.details["rule"] == rule


async def test_a_group_decides_by_its_policy() -> None:
    world = await World.create(SUITE, "alice", "bob")
    keys = await world.client("dave")
    made = await external_commit(world.cryptos["dave"], await _shown(world, "alice"), keys, NOW)
    with pytest.raises(RoomkeyError) as off:
        await process(world.cryptos["bob"], world.groups["bob"], made.message)
    assert off.value.code == "external-commit-refused"
    done = await process(world.cryptos["bob"], world.groups["bob"], made.message, policy=policy_by_name(EXTERNAL_JOINS))
    assert done.group.epoch_authenticator == made.group.epoch_authenticator

    # the group says so itself: whoever offers another policy is not heard
    await world.commit("alice", proposal(GroupContextExtensions((policy_extension(MEMBERS_ONLY),))))
    with pytest.raises(RoomkeyError) as closed:
        await external_commit(world.cryptos["dave"], await _shown(world, "alice"), keys, NOW)
    assert closed.value.details["rule"] == "external-off"
    await world.commit("alice", proposal(GroupContextExtensions((OPEN,))))
    await _enter(world, "dave", keys, await _shown(world, "alice"))


def test_policies_have_names() -> None:
    assert policy_by_name(MEMBERS_ONLY) == policy_by_name("members-only")
    assert not policy_by_name(MEMBERS_ONLY).external_commits
    assert policy_by_name(EXTERNAL_JOINS).external_commits
    for ask in (policy_by_name, policy_extension):
        with pytest.raises(RoomkeyError) as refused:
            ask("everything-goes")
        assert refused.value.code == "bad-argument"


async def test_an_external_sender_proposes() -> None:
    service = NativeCrypto()
    first, second = await service.generate_keys(SUITE.scheme, 2)
    senders = ExternalSenders(
        (
            ExternalSender(first.public, Credential.basic(b"one")),
            ExternalSender(second.public, Credential.basic(b"two")),
        )
    )
    listed = Extension(ExtensionType.EXTERNAL_SENDERS, senders.encode())
    world = await World.create(SUITE, "alice", "bob", "carol", extensions=[listed])
    context = world.groups["alice"].context
    out = await propose_external(service, context, second, proposal(Remove(2)))
    await world.everybody("nobody", out)
    pending = await world.commit("alice")
    del world.groups["carol"]
    assert pending.group.tree.leaf(2) is None
    world.agree()

    (stranger,) = await service.generate_keys(SUITE.scheme, 1)
    update = proposal(Update(world.groups["alice"].leaf))
    for key, item, rule in (
        (stranger, proposal(Remove(1)), "proposal-external-sender"),
        (first, update, "proposal-external-type"),
    ):
        with pytest.raises(RoomkeyError) as refused:
            await propose_external(service, context, key, item)
        assert refused.value.details["rule"] == rule


async def test_a_newcomer_asks_to_be_added() -> None:
    world = await World.create(SUITE, "alice", "bob", extensions=[OPEN])
    keys = await world.client("dave")
    asked = await propose_own_add(world.cryptos["dave"], world.groups["alice"].context, keys, NOW)
    await world.everybody("dave", asked)
    pending = await commit(world.cryptos["bob"], world.groups["bob"], NOW)
    assert pending.welcome is not None
    await world.everybody("bob", pending.message)
    world.groups["bob"] = pending.group
    world.groups["dave"] = (await join(world.cryptos["dave"], pending.welcome, [keys])).group
    world.agree()


async def test_a_newcomer_is_not_heard_where_only_members_speak() -> None:
    world = await World.create(SUITE, "alice", "bob")
    keys = await world.client("dave")
    asked = await propose_own_add(world.cryptos["dave"], world.groups["alice"].context, keys, NOW)
    with pytest.raises(RoomkeyError) as refused:
        await process(world.cryptos["alice"], world.groups["alice"], asked)
    assert refused.value.details["rule"] == "proposal-new-member-off"
    await world.commit("alice", proposal(GroupContextExtensions((policy_extension(MEMBERS_ONLY),))))
    with pytest.raises(RoomkeyError) as said:
        await propose_own_add(world.cryptos["dave"], world.groups["alice"].context, keys, NOW)
    assert said.value.details["rule"] == "proposal-new-member-off"
