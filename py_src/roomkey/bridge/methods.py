"""The calls of the bridge, in a table: each takes an engine and its arguments, and answers a plain value or raises.

Those of the whole worker stand here, those of one identity in `identities`, those of one conference in `conferences`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from roomkey.bridge import conferences as of_conference
from roomkey.bridge import identities as of_identity
from roomkey.bridge import media as of_media
from roomkey.bridge.arguments import Arguments
from roomkey.bridge.engine import Engine, Invitation
from roomkey.bridge.plain import Plain
from roomkey.client.client import Client
from roomkey.client.contacts import InitKeys
from roomkey.client.opening import create_client, open_client, prepare_device
from roomkey.client.recovery_text import read_recovery_text
from roomkey.client.routing import fanout_of
from roomkey.client.traffic import MeteredHost
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.identity import canonicalise, check_domain
from roomkey.federation.negotiation import CHOICES, Choice
from roomkey.transparency.trust_text import read_trust

Method = Callable[[Engine, Arguments], Awaitable[Any]]


async def set_delivery_service(engine: Engine, args: Arguments) -> Plain:
    """Proves that a delivery service is there, and sends everything for its domains to it from now on."""
    fanout = fanout_of(args.optional_text("fanout") or "client")
    transparency = args.mapping("transparency") if args.has("transparency") else None
    service = DeliveryService(MeteredHost(engine.host, engine.on_traffic), args.text("url"))
    description = await service.describe()
    domains = args.texts("domains") if args.has("domains") else [description.domain]
    domains = [check_domain(domain) for domain in domains]
    if transparency is not None:
        trust = read_trust(transparency, domains)
        for domain in domains:
            await engine.set_trust(domain, trust)
    for client in engine.handles.all(Client):
        await client.set_service(service.origin, domains, fanout)
    engine.services.update(dict.fromkeys(domains, service.origin))
    engine.fanouts.update(dict.fromkeys(domains, fanout))
    return {"url": service.origin, "domain": description.domain, "domains": domains, "fanout": fanout}


async def set_transparency(engine: Engine, args: Arguments) -> None:
    """From now on the people of a domain are believed by its log alone."""
    domain = check_domain(args.text("domain"))
    await engine.set_trust(domain, read_trust(args.mapping("transparency"), [domain]))


async def identities(engine: Engine, args: Arguments) -> list[Plain]:
    opened = {client.identity for client in engine.handles.all(Client)}
    return [{"identity": name, "open": name in opened} for name in await engine.host.identities()]


async def create_identity(engine: Engine, args: Arguments) -> Plain:
    name, typed = canonicalise(args.text("identity")), args.optional_text("recoveryKey")
    code, reset, choice = args.optional_text("enrolment"), args.flag("reset"), _choice_of_suites(args)
    recovery = None if typed is None else read_recovery_text(typed)
    if any(client.identity == name for client in engine.handles.all(Client)):
        raise RoomkeyError("identity-exists", "expected an identity that is new here, got one that is open")
    listen, became = engine.listener()
    client = await create_client(
        engine.host, name, code, engine.services_for(name), engine.policy, listen,
        choice=choice, trusts=engine.trusts, reset=reset, recovery=recovery,
    )  # fmt: skip
    value = await engine.adopt(client)
    became(client)
    return value


async def prepare_device_of(engine: Engine, args: Arguments) -> bytes:
    return await prepare_device(engine.host, canonicalise(args.text("identity")), _choice_of_suites(args))


def _choice_of_suites(args: Arguments) -> Choice:
    wanted = args.optional_text("suites") or "standard"
    for choice in CHOICES:
        if choice == wanted:
            return choice
    raise RoomkeyError("bad-argument", f"suites: expected {' or '.join(CHOICES)}, got another text", field="suites")


async def open_identity(engine: Engine, args: Arguments) -> Plain:
    listen, became = engine.listener()
    name = canonicalise(args.text("identity"))
    services = engine.services_for(name)
    client = await open_client(engine.host, name, services, engine.policy, listen, trusts=engine.trusts)
    value = await engine.adopt(client)
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


METHODS: Mapping[str, Method] = {
    "setDeliveryService": set_delivery_service,
    "setTransparency": set_transparency,
    "identities": identities,
    "createIdentity": create_identity,
    "openIdentity": open_identity,
    "prepareDevice": prepare_device_of,
    "release": release,
    **of_identity.METHODS,
    **of_conference.METHODS,
    **of_media.METHODS,
}
