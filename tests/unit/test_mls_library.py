"""The engine as a library: the example of its docstring runs as it stands there."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

import pytest
from roomkey import mls
from roomkey.crypto.suites import suite_by_number
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls import (
    committing,
    creation,
    credential,
    group,
    joining,
    key_package,
    leaf_node,
    processing,
    proposals,
    state,
)

NOW = 1_795_000_000


def example() -> str:
    """The docstring's example as a coroutine function `play`."""
    _, _, after = inspect.cleandoc(mls.__doc__ or "").partition("post-quantum one):\n\n")
    code, _, _ = after.partition("\n\nNames of members")
    return f"async def play():\n{textwrap.indent(textwrap.dedent(code), '    ')}\n    return alice, bob, event\n"


@pytest.mark.parametrize("number", [1, 2, 3, 0xF0C1])
async def test_the_example(number: int) -> None:
    suite = suite_by_number(number)
    if not NativeCrypto().supports(suite.scheme, suite.group, suite.aead):
        pytest.skip(f"this host has no {suite.name}")
    names: dict[str, Any] = {"NativeCrypto": NativeCrypto, "suite": suite, "group_id": b"g" * 32, "now": NOW}
    for module in (committing, creation, credential, group, joining, key_package, leaf_node, processing, proposals):
        names = vars(module) | names
    exec(compile(ast.parse(example()), "example", "exec"), names)  # noqa: S102 - our own docstring
    alice, bob, event = await names["play"]()
    assert (event.sender, event.data) == (0, b"hello")
    assert alice.epoch_authenticator == bob.epoch_authenticator
    assert state.encode_group(state.decode_group(state.encode_group(bob))) == state.encode_group(bob)
