"""A member changes its own leaf: keys, what it says, the group's extensions (RFC 9420 sections 5.3.1, 7.2 and 12.1.7);
and custom proposals.
"""

from __future__ import annotations

import random

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.committing import commit, group_info, propose, propose_update
from roomkey.mls.credential import Credential
from roomkey.mls.extensions import (
    Extension,
    ExtensionType,
    ExternalSender,
    ExternalSenders,
    RequiredCapabilities,
    find_extension,
)
from roomkey.mls.external import external_commit, propose_external
from roomkey.mls.framing import message
from roomkey.mls.group import Psks
from roomkey.mls.own_leaf import LeafChange
from roomkey.mls.policy import EXTERNAL_JOINS, Policy, policy_extension
from roomkey.mls.processing import process
from roomkey.mls.proposals import GroupContextExtensions, PreSharedKey, Proposal, proposal
from roomkey.mls.psk import USAGE_APPLICATION, external_psk, resumption_psk
from roomkey.mls.state import decode_group, encode_group

from tests.support.mls_world import CAPABILITIES, NOW, World

SUITE = SUITES[1]
APP = Extension(ExtensionType.APPLICATION_ID, b"id")
KIND = 0xF0AA


async def _change(world: World, name: str, **more: object) -> LeafChange:
    (pair,) = await world.cryptos[name].generate_keys(SUITE.scheme, 1)
    return LeafChange(signature=pair, **more)  # type: ignore[arg-type]


async def _follow(world: World, name: str, change: LeafChange) -> None:
    made = await commit(world.cryptos[name], world.groups[name], NOW, leaf=change)
    await world.everybody(name, made.message)
    world.groups[name] = made.group
    world.agree()


async def test_a_commit_brings_a_new_signature_key() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol")
    change = await _change(world, "bob", extensions=(APP,), capabilities=CAPABILITIES.replace(proposals=(KIND,)))
    await _follow(world, "bob", change)
    leaf = world.groups["alice"].tree.leaf(1)
    assert leaf is not None
    assert change.signature is not None
    assert (leaf.signature_key, leaf.extensions) == (change.signature.public, (APP,))
    assert leaf.capabilities.proposals == (KIND,)
    await world.say("bob", b"signed by the new one")
    await world.commit("bob", path=True)
    await world.add("bob", "dave")  # and so are GroupInfos
    world.agree()


async def test_an_update_brings_a_new_signature_key_once_it_is_committed() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol")
    change = await _change(world, "bob", extensions=(APP,))
    world.groups["bob"], data = await propose_update(world.cryptos["bob"], world.groups["bob"], leaf=change)
    await world.everybody("bob", data)
    world.groups["bob"] = decode_group(encode_group(world.groups["bob"]))
    assert world.groups["bob"].signature != change.signature
    await world.commit("carol")
    assert world.groups["bob"].signature == change.signature
    assert world.groups["bob"].leaf.extensions == (APP,)
    await world.say("bob", b"signed by the new one")
    await world.commit("bob", path=True)
    world.agree()


async def test_a_leaf_that_breaks_a_rule_is_not_proposed() -> None:
    world = await World.create(SUITE, "alice", "bob")
    group, crypto = world.groups["bob"], world.cryptos["bob"]
    for change, rule in (
        (LeafChange(extensions=(Extension(0xF0F0, b""),)), "leaf-capabilities-extensions"),
        (LeafChange(extensions=(APP, APP)), "leaf-extensions-unique"),
        (LeafChange(capabilities=CAPABILITIES.replace(cipher_suites=(2,))), "leaf-capabilities-suite"),
    ):
        with pytest.raises(RoomkeyError) as committed:
            await commit(crypto, group, NOW, leaf=change)
        with pytest.raises(RoomkeyError) as proposed:
            await propose_update(crypto, group, leaf=change)
        assert committed.value.details["rule"] == proposed.value.details["rule"] == rule


async def test_extensions_of_the_context_change() -> None:
    world = await World.create(SUITE, "alice", "bob", "carol")
    named = proposal(GroupContextExtensions((Extension(ExtensionType.ROOMKEY_NAME, b"\x01x"),)))
    world.groups["bob"], data = await propose(world.cryptos["bob"], world.groups["bob"], named)
    await world.everybody("bob", data)
    await world.commit("carol")
    world.agree()
    assert find_extension(world.groups["alice"].context.extensions, ExtensionType.ROOMKEY_NAME) == b"\x01x"
    needs = RequiredCapabilities((), (KIND,), ())
    required = proposal(GroupContextExtensions((Extension(ExtensionType.REQUIRED_CAPABILITIES, needs.encode()),)))
    with pytest.raises(RoomkeyError) as refused:
        await world.commit("bob", required)
    assert refused.value.details["rule"] == "context-extensions"


# -- custom proposals --


async def test_custom_proposals_reach_the_application() -> None:
    service = NativeCrypto()
    (key,) = await service.generate_keys(SUITE.scheme, 1)
    senders = ExternalSenders((ExternalSender(key.public, Credential.basic(b"service")),))
    needs = RequiredCapabilities((), (KIND,), ())
    world = await World.create(
        SUITE, "alice", "bob", "carol",
        extensions=[
            Extension(ExtensionType.EXTERNAL_SENDERS, senders.encode()),
            Extension(ExtensionType.REQUIRED_CAPABILITIES, needs.encode()),
        ],
        capabilities=CAPABILITIES.replace(proposals=(KIND,)),
    )  # fmt: skip
    kinds = frozenset((KIND,))
    taken = Policy(custom_proposals=kinds, custom_without_path=kinds, custom_from_outside=kinds)
    item, other = Proposal(KIND, b"close the door"), Proposal(KIND, b"open it")
    with pytest.raises(RoomkeyError) as untold:
        await propose_external(service, world.groups["alice"].context, key, item)
    assert untold.value.details["rule"] == "proposal-external-type"
    data = await propose_external(service, world.groups["alice"].context, key, item, policy=taken)
    with pytest.raises(RoomkeyError) as refused:
        await process(world.cryptos["bob"], world.groups["bob"], data, policy=Policy(custom_proposals=kinds))
    assert refused.value.details["rule"] == "proposal-external-type"
    for name, group in world.groups.items():
        world.groups[name] = (await process(world.cryptos[name], group, data, policy=taken)).group

    made = await commit(world.cryptos["bob"], world.groups["bob"], NOW, proposals=[other], policy=taken)
    assert made.made_keys == ()  # no path where the policy asks for none
    assert [received.proposal for received in made.custom] == [item, other]
    for policy, rule in ((Policy(custom_proposals=kinds), "commit-path-required"), (Policy(), "proposal-unknown")):
        with pytest.raises(RoomkeyError) as strict:
            await process(world.cryptos["alice"], world.groups["alice"], made.message, policy=policy)
        assert strict.value.details["rule"] == rule
    done = await process(world.cryptos["alice"], world.groups["alice"], made.message, policy=taken)
    assert isinstance(done.event, CommitProcessed)
    assert [(received.sender.sender_type, received.proposal) for received in done.event.custom] == [
        (2, item),
        (1, other),
    ]
    assert done.group.epoch_authenticator == made.group.epoch_authenticator


# -- all of it together --


@pytest.mark.parametrize("seed", range(4))
async def test_a_random_life_with_all_that_can_be_made(seed: int) -> None:
    choice = random.Random(seed)
    world = await World.create(SUITE, "m0", "m1", "m2", extensions=[policy_extension(EXTERNAL_JOINS)])
    psks = Psks({b"door": b"k" * 32})
    for turn in range(30):
        names = sorted(world.groups)
        actor = choice.choice(names)
        group, crypto, what = world.groups[actor], world.cryptos[actor], choice.randrange(7)
        if what == 0 and len(names) < 9:
            name = f"n{turn}"
            keys, info = await world.client(name), message(await group_info(crypto, group, external=True)).encode()
            joined = await external_commit(world.cryptos[name], info, keys, NOW)
            await world.everybody(name, joined.message)
            world.groups[name] = joined.group
        elif what == 1:
            info = message(await group_info(crypto, group, external=True)).encode()
            back = choice.choice([name for name in names if name != actor])
            mine = world.keys[back]
            joined = await external_commit(world.cryptos[back], info, mine, NOW, replaces=world.groups[back].own_leaf)
            del world.groups[back]
            await world.everybody(back, joined.message)
            world.groups[back] = joined.group
        elif what == 2:
            await _follow(world, actor, await _change(world, actor))
        elif what == 3:
            world.groups[actor], data = await propose_update(crypto, group, leaf=await _change(world, actor))
            await world.everybody(actor, data)
            await world.commit(choice.choice([name for name in names if name != actor]))
        elif what == 4:
            ids = [external_psk(b"door", crypto.random(SUITE.nh))]
            old, _ = choice.choice(group.resumption)
            if all(old in dict(g.resumption) for g in world.groups.values()):
                ids.append(resumption_psk(USAGE_APPLICATION, group.group_id, old, crypto.random(SUITE.nh)))
            items = [proposal(PreSharedKey(psk_id)) for psk_id in ids]
            made = await commit(crypto, group, NOW, proposals=items, psks=psks, path=choice.random() < 0.5)
            for name in names:
                if name != actor:
                    world.groups[name] = (
                        await process(world.cryptos[name], world.groups[name], made.message, psks=psks)
                    ).group
            world.groups[actor] = made.group
        elif what == 5 and len(names) > 3:
            await world.remove(actor, choice.choice([name for name in names if name != actor]))
        else:
            await world.say(actor, b"hello")
        world.agree()
