"""The target of those who come in by themselves: a ticket, read and then used for an external commit."""

from __future__ import annotations

from functools import cache

from roomkey.conference.ordering import RoomkeyGroup
from roomkey.conference.tickets import make_ticket, read_ticket
from roomkey.errors import RoomkeyError
from roomkey.mls.committing import commit, group_info
from roomkey.mls.creation import create_group
from roomkey.mls.extensions import Extension, ExtensionType
from roomkey.mls.external import external_commit
from roomkey.mls.framing import MLSMessage, message
from roomkey.mls.group import JoinKeys
from roomkey.mls.policy import EXTERNAL_JOINS, policy_extension
from roomkey.mls.proposals import Add, proposal
from roomkey.mls.state import decode_group, encode_group
from roomkey.mls.tree_validation import check_members, check_unmerged_leaves

from tests.fuzz import scene
from tests.fuzz.forgiving import Forgiving, forgiving_tags
from tests.fuzz.inside import inside
from tests.fuzz.target import DECODING, Finding, Target, finish, refused
from tests.support.mls_world import NOW

_DOMAIN = "a.example"
# As `read_ticket` and `external_commit` document them.
READING = frozenset({"invalid-ticket", "ticket-not-allowed", "unsupported-suite", "unsupported-policy"})
ENTERING = DECODING | {
    "invalid-welcome", "invalid-tree", "invalid-leaf-node", "invalid-signature", "invalid-key", "invalid-key-package",
    "invalid-commit", "invalid-proposal", "external-commit-refused",
}  # fmt: skip


@cache
def _played() -> tuple[JoinKeys, dict[str, bytes]]:
    """Erin's keys, tickets to her, and a GroupInfo that is none."""
    with forgiving_tags():
        return finish(_play())


async def _play() -> tuple[JoinKeys, dict[str, bytes]]:
    played = scene.Scene({}, {}, {})
    alice, bob, erin = [await played.client(name) for name in ("alice", "bob", "erin")]
    crypto = played.cryptos["alice"]
    home = Extension(ExtensionType.ROOMKEY_GROUP, RoomkeyGroup(_DOMAIN.encode()).encode())
    extensions = [policy_extension(EXTERNAL_JOINS), home]
    group = await create_group(crypto, alice, b"open", NOW, extensions=extensions)
    adding = await commit(crypto, group, NOW, proposals=[proposal(Add(bob.key_package))], path=True)
    seeds = {
        "alone": await make_ticket(crypto, group, _DOMAIN),
        "two": await make_ticket(crypto, adding.group, _DOMAIN),
        "refused-no-ticket": message(await group_info(crypto, group, external=True)).encode(),
    }
    return erin, seeds


def run_enter(data: bytes) -> bool:
    erin = _played()[0]
    with forgiving_tags():
        try:
            ticket = read_ticket(data)
        except RoomkeyError as error:
            return refused(error, READING, None)
        try:
            entered = finish(external_commit(Forgiving("run"), ticket.data, erin, NOW))
        except RoomkeyError as error:
            return refused(error, ENTERING)
        group = entered.group
        if group.epoch != ticket.context.epoch + 1 or group.leaf.signature_key != erin.leaf.signature.public:
            raise Finding("expected the next epoch, with our leaf in it")
        # As at a join, `Forgiving` takes every tree hash for the right one.
        check_members(group.tree)
        check_unmerged_leaves(group.tree)
        stored = encode_group(group)
        if encode_group(decode_group(stored)) != stored:
            raise Finding("expected the group that was stored, got another")
    return True


def _seeds() -> dict[str, bytes]:
    return _played()[1]


def targets() -> list[Target]:
    return [Target("enter", run_enter, _seeds, MLSMessage.codec(), inside)]
