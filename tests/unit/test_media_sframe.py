"""SFrame: key ids by the RFC's figure, keys by its test vectors (RFC 9605 section 5.2 and appendix C.3)."""

from __future__ import annotations

import pytest
from roomkey.errors import RoomkeyError
from roomkey.media import sframe

# (context, sender index, epoch, KID) with E = 4 and S = 6: the figure of section 5.2.
FIGURE = [
    (0, 3, 14, 0x3E),
    (0, 7, 14, 0x7E),
    (0, 20, 14, 0x14E),
    (0, 3, 15, 0x3F),
    (0, 5, 15, 0x5F),
    (2, 2, 16, 0x820),
    (3, 2, 16, 0xC20),
    (0, 33, 17, 0x211),
    (0, 51, 17, 0x331),
]

# Appendix C.3: base key 00..0f, KID 0x123.
DERIVED = {
    1: (
        "3f7d9a7c83ae8e1c8a11ae695ab59314b367e359fadac7b9c46b2bc6f81f46e16b96f0811868d59402b7e870102720b3",
        "50b29329a04dc0f184ac3168",
    ),
    2: (
        "e2ec5c797540310483b16bf6e7a570d2a27d192fe869c7ccd8584a8d9dab91549fbe553f5113461ec6aa83bf3865553e",
        "e68ac8dd3d02fbcd368c5577",
    ),
    3: (
        "2c5703089cbb8c583475e4fc461d97d18809df79b6d550f78eb6d50ffa80d89211d57909934f46f5405e38cd583c69fe",
        "38c16e4f5159700c00c7f350",
    ),
    4: ("d34f547f4ca4f9a7447006fe7fcbf768", "75234edefe07819026751816"),
    5: ("d3e27b0d4a5ae9e55df01a70e6d4d28d969b246e2936f4b7a5d9b494da6b9633", "84991c167b8cd23c93708ec7"),
}


@pytest.mark.parametrize(("context", "sender", "epoch", "kid"), FIGURE)
def test_key_ids(context: int, sender: int, epoch: int, kid: int) -> None:
    assert sframe.key_id(context, sender, epoch, index_bits=6, epoch_bits=4) == kid


@pytest.mark.parametrize("number", sorted(DERIVED))
def test_derived_keys(number: int) -> None:
    keys = sframe.derive_keys(sframe.SUITES[number], bytes(range(16)), 0x123)
    assert (keys.key.hex(), keys.salt.hex()) == DERIVED[number]
    assert str(keys) == repr(keys) == "<SFrameKeys>"


def test_index_bits_count_the_leaves() -> None:
    assert [sframe.index_bits(n) for n in (1, 2, 3, 4, 5, 8, 9, 1024, 1025)] == [0, 1, 2, 2, 3, 3, 4, 10, 11]
    with pytest.raises(RoomkeyError):
        sframe.index_bits(0)


def test_epoch_uses_the_exporter_of_the_rfc() -> None:
    asked: list[tuple[bytes, bytes, int]] = []

    def export(label: bytes, context: bytes, length: int) -> bytes:
        asked.append((label, context, length))
        return bytes(length)

    for number in sframe.SUITES:
        epoch = sframe.sframe_epoch(export, sframe.SUITES[number], 0x1FF, 5)
        assert epoch.base_key == bytes(epoch.suite.nk)
        assert epoch.kid(4) == 4 << 8 | 0xFF
        assert epoch.kid(4, context=1) == 1 << 11 | 4 << 8 | 0xFF
    assert asked == [(b"SFrame 1.0 Base Key", b"", nk) for nk in (48, 48, 48, 16, 32)]


def test_parts_that_do_not_fit_are_refused() -> None:
    assert sframe.key_id(2**50 - 1, 63, 0, index_bits=6) < 2**64
    for context, sender in ((2**50, 0), (0, 64), (-1, 0), (0, -1)):
        with pytest.raises(RoomkeyError) as caught:
            sframe.key_id(context, sender, 0, index_bits=6)
        assert caught.value.code == "bad-argument"


def test_short_tags_need_a_policy_that_names_them() -> None:
    assert sframe.suite_by_number(sframe.DEFAULT_SUITE).name == "AES_128_GCM_SHA256_128"
    assert sframe.suite_by_number(3, unsafe_short_tags=frozenset({3})).nt == 4
    for number in (0, 2, 3, 6):
        with pytest.raises(RoomkeyError) as caught:
            sframe.suite_by_number(number)
        assert caught.value.code == "unsupported-suite"
