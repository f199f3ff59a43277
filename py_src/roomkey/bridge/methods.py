"""The calls of the bridge, in a table: each takes an engine and its arguments, and answers a plain value or raises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from roomkey.bridge import plain
from roomkey.bridge.arguments import Arguments
from roomkey.bridge.engine import Engine, Invitation
from roomkey.bridge.plain import Plain
from roomkey.client.client import Client
from roomkey.client.contacts import InitKeys
from roomkey.client.opening import create_client, open_client
from roomkey.client.stock import DEFAULT_TARGET
from roomkey.client.traffic import MeteredHost
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.identity import canonicalise, check_domain
from roomkey.federation.negotiation import CHOICES, Choice
from roomkey.mls.policy import MEMBERS_ONLY

Method = Callable[[Engine, Arguments], Awaitable[Any]]


# -- roomkey --


async def set_delivery_service(engine: Engine, args: Arguments) -> Plain:
    """Proves that a delivery service is there, and sends everything for its domains to it from now on."""
    if (args.optional_text("fanout") or "client") != "client":
        raise RoomkeyError("bad-argument", "fanout: expected client", field="fanout")
    service = DeliveryService(MeteredHost(engine.host, engine.on_traffic), args.text("url"))
    description = await service.describe()
    domains = args.texts("domains") if args.has("domains") else [description.domain]
    domains = [check_domain(domain) for domain in domains]
    for client in engine.handles.all(Client):
        await client.set_service(service.origin, domains)
    engine.services.update(dict.fromkeys(domains, service.origin))
    return {"url": service.origin, "domain": description.domain, "domains": domains}


async def identities(engine: Engine, args: Arguments) -> list[Plain]:
    opened = {client.identity for client in engine.handles.all(Client)}
    return [{"identity": name, "open": name in opened} for name in await engine.host.identities()]


async def create_identity(engine: Engine, args: Arguments) -> Plain:
    name, code = canonicalise(args.text("identity")), args.text("enrolment")
    if any(client.identity == name for client in engine.handles.all(Client)):
        raise RoomkeyError("identity-exists", "expected an identity that is new here, got one that is open")
    listen, became = engine.listener()
    client = await create_client(
        engine.host, name, code, engine.services, engine.policy, listen, choice=_choice_of_suites(args)
    )
    value = engine.adopt(client)
    became(client)
    return value


def _choice_of_suites(args: Arguments) -> Choice:
    wanted = args.optional_text("suites") or "standard"
    for choice in CHOICES:
        if choice == wanted:
            return choice
    raise RoomkeyError("bad-argument", f"suites: expected {' or '.join(CHOICES)}, got another text", field="suites")


async def open_identity(engine: Engine, args: Arguments) -> Plain:
    listen, became = engine.listener()
    name = canonicalise(args.text("identity"))
    client = await open_client(engine.host, name, engine.services, engine.policy, listen)
    value = engine.adopt(client)
    became(client)
    return value


async def release(engine: Engine, args: Arguments) -> None:
    item = engine.handles.get(args.number("handle"), object)
    if isinstance(item, InitKeys):
        for client in engine.handles.all(Client):
            client.release(item)
    elif not isinstance(item, Invitation):
        raise RoomkeyError("bad-argument", "handle: expected one of init keys or of an invitation", field="handle")
    engine.handles.drop(item)


# -- identities --


async def close_identity(engine: Engine, args: Arguments) -> None:
    client = engine.client_of(args)
    engine.forget(client)
    await client.close()


async def publish_init_keys(engine: Engine, args: Arguments) -> Plain:
    client = engine.client_of(args)
    return plain.stock(await client.publish(args.number("count", DEFAULT_TARGET)), client.target)


async def stock(engine: Engine, args: Arguments) -> Plain:
    client = engine.client_of(args)
    return plain.stock(await client.stock(), client.target)


async def fetch_init_keys(engine: Engine, args: Arguments) -> Plain:
    fetched = await engine.client_of(args).fetch(args.texts("identities"))
    return {
        "keys": [plain.init_keys(engine.handles.add(keys), keys) for keys in fetched.keys],
        "missing": [{"identity": item.identity, "error": item.error.as_plain()} for item in fetched.missing],
    }


async def create_conference(engine: Engine, args: Arguments) -> Plain:
    client = engine.client_of(args)
    keys = [engine.handles.get(handle, InitKeys) for handle in args.numbers("keys")] if args.has("keys") else []
    policy = args.optional_text("policy") or MEMBERS_ONLY
    return engine.conference(client, await client.create_conference(args.optional_text("name") or "", keys, policy))


async def join_conference(engine: Engine, args: Arguments) -> Plain:
    client = engine.client_of(args)
    return engine.conference(client, await client.join_conference(args.data("ticket")))


async def forget_contact(engine: Engine, args: Arguments) -> None:
    await engine.client_of(args).forget_contact(canonicalise(args.text("identity")))


async def conferences(engine: Engine, args: Arguments) -> list[Plain]:
    client = engine.client_of(args)
    return [engine.conference(client, conference) for conference in client.conferences()]


async def invitations(engine: Engine, args: Arguments) -> list[Plain]:
    client = engine.client_of(args)
    return [engine.invitation(client, conference) for conference in client.invitations()]


async def accept(engine: Engine, args: Arguments) -> Plain:
    invitation = engine.invitation_of(args)
    await invitation.client.accept(invitation.conference)
    engine.handles.drop(invitation)
    engine.invitations.pop(invitation.conference, None)
    return engine.conference(invitation.client, invitation.conference)


async def decline(engine: Engine, args: Arguments) -> None:
    invitation = engine.invitation_of(args)
    await invitation.conference.leave()
    engine.handles.drop(invitation)
    engine.invitations.pop(invitation.conference, None)


# -- conferences --


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


async def leave(engine: Engine, args: Arguments) -> None:
    await engine.conference_of(args).leave()


async def close_conference(engine: Engine, args: Arguments) -> None:
    engine.handles.drop(engine.conference_of(args))


async def send(engine: Engine, args: Arguments) -> Plain:
    sent = await engine.conference_of(args).send(args.data("data"))
    return {"seq": sent.seq, "epoch": sent.epoch}


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


async def media_sframe_keys(engine: Engine, args: Arguments) -> Plain:
    conference = engine.conference_of(args)
    members = [member.leaf for member in conference.members]
    return plain.sframe_keys(conference.keys.sframe(), conference.keys.own_leaf, members)


async def export_secret(engine: Engine, args: Arguments) -> bytes:
    _expect_export(engine)
    conference = engine.conference_of(args)
    return conference.keys.export(args.text("label"), args.data("context"), args.number("length"))


def _expect_export(engine: Engine) -> None:
    if not engine.export_keys:
        raise RoomkeyError("export-not-allowed", "expected load() to allow the export of keys")


METHODS: Mapping[str, Method] = {
    "setDeliveryService": set_delivery_service,
    "identities": identities,
    "createIdentity": create_identity,
    "openIdentity": open_identity,
    "release": release,
    "identity.close": close_identity,
    "identity.publishInitKeys": publish_init_keys,
    "identity.stock": stock,
    "identity.fetchInitKeys": fetch_init_keys,
    "identity.forgetContact": forget_contact,
    "identity.createConference": create_conference,
    "identity.joinConference": join_conference,
    "identity.conferences": conferences,
    "identity.invitations": invitations,
    "invitation.accept": accept,
    "invitation.decline": decline,
    "conference.snapshot": snapshot,
    "conference.invite": invite,
    "conference.ticket": ticket,
    "conference.remove": remove,
    "conference.update": update,
    "conference.leave": leave,
    "conference.close": close_conference,
    "conference.send": send,
    "conference.messages": messages,
    "conference.forget": forget,
    "conference.keyFingerprints": key_fingerprints,
    "conference.srtpKeys": srtp_keys,
    "conference.exportSecret": export_secret,
    "media.srtpKeys": media_srtp_keys,
    "media.sframeKeys": media_sframe_keys,
}
