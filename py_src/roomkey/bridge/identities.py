"""The calls of the bridge about one identity: each takes an engine and its arguments, and answers a plain value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from roomkey.bridge import plain
from roomkey.bridge.arguments import Arguments
from roomkey.bridge.engine import Engine
from roomkey.bridge.plain import Plain
from roomkey.client.contacts import InitKeys
from roomkey.client.recovery_text import recovery_text
from roomkey.client.stock import DEFAULT_TARGET
from roomkey.federation.identity import canonicalise
from roomkey.mls.policy import MEMBERS_ONLY
from roomkey.transparency.merkle import HASH_SIZE


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


# -- the identity's devices, and the key for when all are lost --


async def recovery_key(engine: Engine, args: Arguments) -> str:
    return recovery_text(await engine.client_of(args).recovery_key())


async def forget_recovery_key(engine: Engine, args: Arguments) -> None:
    await engine.client_of(args).forget_recovery_key()


async def devices(engine: Engine, args: Arguments) -> list[Plain]:
    return [plain.device(item) for item in engine.client_of(args).devices()]


async def admit_device(engine: Engine, args: Arguments) -> bytes:
    return await engine.client_of(args).admit_device(args.data("request"))


async def remove_device(engine: Engine, args: Arguments) -> None:
    await engine.client_of(args).remove_device(args.data("clientId"))


# -- others --


async def fetch_init_keys(engine: Engine, args: Arguments) -> Plain:
    fetched = await engine.client_of(args).fetch(args.texts("identities"))
    return {
        "keys": [plain.init_keys(engine.handles.add(keys), keys) for keys in fetched.keys],
        "missing": [{"identity": item.identity, "error": item.error.as_plain()} for item in fetched.missing],
    }


async def accept_reset(engine: Engine, args: Arguments) -> None:
    client, who = engine.client_of(args), canonicalise(args.text("identity"))
    await client.accept_reset(who, args.hexadecimal("manifest", HASH_SIZE))


async def fork_evidence(engine: Engine, args: Arguments) -> list[Plain]:
    return [{"origin": item.origin, "text": item.text} for item in await engine.client_of(args).fork_evidence()]


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


METHODS: Mapping[str, Callable[[Engine, Arguments], Awaitable[Any]]] = {
    "identity.close": close_identity,
    "identity.publishInitKeys": publish_init_keys,
    "identity.stock": stock,
    "identity.fetchInitKeys": fetch_init_keys,
    "identity.recoveryKey": recovery_key,
    "identity.forgetRecoveryKey": forget_recovery_key,
    "identity.devices": devices,
    "identity.admitDevice": admit_device,
    "identity.removeDevice": remove_device,
    "identity.forgetContact": forget_contact,
    "identity.acceptReset": accept_reset,
    "identity.forkEvidence": fork_evidence,
    "identity.createConference": create_conference,
    "identity.joinConference": join_conference,
    "identity.conferences": conferences,
    "identity.invitations": invitations,
    "invitation.accept": accept,
    "invitation.decline": decline,
}
