"""What a message costs: work that grows as its size does, and less than 64 MB, whatever it is made of.

Work is counted in lines of the product that run, memory by `tracemalloc`: no clock is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
from roomkey import tls
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import (
    CommitSubmission,
    MessageDelivery,
    StoredCommits,
    init_key_bundles,
    init_key_requests,
    init_key_sets,
)
from roomkey.federation.init_keys import InitKeySet, InitKeySetBundle
from roomkey.federation.messages import GetUserInitKeyRequest, GetUserInitKeyResponse, UserInitKey
from roomkey.mls.extensions import ExternalSenders, RequiredCapabilities
from roomkey.mls.framing import MAX_MLS_MESSAGE, MLSMessage
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_package import KeyPackage
from roomkey.mls.private_content import PrivateCommit, PrivateProposal
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.welcome import GroupInfo, GroupSecrets
from roomkey.tls import MAX_MESSAGE

from tests.fuzz import floods, group_targets
from tests.fuzz.bombs import Bomb, bombs
from tests.fuzz.inside import TREE
from tests.fuzz.work import lines_run, peak_bytes

# Four times the size may cost four times the work, and a quarter more for the logarithm of a tree's size.
GROWTH = 4
ALLOWED = 1.25 * GROWTH
MEMORY = 64_000_000


class Decoder(NamedTuple):
    name: str
    codec: tls.Codec[Any]
    decode: Callable[[bytes], object]


def _of(cls: type[tls.Struct]) -> Decoder:
    return Decoder(cls.__name__, cls.codec(), cls.decode)


# MLSMessage holds all that is not sealed; the rest stands in a sealed or another opaque field.
DECODERS = (
    _of(MLSMessage),
    Decoder("ratchet tree", TREE, partial(RatchetTree.decode, SUITES[1])),
    *map(_of, (PrivateCommit, PrivateProposal, GroupInfo, GroupSecrets, GroupContext, KeyPackage)),
    *map(_of, (RequiredCapabilities, ExternalSenders, MessageDelivery, CommitSubmission, StoredCommits)),
    *map(_of, (GetUserInitKeyRequest, GetUserInitKeyResponse, UserInitKey, InitKeySet, InitKeySetBundle)),
    Decoder("bundles", init_key_bundles, init_key_bundles.decode),
    Decoder("requests", init_key_requests, init_key_requests.decode),
    Decoder("sets", init_key_sets, init_key_sets.decode),
)


def refused(work: Callable[[], object]) -> None:
    try:
        work()
    except RoomkeyError:
        return


@pytest.mark.parametrize("decoder", DECODERS, ids=[decoder.name for decoder in DECODERS])
def test_decoding_grows_with_the_size(decoder: Decoder) -> None:
    for bomb in bombs(decoder.codec):
        small, large = (bomb.make(size) for size in (1000, 1000 * GROWTH))
        before, after = (lines_run(partial(refused, partial(decoder.decode, data))) for data in (small, large))
        assert after <= ALLOWED * before, (
            f"{bomb.name}: {before} lines for {len(small)} bytes, {after} for {len(large)}"
        )


@pytest.mark.parametrize("name", floods.to_bob())
def test_processing_grows_with_the_size(name: str) -> None:
    make = floods.to_bob()[name]
    before, after = (lines_run(partial(group_targets.run_process, make(count))) for count in (32, 32 * GROWTH))
    assert after <= ALLOWED * before


@pytest.mark.parametrize("name", floods.to_erin())
def test_joining_grows_with_the_size(name: str) -> None:
    make = floods.to_erin()[name]
    before, after = (lines_run(partial(group_targets.run_join, make(count))) for count in (32, 32 * GROWTH))
    assert after <= ALLOWED * before


def test_lines_are_counted() -> None:
    def quadratic(size: int) -> None:
        for _ in range(size):
            refused(partial(MLSMessage.decode, bytes(size)))

    assert lines_run(partial(quadratic, 40)) > 3 * lines_run(partial(quadratic, 10))


def _dearest(decoder: Decoder, count: int) -> list[Bomb]:
    """The bombs that take the most memory a byte."""
    size = 20_000
    return sorted(bombs(decoder.codec), key=lambda bomb: -_peak(decoder, bomb, size) / size)[:count]


def _peak(decoder: Decoder, bomb: Bomb, size: int) -> int:
    data = bomb.make(size)
    return peak_bytes(partial(refused, partial(decoder.decode, data))) + len(data)


# Those whose limit of bytes is the widest; what a message holds can be no longer than the message.
LARGEST = {
    "MLSMessage": MAX_MLS_MESSAGE, "ratchet tree": MAX_MLS_MESSAGE, "PrivateCommit": MAX_MLS_MESSAGE,
    "StoredCommits": MAX_MESSAGE, "bundles": MAX_MESSAGE,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGEST)
def test_memory_for_the_largest_input(name: str) -> None:
    (decoder,) = (decoder for decoder in DECODERS if decoder.name == name)
    for bomb in _dearest(decoder, 2):
        assert _peak(decoder, bomb, LARGEST[name] - 64) < MEMORY, bomb.name


# How many of each come near to the limit of bytes, or of elements.
TO_BOB = {"application": 1 << 19, "padding": 1 << 19, "custom": 40_000, "unknown references": 100_000, "psks": 20_000}
TO_ERIN = {"noise": 1 << 19, "strangers": 60_000, "psks": 20_000, "members": 1 << 13, "path secret": 1 << 19}


@pytest.mark.slow
@pytest.mark.parametrize("name", TO_BOB)
def test_memory_for_the_largest_message(name: str) -> None:
    data = floods.to_bob()[name](TO_BOB[name])
    assert peak_bytes(partial(group_targets.run_process, data)) + len(data) < MEMORY


@pytest.mark.slow
@pytest.mark.parametrize("name", TO_ERIN)
def test_memory_for_the_largest_welcome(name: str) -> None:
    data = floods.to_erin()[name](TO_ERIN[name])
    assert peak_bytes(partial(group_targets.run_join, data)) + len(data) < MEMORY


def test_elements_are_refused_before_they_are_read() -> None:
    """A message of more elements than allowed costs no more than one that is just allowed."""
    (bomb,) = (bomb for bomb in bombs(TREE) if bomb.name.startswith("[].LeafNode.extensions*"))
    allowed, refused_ = (bomb.make(size) for size in (400_000, 1_600_000))
    peaks = [peak_bytes(partial(refused, partial(RatchetTree.decode, SUITES[1], data))) for data in (allowed, refused_)]
    with pytest.raises(RoomkeyError) as error:
        RatchetTree.decode(SUITES[1], refused_)
    assert error.value.code == "too-large"
    assert peaks[1] < 2 * peaks[0]


@pytest.mark.parametrize("item", [tls.uint16, tls.fixed(3)])
def test_items_of_a_fixed_size_are_counted_before_the_first(item: tls.Codec[Any]) -> None:
    codec = tls.vector(item)
    count = tls.MAX_ELEMENTS + 1
    data = codec.length.encode(count * (item.width or 1)) + bytes(count * (item.width or 1))  # type: ignore[attr-defined]
    lines = lines_run(partial(refused, partial(codec.decode, data)))
    assert lines < 100


def test_many_updates_copy_the_tree_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit of 2,000 Updates in a group of 10,000 would else copy 20,000 nodes 2,000 times."""
    tree = group_targets.bob().tree
    updates = [(index, leaf.replace(encryption_key=bytes([index]) * 32)) for index, leaf in tree.members()]
    one_by_one = tree
    for index, leaf in updates:
        one_by_one = one_by_one.update(index, leaf)
    made: list[RatchetTree] = []
    plain = RatchetTree._change

    def counting(self: RatchetTree, *args: Any) -> RatchetTree:
        made.append(plain(self, *args))
        return made[-1]

    monkeypatch.setattr(RatchetTree, "_change", counting)
    assert tree.update_all(updates).encode() == one_by_one.encode()
    assert len(made) == 1
