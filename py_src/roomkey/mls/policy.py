"""What a group takes beyond the common: by a policy that all members share, found by its name.

Members with different policies would part ways over a commit that one takes and another refuses. So the policy's name
can stand in the group itself, in the GroupContext extension `roomkey_policy` (0xF0C4), which every member's
capabilities then must list; in such a group the policy that a caller offers has no say about strangers. A group without
the extension (foreign members, who know nothing of it) has the caller's, members-only unless told, and its members must
have agreed on it elsewhere.

    name              external commits    a stranger's own Add
    members-only      refused             refused                 also where nothing is said
    external-joins    taken               taken

The names are closed: capabilities list types, not names, so that a new name needs a new extension type.

Custom proposals are no matter of the name. A client lists their types in its leaf's capabilities, which says to all
members that it takes them (RFC 9420 section 13.2), and offers them here by `Policy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.mls.extensions import Extension, ExtensionType, find_extension
from roomkey.mls.leaf_node import MAX_LIFETIME
from roomkey.mls.validation import violation
from roomkey.tls import Opaque, Struct


class Policy(NamedTuple):
    """What a group takes beyond the common. The default is the strict one.

    Attributes:
        external_commits: strangers with a GroupInfo join by themselves (RFC 9420 section 12.4.3.2).
        stranger_adds: a client outside the group may propose its own Add (section 12.1.8).
        custom_proposals: types beyond RFC 9420 that the application takes; it gets them in `CommitProcessed.custom`.
        custom_without_path: those of them that ask for no path; the others do (section 12.4).
        custom_from_outside: those of them that an external sender may send (section 12.1.8).
        max_lifetime: seconds that a KeyPackage's leaf may live for in all. Every application sets its own number
            (section 7.2); no clock is asked, so members who share it do not part ways.
    """

    external_commits: bool = False
    custom_proposals: frozenset[int] = frozenset()
    custom_without_path: frozenset[int] = frozenset()
    custom_from_outside: frozenset[int] = frozenset()
    stranger_adds: bool = False
    max_lifetime: float = MAX_LIFETIME


STRICT: Final = Policy()
MEMBERS_ONLY: Final = "members-only"
EXTERNAL_JOINS: Final = "external-joins"
POLICIES: Final[Mapping[str, Policy]] = MappingProxyType(
    {MEMBERS_ONLY: STRICT, EXTERNAL_JOINS: Policy(external_commits=True, stranger_adds=True)}
)


# struct { opaque name<V>; } RoomkeyPolicy;
class RoomkeyPolicy(Struct):
    """Content of the GroupContext extension `roomkey_policy` (0xF0C4): a name of the table above, in ASCII."""

    name: Opaque


def policy_by_name(name: str) -> Policy:
    """The policy of this name. Errors: "bad-argument" for any other name."""
    policy = POLICIES.get(name)
    if policy is None:
        raise RoomkeyError(
            "bad-argument", f"policy: expected one of {', '.join(POLICIES)}, got another name", field="policy"
        )
    return policy


def policy_extension(name: str) -> Extension:
    """The extension that gives a group the policy of this name. Errors: "bad-argument" for a name we do not know."""
    policy_by_name(name)
    return Extension(ExtensionType.ROOMKEY_POLICY, RoomkeyPolicy(name.encode("ascii")).encode())


def policy_name(extensions: Sequence[Extension]) -> str | None:
    """The name that a GroupContext's extensions give; None where they give none.

    Errors: "unsupported-policy" for a name we do not know, "malformed".
    """
    data = find_extension(extensions, ExtensionType.ROOMKEY_POLICY)
    if data is None:
        return None
    name = RoomkeyPolicy.decode(data).name
    for known in POLICIES:
        if name == known.encode("ascii"):
            return known
    raise violation("context-policy", f"got another name of {len(name)} bytes")


def in_force(extensions: Sequence[Extension], offered: Policy) -> Policy:
    """The policy of a group with these extensions: the group's own about strangers, where it has one, and what is
    offered about the rest. Errors: as `policy_name`.
    """
    name = policy_name(extensions)
    if name is None:
        return offered
    agreed = POLICIES[name]
    return offered._replace(external_commits=agreed.external_commits, stranger_adds=agreed.stranger_adds)
