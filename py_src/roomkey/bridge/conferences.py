"""The calls of the bridge about conferences: each takes an engine and its arguments, and answers a plain value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from roomkey.bridge import plain
from roomkey.bridge.arguments import Arguments
from roomkey.bridge.engine import Engine
from roomkey.bridge.plain import Plain
from roomkey.client.contacts import InitKeys
from roomkey.conference import signals
from roomkey.errors import RoomkeyError
from roomkey.federation.identity import canonicalise, check_domain


async def snapshot(engine: Engine, args: Arguments) -> Plain:
    return plain.conference(args.number("handle"), engine.conference_of(args))


async def invite(engine: Engine, args: Arguments) -> Plain:
    conference = engine.conference_of(args)
    keys = [engine.handles.get(handle, InitKeys) for handle in args.numbers("keys")]
    added = await engine.owners[conference].invite(conference, keys)
    for item in keys:
        engine.handles.drop(item, used=True)
    return {"epoch": added.epoch, "added": [plain.member(item) for item in added.members]}


async def ticket(engine: Engine, args: Arguments) -> bytes:
    return await engine.conference_of(args).ticket()


async def remove(engine: Engine, args: Arguments) -> None:
    conference = engine.conference_of(args)
    if args.has("clientId"):
        await conference.remove(client=args.data("clientId"))
    else:
        await conference.remove(identity=canonicalise(args.text("identity")))


async def update(engine: Engine, args: Arguments) -> None:
    await engine.conference_of(args).update()


async def move_ordering(engine: Engine, args: Arguments) -> None:
    await engine.conference_of(args).move_ordering(check_domain(args.text("domain")))


async def upgrade(engine: Engine, args: Arguments) -> None:
    await engine.conference_of(args).upgrade()


async def go_on_without(engine: Engine, args: Arguments) -> None:
    await engine.conference_of(args).go_on_without(without_inviter=args.flag("withoutInviter"))


async def leave(engine: Engine, args: Arguments) -> None:
    await engine.conference_of(args).leave()


async def close_conference(engine: Engine, args: Arguments) -> None:
    engine.drop(engine.conference_of(args))


async def send(engine: Engine, args: Arguments) -> Plain:
    sent = await engine.conference_of(args).send(args.data("data"))
    return {"seq": sent.seq, "epoch": sent.epoch}


async def signal(engine: Engine, args: Arguments) -> None:
    kinds = {name: kind for kind, name in signals.KINDS.items() if kind != signals.STREAMS}  # the media worker's own
    kind = kinds.get(args.text("kind"))
    if kind is None:
        raise RoomkeyError("bad-argument", f"kind: expected one of {sorted(kinds)}", field="kind")
    await engine.conference_of(args).signal(args.data("data"), to=args.optional_data("to"), kind=kind)


async def messages(engine: Engine, args: Arguments) -> list[Plain]:
    found = await engine.conference_of(args).history.messages(args.number("after", 0), args.number("limit", 100))
    return [plain.message(item) for item in found]


async def forget(engine: Engine, args: Arguments) -> None:
    await engine.conference_of(args).history.forget(args.number("seq"))


async def key_fingerprints(engine: Engine, args: Arguments) -> Plain:
    conference, profile = engine.conference_of(args), args.text("profile")
    return plain.fingerprints(conference.epoch, profile, conference.keys.fingerprints(profile))


async def srtp_keys(engine: Engine, args: Arguments) -> Plain:
    _expect_export(engine)
    return await media_srtp_keys(engine, args)


async def media_srtp_keys(engine: Engine, args: Arguments) -> Plain:
    conference, profile = engine.conference_of(args), args.text("profile")
    return plain.srtp_keys(conference.epoch, profile, conference.keys.srtp(profile))


async def export_secret(engine: Engine, args: Arguments) -> bytes:
    _expect_export(engine)
    conference = engine.conference_of(args)
    return conference.keys.export(args.text("label"), args.data("context"), args.number("length"))


def _expect_export(engine: Engine) -> None:
    if not engine.export_keys:
        raise RoomkeyError("export-not-allowed", "expected load() to allow the export of keys")


METHODS: Mapping[str, Callable[[Engine, Arguments], Awaitable[Any]]] = {
    "conference.snapshot": snapshot,
    "conference.invite": invite,
    "conference.ticket": ticket,
    "conference.remove": remove,
    "conference.update": update,
    "conference.moveOrdering": move_ordering,
    "conference.upgrade": upgrade,
    "conference.goOnWithout": go_on_without,
    "conference.leave": leave,
    "conference.close": close_conference,
    "conference.send": send,
    "conference.signal": signal,
    "conference.messages": messages,
    "conference.forget": forget,
    "conference.keyFingerprints": key_fingerprints,
    "conference.srtpKeys": srtp_keys,
    "conference.exportSecret": export_secret,
    "media.srtpKeys": media_srtp_keys,
}
