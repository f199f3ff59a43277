"""Values about groups: their register, their successors, signals and media keys (`wire_examples`)."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

from build_scripts.wire_seeds import NOW, fixed_crypto, pair_of, seed


def register() -> dict[str, Any]:
    from roomkey.conference.ordering import RoomkeyGroup
    from roomkey.conference.tickets import RoomkeyTicket
    from roomkey.crypto.suites import SUITES
    from roomkey.federation.delivery_messages import CommitsRead, CommitSubmission, GroupRegistration
    from roomkey.mls.key_schedule import export

    token = export(SUITES[1], seed("exporter"), b"roomkey ordering 1.0", b"", 32)
    following = export(SUITES[1], seed("next exporter"), b"roomkey ordering 1.0", b"", 32)
    group = seed("group")
    return {
        "exporter_secret of epoch 0, suite 1": seed("exporter").hex(),
        "token of epoch 0": token.hex(),
        "exporter_secret of epoch 1, suite 1": seed("next exporter").hex(),
        "token of epoch 1": following.hex(),
        "group id": group.hex(),
        "roomkey_group (0xF0C2)": RoomkeyGroup(b"email1.example").encode().hex(),
        "roomkey_ticket (0xF0C5)": RoomkeyTicket(b"email1.example", token).encode().hex(),
        "GroupRegistration": GroupRegistration(group, 0, hashlib.sha256(token).digest()).encode().hex(),
        "CommitSubmission": CommitSubmission(group, 0, token, hashlib.sha256(following).digest(), b"commit")
        .encode()
        .hex(),
        "CommitsRead": CommitsRead(group, 0, token).encode().hex(),
    }


async def successors() -> dict[str, Any]:
    """Who follows on a group: by a commit that nobody can process, and by a ReInit."""
    from roomkey.conference import attempts, succession
    from roomkey.conference.refusing import FAREWELL
    from roomkey.crypto.suites import SUITES
    from roomkey.federation.delivery_messages import StoredCommit, StoredCommits
    from roomkey.mls.key_schedule import export
    from roomkey.mls.proposals import ReInit

    def ended(reinit: ReInit | None) -> Any:
        """As much of the ended group as is asked for."""
        return SimpleNamespace(
            suite=SUITES[1], reinit=reinit, own_leaf=2, signature=pair_of("leaf 2"),
            export=lambda label, context, length: export(SUITES[1], seed("exporter"), label, context, length),
        )  # fmt: skip

    commit, reinit = b"an unusable commit", ReInit(seed("reinit group"), 1, 1, ())
    branch = succession.Due("branch", hashlib.sha256(commit).digest(), None)
    moved = succession.Due("reinit", hashlib.sha256(reinit.encode()).digest(), None)
    first = succession.successor_id(ended(None), branch, 0)
    token = succession.founding_token(ended(None), first)
    founding = await attempts.sign(fixed_crypto(), ended(None), first)
    stored = StoredCommit(0, b"a founding commit", hashlib.sha256(b"next token").digest())
    return {
        "exporter_secret of the ended epoch, suite 1": seed("exporter").hex(),
        "the unusable commit": commit.hex(),
        "ended, by the commit": branch.ended.hex(),
        "id of attempt 0": first.hex(),
        "id of attempt 1": succession.successor_id(ended(None), branch, 1).hex(),
        "first token of attempt 0": token.hex(),
        "seed of the key of leaf 2": seed("leaf 2").hex(),
        "RoomkeyFounding of attempt 0 by leaf 2": founding.hex(),
        "StoredCommits that hold it": StoredCommits((stored,)).encode().hex(),
        "StoredCommits of an open attempt": StoredCommits(()).encode().hex(),
        "ReInit": reinit.encode().hex(),
        "ended, by the ReInit": moved.ended.hex(),
        "id of attempt 1 at what the ReInit asked for": succession.successor_id(ended(reinit), moved, 1).hex(),
        "authenticated data of a farewell": FAREWELL.hex(),
    }


def signals() -> dict[str, Any]:
    """What members say for the moment."""
    from roomkey.conference.signals import APPLICATION, CALL, MARK, STREAMS, Signal
    from roomkey.media.srtp import SrtpStream, SrtpStreams

    streams = SrtpStreams((SrtpStream(0x01020304, 0x0007, 0), SrtpStream(0x05060708, 0x0007, 1))).encode()
    join = b'{"type":"join","session":"' + b"0" * 32 + b'","media":{"audio":true,"video":"camera"}}'
    return {
        "authenticated data (SignalMark)": MARK.hex(),
        "Signal of the application, for one client": Signal(APPLICATION, NOW * 1000, seed("client"), b"hello")
        .encode()
        .hex(),
        "Signal of calls, for all": Signal(CALL, NOW * 1000, None, join).encode().hex(),
        "Signal of two SRTP streams, for all": Signal(STREAMS, NOW * 1000, None, streams).encode().hex(),
    }


def media() -> dict[str, Any]:
    from roomkey.crypto.suites import SUITES
    from roomkey.media.sframe import SUITES as SFRAME_SUITES
    from roomkey.media.sframe import derive_keys, sframe_epoch
    from roomkey.media.srtp import PROFILES, srtp_keys, verification_digits
    from roomkey.mls.key_schedule import export

    def exporter(label: bytes, context: bytes, length: int) -> bytes:
        return export(SUITES[1], seed("exporter"), label, context, length)

    srtp = {
        name: {"master key": keys.master_key.hex(), "master salt": keys.master_salt.hex(), "MKI": keys.mki.hex()}
        for name, keys in ((name, srtp_keys(exporter, profile, 3, 258)) for name, profile in PROFILES.items())
    }
    epoch = sframe_epoch(exporter, SFRAME_SUITES[4], 258, 5)
    kid = epoch.kid(3, 1)
    keys = derive_keys(epoch.suite, epoch.base_key, kid)
    return {
        "exporter_secret of epoch 258, suite 1": seed("exporter").hex(),
        "SRTP keys of leaf 3": srtp,
        "SFrame base key, suite 4": epoch.base_key.hex(),
        "KID of leaf 3 of 5, context 1": f"{kid:#x}",
        "its key": keys.key.hex(),
        "its salt": keys.salt.hex(),
        "epoch_authenticator": seed("authenticator").hex(),
        "its digits (text)": verification_digits(seed("authenticator")),
    }
