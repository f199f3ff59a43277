"""libsrtp opens what we protect and we open what it protects: each profile, SRTP and SRTCP, with and without MKI."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from roomkey.media import srtp
from roomkey.media.srtp import SrtpKeys

from tests.browser.support import media
from tests.browser.support.media import RunCheck
from tests.interop.libsrtp import LibsrtpError, Session
from tests.support import native_people
from tests.support.people import Person, call, enrol, together
from tests.support.simulator import Simulation

PROFILES = list(srtp.PROFILES.values())
MODES = [pytest.param(True, id="mki"), pytest.param(False, id="no-mki")]
# The second one needs all 32 bits; the rollover counters pass 2^16 and 2^31.
STREAMS = {0x1234: 0, 0xCAFEBABE: 0xFFFF, 0x80000001: 0x7FFFFFFF}
RTCP_TYPES = (200, 201, 206)
# How libsrtp names what our receiver refuses.
SAME = {"replay-fail": "replayed", "replay-old": "too-old", "auth-fail": "not-authentic", "bad-mki": "unknown-key"}

Step = dict[str, Any]


@pytest.fixture(scope="module", params=["node", "chromium"])
def run(
    request: pytest.FixtureRequest, chromium: PlaywrightBrowser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunCheck]:
    with media.checks("srtp_play", request.param, chromium, tmp_path_factory.mktemp("media")) as running:
        yield running


def made(profile: srtp.SrtpProfile, source: random.Random, epoch: int) -> SrtpKeys:
    """Keys as an epoch's exporter would give them."""
    return srtp.srtp_keys(lambda _label, _context, size: source.randbytes(size), profile, 3, epoch)


def play(
    run: RunCheck, side: str, keys: list[SrtpKeys], steps: list[Step], *, mki: bool = True
) -> list[dict[str, str] | None]:
    """What our sender or receiver, which holds all of `keys` or the first, makes of the steps."""
    plain = [
        {"key": item.master_key.hex(), "salt": item.master_salt.hex(), "mki": item.mki.hex()} for item in keys
    ]  # fmt: skip
    before = [{"do": "addKeys", "keys": number} for number in range(len(keys))] if side == "receive" else []
    argument = {
        "profile": keys[0].profile.number, "keys": plain, "mode": "mki" if mki else "no-mki", "side": side,
        "steps": before + steps,
    }  # fmt: skip
    answers: list[dict[str, str] | None] = run("play", argument)
    return answers[len(before) :]


def rtp(source: random.Random, ssrc: int, sequence: int) -> bytes:
    """With a CSRC list and a header extension now and then, and a payload that may be empty."""
    csrcs, extension = source.choice([0, 0, 1, 15]), source.choice([None, None, 0, 3])
    head = bytes([0x80 | (extension is not None) << 4 | csrcs, source.randrange(256)])
    head += (sequence % 2**16).to_bytes(2, "big") + source.randbytes(4) + ssrc.to_bytes(4, "big")
    head += source.randbytes(4 * csrcs)
    if extension is not None:
        head += b"\xbe\xde" + extension.to_bytes(2, "big") + source.randbytes(4 * extension)
    return head + source.randbytes(source.choice([0, 1, 15, 16, 17, 160, 1200]))


def rtcp(source: random.Random, ssrc: int) -> bytes:
    """A packet of whole words."""
    words = source.choice([1, 6, 12])
    return bytes([0x80, source.choice(RTCP_TYPES), 0, words]) + ssrc.to_bytes(4, "big") + source.randbytes(4 * words)


class Sent:
    """A run of packets of several streams through a rollover of each, under one key after the other."""

    def __init__(self, source: random.Random, keys: int) -> None:
        at = {ssrc: 65_536 - source.randrange(5, 15) for ssrc in STREAMS}
        self.steps: list[tuple[str, bytes, int]] = []  # kind, packet, number of the key
        for key in range(keys):
            for _ in range(30):
                ssrc = source.choice(list(STREAMS))
                if source.random() < 0.25:
                    self.steps.append(("rtcp", rtcp(source, ssrc), key))
                else:
                    self.steps.append(("rtp", rtp(source, ssrc, at[ssrc]), key))
                    at[ssrc] += source.choice([1, 1, 1, 7])
        assert all(sequence > 65_536 for sequence in at.values())


def name(verb: str, kind: str) -> str:
    return verb if kind == "rtp" else f"{verb}Rtcp"


def protected_by_us(run: RunCheck, keys: list[SrtpKeys], sent: Sent, mki: bool) -> list[bytes]:
    steps: list[Step] = [{"do": "open", "ssrc": ssrc, "rollover": roc} for ssrc, roc in STREAMS.items()]
    for at, (kind, packet, key) in enumerate(sent.steps):
        if at > 0 and key != sent.steps[at - 1][2]:
            steps.append({"do": "rekey", "keys": key})
        steps.append({"do": name("protect", kind), "packet": packet.hex()})
    answers = [answer for answer in play(run, "send", keys, steps, mki=mki) if answer is not None]
    return [bytes.fromhex(answer["packet"]) for answer in answers]


@pytest.mark.parametrize("mki", MODES)
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_libsrtp_opens_what_we_protect(run: RunCheck, profile: srtp.SrtpProfile, mki: bool) -> None:
    source = random.Random(profile.number)
    keys = [made(profile, source, epoch) for epoch in (65_535, 65_536, 65_537)][: 3 if mki else 1]
    sent = Sent(source, len(keys))
    packets = protected_by_us(run, keys, sent, mki)
    session = Session(keys, STREAMS, mki=mki)
    for (kind, plain, _), packet in zip(sent.steps, packets, strict=True):
        assert packet != plain
        assert session.unprotect(packet, rtcp=kind == "rtcp") == plain
        with pytest.raises(LibsrtpError, match="replay-fail"):
            session.unprotect(packet, rtcp=kind == "rtcp")
    session.close()


@pytest.mark.parametrize("mki", MODES)
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_we_open_what_libsrtp_protects(run: RunCheck, profile: srtp.SrtpProfile, mki: bool) -> None:
    source = random.Random(profile.number)
    keys = [made(profile, source, epoch) for epoch in (65_535, 65_536, 65_537)][: 3 if mki else 1]
    sent = Sent(source, len(keys))
    session = Session(keys, STREAMS, mki=mki)
    packets = [session.protect(plain, key, rtcp=kind == "rtcp") for kind, plain, key in sent.steps]
    session.close()
    steps: list[Step] = [{"do": "announce", "ssrc": ssrc, "rollover": roc} for ssrc, roc in STREAMS.items()]
    expected: list[dict[str, str] | None] = [None] * len(steps)
    for (kind, plain, _), packet in zip(sent.steps, packets, strict=True):
        steps += [{"do": name("unprotect", kind), "packet": packet.hex()}] * 2
        expected += [{"packet": plain.hex()}, {"refused": "replayed"}]
    assert play(run, "receive", keys, steps, mki=mki) == expected


@pytest.mark.parametrize("mki", MODES)
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_both_refuse_the_same(run: RunCheck, profile: srtp.SrtpProfile, mki: bool) -> None:
    """Forged, replayed, reordered and old packets, those of other keys and streams: one after the other to both."""
    source = random.Random(profile.number)
    keys = [made(profile, source, epoch) for epoch in (8, 9)]
    (ssrc, rollover), (other, _) = list(STREAMS.items())[:2]
    streams = {ssrc: rollover}
    sender = Session(keys[:1], {ssrc: rollover, other: 0}, mki=mki)
    packets = [sender.protect(rtp(source, ssrc, sequence)) for sequence in range(1, 1200)]
    strangers = [sender.protect(rtp(source, other, 5))]
    other_keys = Session(keys[1:], streams, mki=mki)
    play_list = packets[:50] + [turned(packet, source, ssrc) for packet in packets[50:150]]
    play_list += source.sample(packets[50:150], 100) + packets[20:60]
    play_list += packets[1198:] + packets[100:101] + packets[150:160] + packets[1100:1110] + packets[1100:1103]
    play_list += strangers + [other_keys.protect(rtp(source, ssrc, 1200 + at)) for at in range(3)]
    receiver = Session(keys[:1], streams, mki=mki)
    theirs = [opened(receiver, packet) for packet in play_list]
    for session in (sender, other_keys, receiver):
        session.close()
    steps: list[Step] = [{"do": "announce", "ssrc": ssrc, "rollover": rollover}]
    steps += [{"do": "unprotect", "packet": packet.hex()} for packet in play_list]
    ours = play(run, "receive", keys[:1], steps, mki=mki)[1:]
    assert ours == theirs
    refusals = {answer["refused"] for answer in ours if answer is not None and "refused" in answer}
    assert refusals >= {"replayed", "too-old", "not-authentic", "unknown-stream"}


def turned(packet: bytes, source: random.Random, ssrc: int) -> bytes:
    """One bit turned: of the timestamp, or of what ends the packet (tag or MKI)."""
    place = source.choice([packet.index(ssrc.to_bytes(4, "big")) - 3, len(packet) - 1])
    return packet[:place] + bytes([packet[place] ^ 1 << source.randrange(8)]) + packet[place + 1 :]


def opened(session: Session, packet: bytes) -> dict[str, str]:
    try:
        return {"packet": session.unprotect(packet).hex()}
    except LibsrtpError as error:
        return {"refused": "unknown-stream" if str(error) == "no-ctx" else SAME.get(str(error), str(error))}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_with_the_keys_of_a_conference(run: RunCheck, tmp_path: Path, profile: srtp.SrtpProfile) -> None:
    """Alice's keys are libsrtp's and Bob's are ours; a commit in the middle, and the stream runs on."""
    epochs = native_people.run(two_epochs(tmp_path, profile.name))
    assert [(alices.mki, bobs.mki) for alices, bobs in epochs] == [(b"\0\1", b"\0\1"), (b"\0\2", b"\0\2")]
    source = random.Random(profile.number)
    native = Session([keys for keys, _ in epochs], {7: 0}, mki=True)
    plain = [rtp(source, 7, sequence) for sequence in range(65_530, 65_545)]
    sealed = [native.protect(packet, 0 if at < 8 else 1) for at, packet in enumerate(plain)]
    native.close()
    steps: list[Step] = [{"do": "announce", "ssrc": 7, "rollover": 0}]
    steps += [{"do": "unprotect", "packet": packet.hex()} for packet in sealed]
    heard = play(run, "receive", [keys for _, keys in epochs], steps)
    assert heard[1:] == [{"packet": packet.hex()} for packet in plain]


async def two_epochs(folder: Path, profile: str) -> list[tuple[SrtpKeys, SrtpKeys]]:
    """The keys that Alice sends with in two epochs of a conference, as she and as Bob have them."""
    async with Simulation(folder) as simulation:
        alice = await enrol(simulation, "alice@email1.example")
        bob = await enrol(simulation, "bob@email2.example")
        conference = await call(alice, bob)
        epochs = [(keys_of(alice, alice, profile), keys_of(bob, alice, profile))]
        await conference.update()
        await together(conference, bob)
        epochs.append((keys_of(alice, alice, profile), keys_of(bob, alice, profile)))
        await alice.close()
        await bob.close()
        return epochs


def keys_of(holder: Person, sender: Person, profile: str) -> SrtpKeys:
    """What `holder` has of the sender's keys."""
    (keys,) = [keys for member, keys in holder.conference.keys.srtp(profile) if member.identity == sender.identity]
    return keys
