"""Values as they cross the bridge: dictionaries of texts, numbers, bytes and lists. Times are Unix seconds."""

from __future__ import annotations

from typing import Any

from roomkey.client.client import Client
from roomkey.client.contacts import InitKeys
from roomkey.client.devices import Device
from roomkey.client.traffic import Traffic
from roomkey.conference import records, signals
from roomkey.conference.conference import Conference
from roomkey.conference.epoch_keys import Fingerprint
from roomkey.conference.events import Ended, Member, MembersChanged, Message, SignalArrived, Succeeded
from roomkey.crypto.suites import SUITES
from roomkey.federation.delivery import Stock
from roomkey.federation.identity import domain_of
from roomkey.media.sframe import SFrameEpoch
from roomkey.media.srtp import SrtpKeys

Plain = dict[str, Any]

_STATUS = {records.ACTIVE: "active", records.REMOVED: "removed", records.FAILED: "failed", records.INVITED: "invited"}


def identity(handle: int, client: Client) -> Plain:
    home = client.home
    return {
        "handle": handle,
        "identity": client.identity,
        "clientId": client.client_id,
        "identityKey": client.identity_key,
        "suites": [suite(number) for number in client.suites],
        "service": {"url": home.origin, "domain": domain_of(client.identity)},
    }


def suite(number: int) -> Plain:
    """A suite by its RFC 9420 number; one that we do not know is named by it."""
    known = SUITES.get(number)
    if known is None:
        return {"number": number, "name": f"{number:#06x}", "experimental": False}
    return {"number": number, "name": known.name, "experimental": known.experimental}


def device(value: Device) -> Plain:
    return {
        "clientId": value.client_id,
        "identityKey": value.public_key,
        "suites": [suite(number) for number in value.suites],
        "own": value.own,
        "logged": value.logged,
    }


def stock(value: Stock, target: int) -> Plain:
    return {"available": value.sets, "lastResort": value.last_resort, "target": target}


def init_keys(handle: int, keys: InitKeys) -> Plain:
    trust = keys.proved.trust
    return {
        "handle": handle,
        "identity": keys.identity,
        "clients": [
            {
                "clientId": item.client.client_id,
                "identityKey": item.client.public_key,
                "suites": [suite(number) for number in sorted({number for _, number in item.offer.pairs})],
                "expires": item.expires,
            }
            for item in keys.proved.sets
        ],
        "absent": list(trust.absent),
        "verified": {"by": trust.by, "since": trust.since},
        "service": {"url": keys.origin, "domain": domain_of(keys.identity)},
    }


def member(value: Member) -> Plain:
    return {
        "identity": value.identity,
        "clientId": value.client,
        "identityKey": value.identity_key,
        "leafIndex": value.leaf,
        "own": value.own,
        "verified": {"by": value.by, "since": value.since},
    }


def conference(handle: int, value: Conference) -> Plain:
    return {
        "handle": handle,
        "id": value.id,
        "name": value.name,
        "epoch": value.epoch,
        "suite": None if value.suite is None else suite(value.suite),
        "betterSuite": None if value.better_suite is None else suite(value.better_suite),
        "policy": value.policy,
        "ordering": value.ordering,
        "status": "left" if value.gone else _STATUS[value.status],
        "members": [member(item) for item in value.members],
        "verification": {"epoch": value.epoch, "digits": value.verification_digits},
    }


def invitation(handle: int, value: Conference) -> Plain:
    return {
        "handle": handle,
        "from": None if value.inviter is None else member(value.inviter),
        "members": [member(item) for item in value.members],
        "name": value.name,
        "received": value.created,
    }


def message(value: Message) -> Plain:
    return {
        "seq": value.seq,
        "epoch": value.epoch,
        "from": {"identity": value.identity, "clientId": value.client, "leafIndex": value.leaf},
        "own": value.own,
        "data": value.data,
        "time": value.time,
    }


def signal(value: SignalArrived) -> Plain:
    return {"kind": signals.KINDS[value.kind], "from": member(value.sender), "data": value.data}


def members_changed(value: MembersChanged, after: Plain) -> Plain:
    return {
        "added": [member(item) for item in value.added],
        "removed": [member(item) for item in value.removed],
        "entered": [member(item) for item in value.entered],
        "conference": after,
    }


def succeeded(value: Succeeded, after: Plain) -> Plain:
    return {"formerId": value.old_id, "reason": value.reason, "conference": after}


def ended(value: Ended) -> Plain:
    return {
        "reason": value.reason,
        "by": None if value.by is None else member(value.by),
        "error": None if value.error is None else value.error.as_plain(),
    }


def fingerprints(epoch: int, profile: str, values: list[Fingerprint]) -> Plain:
    return {
        "epoch": epoch,
        "profile": profile,
        "keys": [_sender(item.member) | {"fingerprint": item.fingerprint} for item in values],
    }


def srtp_keys(epoch: int, profile: str, values: list[tuple[Member, SrtpKeys]]) -> Plain:
    return {
        "epoch": epoch,
        "profile": profile,
        "mki": values[0][1].mki,
        "keys": [
            _sender(sender) | {"masterKey": keys.master_key, "masterSalt": keys.master_salt} for sender, keys in values
        ],
    }


def sframe_keys(value: SFrameEpoch, own_leaf: int, members: list[int]) -> Plain:
    return {
        "epoch": value.epoch,
        "suite": value.suite.number,
        "baseKey": value.base_key,
        "ownLeaf": own_leaf,
        "leafIndexBits": value.index_bits,
        "members": members,
    }


def traffic(value: Traffic) -> Plain:
    return {
        "direction": value.direction,
        "service": value.service,
        "kind": value.kind,
        "bytes": value.bytes,
        "time": value.time,
    }


def _sender(value: Member) -> Plain:
    return {"leafIndex": value.leaf, "identity": value.identity, "clientId": value.client, "own": value.own}
