"""messages.json: every struct decodes, and encodes to the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import SUITES
from roomkey.mls.commit import Commit
from roomkey.mls.framing import (
    APPLICATION,
    COMMIT,
    GROUP_INFO,
    KEY_PACKAGE,
    PRIVATE_MESSAGE,
    PROPOSAL,
    PUBLIC_MESSAGE,
    WELCOME,
    MLSMessage,
    PublicMessage,
)
from roomkey.mls.proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    ReInit,
    Remove,
    Update,
)
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.welcome import GroupSecrets
from roomkey.tls import Struct

STRUCTS: dict[str, type[Struct]] = {
    "group_secrets": GroupSecrets,
    "add_proposal": Add,
    "update_proposal": Update,
    "remove_proposal": Remove,
    "pre_shared_key_proposal": PreSharedKey,
    "re_init_proposal": ReInit,
    "external_init_proposal": ExternalInit,
    "group_context_extensions_proposal": GroupContextExtensions,
    "commit": Commit,
}
FORMATS = {
    "mls_welcome": WELCOME,
    "mls_group_info": GROUP_INFO,
    "mls_key_package": KEY_PACKAGE,
    "private_message": PRIVATE_MESSAGE,
}
CONTENTS = {
    "public_message_application": APPLICATION,
    "public_message_proposal": PROPOSAL,
    "public_message_commit": COMMIT,
}
# The file names no suite, and a tree's encoding depends on none.
TREE_SUITE = SUITES[1]


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    for number, case in enumerate(cases):
        for name, value in case.items():
            data = bytes.fromhex(value)
            assert CHECKS[name](data, name) == data, f"case {number}: {name}"
        assert case.keys() == CHECKS.keys(), f"case {number}: fields"
    return {0: len(cases)}


def struct(data: bytes, name: str) -> bytes:
    return again(STRUCTS[name].decode(data))


def mls_message(data: bytes, name: str) -> bytes:
    value = MLSMessage.decode(data)
    assert value.wire_format == FORMATS[name], f"{name}: wire format"
    return again(value)


def public_message(data: bytes, name: str) -> bytes:
    value = MLSMessage.decode(data)
    assert value.wire_format == PUBLIC_MESSAGE, f"{name}: wire format"
    assert isinstance(value.body, PublicMessage), f"{name}: body"
    assert value.body.content.content_type == CONTENTS[name], f"{name}: content type"
    return again(value)


def ratchet_tree(data: bytes, name: str) -> bytes:
    return RatchetTree.decode(TREE_SUITE, data).encode()


def again(value: Struct) -> bytes:
    """A struct's bytes, made anew from its fields: a decoded struct keeps the bytes it came from."""
    data: bytes = rebuilt(value).encode()
    return data


def rebuilt(value: Any) -> Any:
    if isinstance(value, Struct):
        return type(value)(**{name: rebuilt(getattr(value, name)) for name in value._names})
    if isinstance(value, tuple):
        return tuple(rebuilt(item) for item in value)
    return value


CHECKS: dict[str, Callable[[bytes, str], bytes]] = {
    "ratchet_tree": ratchet_tree,
    **dict.fromkeys(STRUCTS, struct),
    **dict.fromkeys(FORMATS, mls_message),
    **dict.fromkeys(CONTENTS, public_message),
}
