"""Key schedule, PSKs and transcript: what the official vectors leave open."""

from __future__ import annotations

import pytest
from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.framing import PROPOSAL, PUBLIC_MESSAGE, FramedContent, member
from roomkey.mls.group_context import GroupContext
from roomkey.mls.key_schedule import (
    epoch_secrets,
    export,
    external_key_pair,
    make_external_init,
    next_epoch,
    take_external_init,
)
from roomkey.mls.proposals import Remove, proposal
from roomkey.mls.psk import USAGE_APPLICATION, PreSharedKeyID, external_psk, psk_secret, resumption_psk
from roomkey.mls.transcript import check_confirmation_tag, confirmation_tag, confirmed_transcript_hash
from roomkey.mls.version import MLS10

SUITE = SUITES[1]
ZERO = bytes(32)
CONTEXT = GroupContext(MLS10, 1, b"group", 4, b"t" * 32, b"c" * 32, ())


def test_every_input_changes_every_secret() -> None:
    base = next_epoch(SUITE, ZERO, ZERO, ZERO, CONTEXT)
    one = b"\1" * 32
    others = [
        next_epoch(SUITE, one, ZERO, ZERO, CONTEXT),
        next_epoch(SUITE, ZERO, one, ZERO, CONTEXT),
        next_epoch(SUITE, ZERO, ZERO, one, CONTEXT),
        next_epoch(SUITE, ZERO, ZERO, ZERO, CONTEXT.replace(epoch=5)),
    ]
    for name in base.secrets._names:
        values = {getattr(new.secrets, name) for new in (base, *others)}
        assert len(values) == 5, name
    assert len({new.encryption_secret for new in (base, *others)}) == 5


def test_secrets_of_an_epoch_differ_and_are_not_shown() -> None:
    encryption, secrets = epoch_secrets(SUITE, b"e" * 32)
    values = [encryption, *(getattr(secrets, name) for name in secrets._names)]
    assert len(set(values)) == 9
    assert all(len(value) == SUITE.nh for value in values)
    new = next_epoch(SUITE, ZERO, ZERO, ZERO, CONTEXT)
    assert str(new.joiner_secret) not in repr(new)
    assert repr(new.secrets) == "<EpochSecrets>"


def test_exports_are_bound_to_label_context_and_length() -> None:
    secret = b"x" * 32
    exports = [
        export(SUITE, secret, b"a", b"", 32),
        export(SUITE, secret, b"b", b"", 32),
        export(SUITE, secret, b"a", b"c", 32),
        export(SUITE, secret, b"a", b"", 33)[:32],
    ]
    assert len(set(exports)) == 4
    assert len(export(SUITE, secret, b"a", b"", 255 * 32)) == 255 * 32
    assert export(SUITE, secret, b"a", b"", 0) == b""
    with pytest.raises(RoomkeyError) as caught:
        export(SUITE, secret, b"a", b"", 255 * 32 + 1)
    assert caught.value.code == "bad-argument"


@pytest.mark.parametrize("number", SUITES)
async def test_an_external_joiner_and_the_members_agree_on_the_init_secret(number: int) -> None:
    crypto, suite = NativeCrypto(), SUITES[number]
    pair = await external_key_pair(crypto, suite, b"s" * 32)
    kem_output, theirs = await make_external_init(crypto, suite, pair.public)
    assert await take_external_init(crypto, suite, pair, kem_output) == theirs
    with pytest.raises(RoomkeyError) as caught:
        await take_external_init(crypto, suite, pair, kem_output[:-1])
    assert caught.value.code == "decryption-failed"
    with pytest.raises(RoomkeyError) as caught:
        await make_external_init(crypto, suite, pair.public[:-1])
    assert caught.value.code == "invalid-key"


def test_psks_count_in_order() -> None:
    one = (external_psk(b"one", b"n" * 32), b"1" * 32)
    two = (resumption_psk(USAGE_APPLICATION, b"group", 3, b"n" * 32), b"2" * 32)
    assert psk_secret(SUITE, []) == ZERO
    assert len({psk_secret(SUITE, psks) for psks in ([one], [two], [one, two], [two, one])}) == 4
    for psk_id, _ in (one, two):
        assert PreSharedKeyID.decode(psk_id.encode()) == psk_id


@pytest.mark.parametrize("rule", ["commit-confirmation", "welcome-confirmation"])
def test_only_the_whole_confirmation_tag_is_taken(rule: str) -> None:
    tag = confirmation_tag(SUITE, b"k" * 32, b"c" * 32)
    check_confirmation_tag(SUITE, b"k" * 32, b"c" * 32, tag, rule)
    for wrong in (b"", tag[:1], tag[:-1], tag + b"\0", tag[:-1] + bytes((tag[-1] ^ 1,)), ZERO):
        with pytest.raises(RoomkeyError) as caught:
            check_confirmation_tag(SUITE, b"k" * 32, b"c" * 32, wrong, rule)
        assert caught.value.details["rule"] == rule


def test_only_commits_enter_the_transcript() -> None:
    content = FramedContent(b"group", 4, member(0), b"", PROPOSAL, proposal(Remove(1)))
    with pytest.raises(RoomkeyError) as caught:
        confirmed_transcript_hash(SUITE, ZERO, PUBLIC_MESSAGE, content, b"signature")
    assert caught.value.code == "bad-argument"
