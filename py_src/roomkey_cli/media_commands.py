"""Keys of a conversation's media, for players and recorders that know SRTP and not us."""

from __future__ import annotations

import argparse
import base64
import json
import os
from typing import Final, NamedTuple

from roomkey.conference.conference import Conference
from roomkey.conference.events import Member
from roomkey.media.srtp import SrtpKeys

from roomkey_cli import screen
from roomkey_cli.person import name_of, opened, people_of, person_of
from roomkey_cli.words import USAGE, Trouble

# What ffmpeg and most players know; the others are for programs that are newer.
DEFAULT_PROFILE: Final = "SRTP_AES128_CM_HMAC_SHA1_80"
# Names in session descriptions (RFC 4568 section 6.2, RFC 7714 section 14.1).
SUITES: Final = {
    "SRTP_AES128_CM_HMAC_SHA1_80": "AES_CM_128_HMAC_SHA1_80",
    "SRTP_AEAD_AES_128_GCM": "AEAD_AES_128_GCM",
    "SRTP_AEAD_AES_256_GCM": "AEAD_AES_256_GCM",
}


class Codec(NamedTuple):
    kind: str
    mapping: str  # of a=rtpmap


CODECS: Final = {
    "VP8": Codec("video", "VP8/90000"),
    "VP9": Codec("video", "VP9/90000"),
    "opus": Codec("audio", "opus/48000/2"),
}


async def srtp_keys(options: argparse.Namespace) -> int:
    """Writes keys to a descriptor that the person names: never to a terminal, and nowhere by default."""
    _expect_safe(options.fd)
    if options.sdp is not None and options.of is None:
        raise Trouble("a session description is of one sender: name them by --of", USAGE)
    async with person_of(options) as person, opened(person) as mailbox:
        await mailbox.catch_up()
        conference = mailbox.find(people_of(options.names, person), options.conversation)
        if conference is None:
            raise Trouble("there is no such conversation")
        wanted = None if options.of is None else name_of(options.of)
        found = [pair for pair in conference.keys.srtp(options.profile) if wanted in (None, pair[0].identity)]
        if options.sdp is None:
            text = _as_json(conference, options.profile, found)
        else:
            if len(found) != 1:
                raise Trouble(f"{wanted} is there with {len(found)} devices: take the keys without --sdp")
            text = session_description(options.sdp, options.codec, options.payload_type, found[0][1])
        _write(options.fd, text)
        whose = "everybody" if wanted is None else wanted
        screen.say(
            f"descriptor {options.fd} got keys: whoever has them sees and hears what {whose} sends in the "
            f"conversation {screen.called(conference, person.identity)} and can send in their name. They are of epoch "
            f"{conference.epoch} and end with it: ask again then"
        )
        return mailbox.status


def session_description(port: int, codec: str, payload_type: int, keys: SrtpKeys) -> str:
    """What lets a player open one sender's stream that comes to a port of this machine (RFC 4566, RFC 4568). Its
    packets must be without MKI.
    """
    inline = base64.b64encode(keys.master_key + keys.master_salt).decode()
    lines = (
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=roomkey",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        f"m={CODECS[codec].kind} {port} RTP/SAVP {payload_type}",
        f"a=rtpmap:{payload_type} {CODECS[codec].mapping}",
        f"a=crypto:1 {SUITES[keys.profile.name]} inline:{inline}",
    )
    return "\r\n".join(lines) + "\r\n"


def _as_json(conference: Conference, profile: str, found: list[tuple[Member, SrtpKeys]]) -> str:
    """As `Conference.srtpKeys` of a page; bytes in hex."""
    keys = [
        {
            "leafIndex": member.leaf,
            "identity": member.identity,
            "clientId": member.client.hex(),
            "own": member.own,
            "mki": key.mki.hex(),
            "masterKey": key.master_key.hex(),
            "masterSalt": key.master_salt.hex(),
        }
        for member, key in found
    ]
    return json.dumps({"epoch": conference.epoch, "profile": profile, "keys": keys}) + "\n"


def _write(descriptor: int, text: str) -> None:
    with open(descriptor, "w", encoding="utf-8", closefd=False) as out:
        out.write(text)


def _expect_safe(descriptor: int) -> None:
    """A descriptor that is open, and no terminal, which keeps what it showed."""
    try:
        os.fstat(descriptor)
    except OSError as error:
        raise Trouble(f"descriptor {descriptor} is not open", USAGE) from error
    if os.isatty(descriptor):
        raise Trouble("keys are not shown on a terminal: give a pipe or a file", USAGE)
