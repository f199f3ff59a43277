"""Frames under SFrame on CPython: the vectors of RFC 9605, what is refused, and which keys are held for how long."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from roomkey.host.native_frames import NativeFrameCipher
from roomkey.media import covers, frame_keys, frames, sframe
from roomkey.media.frame_keys import FrameKeys, MediaEpoch, Reason
from roomkey.media.frames import FrameReceiver, FrameRefused, FrameSender

from tests.conftest import Vectors

CIPHER = NativeFrameCipher()
METADATA = covers.metadata("VP8")
ALICE, BOB = b"a" * 32, b"b" * 32


@pytest.fixture
def cases(vectors: Vectors) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(vectors.path("sframe", "sframe-test-vectors.json").read_text())
    return found


def test_headers_of_the_rfc(cases: dict[str, list[dict[str, Any]]]) -> None:
    assert len(cases["header"]) > 100
    for case in cases["header"]:
        encoded = bytes.fromhex(case["encoded"])
        assert frames.encode_header(case["kid"], case["ctr"]) == encoded
        assert frames.decode_header(encoded + b"more") == (case["kid"], case["ctr"], len(encoded))


def test_frames_of_the_rfc(cases: dict[str, list[dict[str, Any]]]) -> None:
    assert [case["cipher_suite"] for case in cases["sframe"]] == [1, 2, 3, 4, 5]
    for case in cases["sframe"]:
        suite, kid, base_key = sframe.SUITES[case["cipher_suite"]], case["kid"], bytes.fromhex(case["base_key"])
        keys = sframe.derive_keys(suite, base_key, kid)
        metadata, plain, sealed = (bytes.fromhex(case[name]) for name in ("metadata", "pt", "ct"))
        assert frames.encrypt(CIPHER, suite, keys, kid, case["ctr"], metadata, plain) == sealed
        # a KID of ours: 8 bits of the epoch, 2 of the leaf
        receiver = FrameReceiver(CIPHER)
        receiver.add_epoch(sframe.SFrameEpoch(suite, kid % 256, 2, base_key), 4)
        assert receiver.open(sealed, metadata) == (plain, kid % 256, kid >> 8 & 3, kid >> 10, case["ctr"])
        for place in range(len(sealed)):
            with pytest.raises(FrameRefused):
                receiver.open(sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :], metadata)
        with pytest.raises(FrameRefused, match="sender's key"):
            receiver_with(suite, base_key, kid).open(sealed, metadata + b"x")


def receiver_with(suite: sframe.SFrameSuite, base_key: bytes, kid: int) -> FrameReceiver:
    receiver = FrameReceiver(CIPHER)
    receiver.add_epoch(sframe.SFrameEpoch(suite, kid % 256, 2, base_key), 4)
    return receiver


@pytest.mark.parametrize("header", ["", "08", "0800", "0807", "80", "8007", "0900ff", "9000ff", "0f01020304050607"])
def test_headers_that_are_cut_or_too_long(header: str) -> None:
    with pytest.raises(FrameRefused) as refused:
        frames.decode_header(bytes.fromhex(header))
    assert refused.value.reason == "malformed"


def epoch(number: int, reason: Reason = "update", members: dict[int, bytes] | None = None) -> MediaEpoch:
    suite = sframe.SUITES[4]
    base_key = number.to_bytes(16, "big")
    return MediaEpoch(
        b"group", reason, sframe.SFrameEpoch(suite, number, 1, base_key), 2, 0, members or {0: ALICE, 1: BOB}
    )


def frame_of(number: int, leaf: int, data: bytes = b"frame", context: int = 0) -> bytes:
    return FrameSender(CIPHER, epoch(number).sframe, leaf, context).protect(data, METADATA)


def reason_of(keys: FrameKeys, sealed: bytes, now: float) -> str:
    with pytest.raises(FrameRefused) as refused:
        keys.open(sealed, METADATA, now)
    return refused.value.reason


def test_nothing_comes_twice() -> None:
    sender = FrameSender(CIPHER, epoch(1).sframe, 1, 0)
    sent = [sender.protect(b"%d" % number, METADATA) for number in range(frames.WINDOW + 3)]
    keys = FrameKeys(CIPHER)
    keys.add(epoch(1, "start"), 0)
    for sealed in (sent[5], sent[2], sent[-1]):
        assert keys.open(sealed, METADATA, 0).client == BOB
    assert [reason_of(keys, sealed, 0) for sealed in (sent[5], sent[-1], sent[2])] == [
        "replayed",
        "replayed",
        "too-old",
    ]
    assert reason_of(keys, sent[7][:-1] + b"\0", 0) == "not-authentic"
    assert keys.open(sent[7], METADATA, 0).opened.frame == b"7"


def test_who_sends_moves_to_a_new_epoch_when_others_may_have_it() -> None:
    keys = FrameKeys(CIPHER)
    assert keys.sending(0) is None
    for number, reason, at in ((1, "start", 0.0), (2, "update", 10.0), (3, "remove", 20.0), (4, "add", 30.0)):
        keys.add(epoch(number, reason), at)  # type: ignore[arg-type]
        sending = keys.sending(at)
        assert sending is not None
        assert sending.sframe.epoch == (number if reason in ("start", "remove") else number - 1)
        sending = keys.sending(at + frame_keys.MOVE_AFTER)
        assert sending is not None
        assert sending.sframe.epoch == number
    keys.end()
    assert keys.sending(100) is None
    assert reason_of(keys, frame_of(4, 1), 31) == "unknown-key"


def test_how_long_old_keys_are_read() -> None:
    keys = FrameKeys(CIPHER)
    keys.add(epoch(1, "start"), 0)
    keys.add(epoch(2), 1)
    keys.open(frame_of(1, 1), METADATA, 2)
    keys.open(frame_of(2, 1), METADATA, 3)
    keys.open(frame_of(1, 1, context=1), METADATA, 3.9)
    assert reason_of(keys, frame_of(1, 1, context=2), 4) == "unknown-key"
    keys.open(frame_of(1, 0), METADATA, 10.9)  # of somebody else who is late
    assert reason_of(keys, frame_of(1, 0, context=1), 11) == "unknown-key"


def test_who_is_removed_is_not_read_any_more() -> None:
    keys = FrameKeys(CIPHER)
    keys.add(epoch(1, "start"), 0)
    keys.open(frame_of(1, 1), METADATA, 0)
    keys.add(epoch(2, "remove", {0: ALICE}), 1)
    assert reason_of(keys, frame_of(1, 1, context=1), 1) == "unknown-key"
    # and the keys of the leaf that is empty now, which every member can compute, are nobody's
    assert reason_of(keys, frame_of(2, 1), 1) == "unknown-key"
    assert keys.open(frame_of(2, 0), METADATA, 1).client == ALICE


def test_a_successors_epochs_begin_low_again() -> None:
    keys = FrameKeys(CIPHER)
    keys.add(epoch(1, "start"), 0)
    following = epoch(1, "successor")._replace(
        group=b"successor", sframe=sframe.SFrameEpoch(sframe.SUITES[4], 1, 1, bytes(16))
    )
    keys.add(following, 1)
    new = FrameSender(CIPHER, following.sframe, 1, 0)
    assert keys.open(frame_of(1, 1), METADATA, 1).client == BOB
    assert keys.open(new.protect(b"new", METADATA), METADATA, 2).opened.frame == b"new"
    assert reason_of(keys, frame_of(1, 1, context=1), 3) == "not-authentic"


def test_which_keys_may_still_come() -> None:
    keys = FrameKeys(CIPHER)
    keys.add(epoch(250, "start"), 0)
    assert [keys.may_come(frame_of(250 + ahead, 1)) for ahead in (0, 1, 16, 17, -1)] == [
        False,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("plain", [b"\x10" + bytes(20), b"\x11" + bytes(20), b"\x10", b"\x11"])
def test_covers(plain: bytes) -> None:
    assert covers.cover("audio", plain, b"sealed") == covers.cover("VP9", plain, b"sealed") == b"sealed"
    size = 10 if plain[0] == 0x10 else 3
    wire = covers.cover("VP8", plain, b"sealed")
    assert wire == plain[:size].ljust(size, b"\0") + b"sealed"
    assert covers.uncover("VP8", wire) == covers.uncover("audio", b"sealed") == b"sealed"
    assert len({covers.metadata(codec) for codec in ("audio", "VP8", "VP9")}) == 3


def test_context_and_leaf_take_their_place_in_the_key() -> None:
    sealed = {frame_of(1, leaf, context=context) for leaf in (0, 1) for context in (0, 1, 9)}
    assert all(one != other for one, other in pairwise(sorted(sealed)))
    assert len(sealed) == 6
