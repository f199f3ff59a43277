"""The calls of the bridge: a table of methods, plain values in and out, errors as data, events through one callback.

Every call answers; none raises. What is no `RoomkeyError` becomes "internal-error", without the exception's text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from roomkey.bridge import plain
from roomkey.bridge.arguments import Arguments
from roomkey.bridge.handles import Handles
from roomkey.bridge.plain import Plain
from roomkey.client.client import Appeared, Client, Invited, StockChanged
from roomkey.client.client import Event as ClientEvent
from roomkey.client.contacts import InitKeys
from roomkey.client.opening import create_client, open_client
from roomkey.client.stock import DEFAULT_TARGET
from roomkey.client.traffic import MeteredHost, Traffic
from roomkey.client.work import internal_error
from roomkey.conference.conference import Conference
from roomkey.conference.events import Ended, EpochChanged, Event, Failed, MembersChanged, MessageArrived
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.identity import canonicalise, check_domain
from roomkey.federation.trust import FirstUse, PinnedOnly, TrustPolicy
from roomkey.host.interface import Host

Emit = Callable[[Plain], None]
Method = Callable[["Bridge", Arguments], Awaitable[Any]]

POLICIES: Mapping[str, TrustPolicy] = {"first-use": FirstUse(), "pinned-only": PinnedOnly()}


class Invitation:
    """An invitation behind a handle; the conference has a handle of its own once it is accepted."""

    def __init__(self, client: Client, conference: Conference) -> None:
        self.client = client
        self.conference = conference


class Bridge:
    """One engine. `emit` hears events, synchronously; `call` and `cancel` are what JavaScript uses.

    Args:
        export_keys: whether `conference.srtpKeys` and `conference.exportSecret` answer.
        policy: how keys of others are proved.
    """

    def __init__(self, host: Host, emit: Emit, *, export_keys: bool = False, policy: TrustPolicy | None = None) -> None:
        self.host = host
        self.emit = emit
        self.export_keys = export_keys
        self.policy: TrustPolicy = policy or POLICIES["first-use"]
        self.handles = Handles()
        self.services: dict[str, str] = {}
        self.owners: dict[Conference, Client] = {}
        self.invitations: dict[Conference, Invitation] = {}
        self._calls: dict[int, asyncio.Task[Any]] = {}
        self._closed = False

    async def call(self, call_id: int, method: str, args: Mapping[str, Any]) -> Plain:
        """`{"ok": True, "value": ...}` or `{"ok": False, "error": ...}`."""
        work = METHODS.get(method)
        try:
            if self._closed:
                raise RoomkeyError("closed", "expected a bridge that goes on")
            if work is None:
                raise RoomkeyError("no-such-method", "expected a method of the bridge")
            task = asyncio.ensure_future(work(self, Arguments(args)))
            self._calls[call_id] = task
            try:
                return {"ok": True, "value": await task}
            finally:
                self._calls.pop(call_id, None)
        except RoomkeyError as error:
            return _failure(error)
        except asyncio.CancelledError:
            return _failure(RoomkeyError("aborted", "expected a call that was not cancelled"))
        except Exception as error:
            return _failure(internal_error(error))

    def cancel(self, call_id: int) -> None:
        """Lets go of a call. What it has made durable goes on by itself."""
        task = self._calls.get(call_id)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Closes every identity; later calls answer "closed"."""
        self._closed = True
        for task in list(self._calls.values()):
            task.cancel()
        for client in self.handles.all(Client):
            await client.close()

    # -- objects --

    def client_of(self, args: Arguments) -> Client:
        return self.handles.get(args.number("handle"), Client)

    def conference_of(self, args: Arguments) -> Conference:
        return self.handles.get(args.number("handle"), Conference)

    def invitation_of(self, args: Arguments) -> Invitation:
        return self.handles.get(args.number("handle"), Invitation)

    def adopt(self, client: Client) -> Plain:
        """Gives an opened client, and everything in it, handles."""
        handle = self.handles.add(client)
        for conference in client.conferences():
            self.conference(client, conference)
        for conference in client.invitations():
            self.invitation(client, conference)
        return plain.identity(handle, client)

    def conference(self, client: Client, conference: Conference) -> Plain:
        handle = self.handles.add(conference)
        self.owners[conference] = client
        conference.listen(lambda event: self._on_conference(conference, event))
        return plain.conference(handle, conference)

    def invitation(self, client: Client, conference: Conference) -> Plain:
        invitation = self.invitations.setdefault(conference, Invitation(client, conference))
        self.owners[conference] = client
        conference.listen(lambda event: self._on_conference(conference, event))
        return plain.invitation(self.handles.add(invitation), conference)

    def forget(self, client: Client) -> None:
        """Ends the handles of a client that was closed."""
        self.handles.drop(client)
        for conference in [item for item, owner in self.owners.items() if owner is client]:
            self.handles.drop(conference)
            del self.owners[conference]
            invitation = self.invitations.pop(conference, None)
            if invitation is not None:
                self.handles.drop(invitation)

    # -- events --

    def listener(self) -> tuple[Callable[[ClientEvent], None], Callable[[Client], None]]:
        """A listener for a client that is being opened, and what tells it which client that became."""
        opened: list[Client] = []
        early: list[ClientEvent] = []

        def listen(event: ClientEvent) -> None:
            if opened:
                self._on_client(opened[0], event)
            elif isinstance(event, Traffic):
                self._emit("roomkey", None, "traffic", plain.traffic(event))
            else:
                early.append(event)

        def became(client: Client) -> None:
            opened.append(client)
            for event in early:
                self._on_client(client, event)

        return listen, became

    def on_traffic(self, event: Traffic) -> None:
        self._emit("roomkey", None, "traffic", plain.traffic(event))

    def _on_client(self, client: Client, event: ClientEvent) -> None:
        handle = self.handles.find(client)
        if isinstance(event, Invited):
            self._emit("identity", handle, "invitation", self.invitation(client, event.conference))
        elif isinstance(event, Appeared):
            self._emit("identity", handle, "conference", self.conference(client, event.conference))
        elif isinstance(event, StockChanged):
            self._emit("identity", handle, "stock", plain.stock(event.stock, event.target))
        elif isinstance(event, Traffic):
            self._emit("identity", handle, "traffic", plain.traffic(event))
        elif isinstance(event, Failed):
            self._emit("identity", handle, "error", event.error.as_plain())

    def _on_conference(self, conference: Conference, event: Event) -> None:
        handle = self.handles.find(conference)
        if handle is None:
            client = self.owners.get(conference)
            if client is not None and isinstance(event, Failed):  # an invitation has no events of its own
                self._on_client(client, event)
            return
        if isinstance(event, EpochChanged):
            self._emit("conference", handle, "epoch", plain.conference(handle, conference))
        elif isinstance(event, MembersChanged):
            after = plain.conference(handle, conference)
            self._emit("conference", handle, "members", plain.members_changed(event, after))
        elif isinstance(event, MessageArrived):
            self._emit("conference", handle, "message", plain.message(event.message))
        elif isinstance(event, Ended):
            self._emit("conference", handle, "ended", plain.ended(event))
            if event.reason == "left":
                self.handles.drop(conference)
        elif isinstance(event, Failed):
            self._emit("conference", handle, "error", event.error.as_plain())

    def _emit(self, target: str, handle: int | None, kind: str, detail: Mapping[str, object]) -> None:
        if handle is not None or target == "roomkey":
            self.emit({"target": target, "handle": handle, "type": kind, "detail": detail})


def _failure(error: RoomkeyError) -> Plain:
    return {"ok": False, "error": error.as_plain()}


# -- roomkey --


async def set_delivery_service(bridge: Bridge, args: Arguments) -> Plain:
    """Proves that a delivery service is there, and sends everything for its domains to it from now on."""
    if (args.optional_text("fanout") or "client") != "client":
        raise RoomkeyError("bad-argument", "fanout: expected client", field="fanout")
    service = DeliveryService(MeteredHost(bridge.host, bridge.on_traffic), args.text("url"))
    description = await service.describe()
    domains = args.texts("domains") if args.has("domains") else [description.domain]
    domains = [check_domain(domain) for domain in domains]
    for client in bridge.handles.all(Client):
        await client.set_service(service.origin, domains)
    bridge.services.update(dict.fromkeys(domains, service.origin))
    return {"url": service.origin, "domain": description.domain, "domains": domains}


async def identities(bridge: Bridge, args: Arguments) -> list[Plain]:
    opened = {client.identity for client in bridge.handles.all(Client)}
    return [{"identity": name, "open": name in opened} for name in await bridge.host.identities()]


async def create_identity(bridge: Bridge, args: Arguments) -> Plain:
    name, code = canonicalise(args.text("identity")), args.text("enrolment")
    if any(client.identity == name for client in bridge.handles.all(Client)):
        raise RoomkeyError("identity-exists", "expected an identity that is new here, got one that is open")
    listen, became = bridge.listener()
    client = await create_client(bridge.host, name, code, bridge.services, bridge.policy, listen)
    value = bridge.adopt(client)
    became(client)
    return value


async def open_identity(bridge: Bridge, args: Arguments) -> Plain:
    listen, became = bridge.listener()
    name = canonicalise(args.text("identity"))
    client = await open_client(bridge.host, name, bridge.services, bridge.policy, listen)
    value = bridge.adopt(client)
    became(client)
    return value


async def release(bridge: Bridge, args: Arguments) -> None:
    item = bridge.handles.get(args.number("handle"), object)
    if isinstance(item, InitKeys):
        for client in bridge.handles.all(Client):
            client.release(item)
    elif not isinstance(item, Invitation):
        raise RoomkeyError("bad-argument", "handle: expected one of init keys or of an invitation", field="handle")
    bridge.handles.drop(item)


# -- identities --


async def close_identity(bridge: Bridge, args: Arguments) -> None:
    client = bridge.client_of(args)
    bridge.forget(client)
    await client.close()


async def publish_init_keys(bridge: Bridge, args: Arguments) -> Plain:
    client = bridge.client_of(args)
    return plain.stock(await client.publish(args.number("count", DEFAULT_TARGET)), client.target)


async def stock(bridge: Bridge, args: Arguments) -> Plain:
    client = bridge.client_of(args)
    return plain.stock(await client.stock(), client.target)


async def fetch_init_keys(bridge: Bridge, args: Arguments) -> Plain:
    fetched = await bridge.client_of(args).fetch(args.texts("identities"))
    return {
        "keys": [plain.init_keys(bridge.handles.add(keys), keys) for keys in fetched.keys],
        "missing": [{"identity": item.identity, "error": item.error.as_plain()} for item in fetched.missing],
    }


async def create_conference(bridge: Bridge, args: Arguments) -> Plain:
    client = bridge.client_of(args)
    return bridge.conference(client, await client.create_conference(args.optional_text("name") or ""))


async def conferences(bridge: Bridge, args: Arguments) -> list[Plain]:
    client = bridge.client_of(args)
    return [bridge.conference(client, conference) for conference in client.conferences()]


async def invitations(bridge: Bridge, args: Arguments) -> list[Plain]:
    client = bridge.client_of(args)
    return [bridge.invitation(client, conference) for conference in client.invitations()]


async def accept(bridge: Bridge, args: Arguments) -> Plain:
    invitation = bridge.invitation_of(args)
    await invitation.client.accept(invitation.conference)
    bridge.handles.drop(invitation)
    bridge.invitations.pop(invitation.conference, None)
    return bridge.conference(invitation.client, invitation.conference)


async def decline(bridge: Bridge, args: Arguments) -> None:
    invitation = bridge.invitation_of(args)
    await invitation.conference.leave()
    bridge.handles.drop(invitation)
    bridge.invitations.pop(invitation.conference, None)


# -- conferences --


async def snapshot(bridge: Bridge, args: Arguments) -> Plain:
    return plain.conference(args.number("handle"), bridge.conference_of(args))


async def invite(bridge: Bridge, args: Arguments) -> Plain:
    conference = bridge.conference_of(args)
    keys = [bridge.handles.get(handle, InitKeys) for handle in args.numbers("keys")]
    added = await bridge.owners[conference].invite(conference, keys)
    for item in keys:
        bridge.handles.drop(item, used=True)
    return {"epoch": added.epoch, "added": [plain.member(item) for item in added.members]}


async def remove(bridge: Bridge, args: Arguments) -> None:
    conference = bridge.conference_of(args)
    if args.has("clientId"):
        await conference.remove(client=args.data("clientId"))
    else:
        await conference.remove(identity=canonicalise(args.text("identity")))


async def update(bridge: Bridge, args: Arguments) -> None:
    await bridge.conference_of(args).update()


async def leave(bridge: Bridge, args: Arguments) -> None:
    await bridge.conference_of(args).leave()


async def close_conference(bridge: Bridge, args: Arguments) -> None:
    bridge.handles.drop(bridge.conference_of(args))


async def send(bridge: Bridge, args: Arguments) -> Plain:
    sent = await bridge.conference_of(args).send(args.data("data"))
    return {"seq": sent.seq, "epoch": sent.epoch}


async def messages(bridge: Bridge, args: Arguments) -> list[Plain]:
    found = await bridge.conference_of(args).messages(args.number("after", 0), args.number("limit", 100))
    return [plain.message(item) for item in found]


async def forget(bridge: Bridge, args: Arguments) -> None:
    await bridge.conference_of(args).forget(args.number("seq"))


async def key_fingerprints(bridge: Bridge, args: Arguments) -> Plain:
    conference, profile = bridge.conference_of(args), args.text("profile")
    return plain.fingerprints(conference.epoch, profile, conference.key_fingerprints(profile))


async def srtp_keys(bridge: Bridge, args: Arguments) -> Plain:
    _expect_export(bridge)
    return await media_srtp_keys(bridge, args)


async def media_srtp_keys(bridge: Bridge, args: Arguments) -> Plain:
    conference, profile = bridge.conference_of(args), args.text("profile")
    return plain.srtp_keys(conference.epoch, profile, conference.srtp_keys(profile))


async def media_sframe_keys(bridge: Bridge, args: Arguments) -> Plain:
    conference = bridge.conference_of(args)
    members = [member.leaf for member in conference.members]
    return plain.sframe_keys(conference.sframe_epoch(), conference.own_leaf, members)


async def export_secret(bridge: Bridge, args: Arguments) -> bytes:
    _expect_export(bridge)
    conference = bridge.conference_of(args)
    return conference.export_secret(args.text("label"), args.data("context"), args.number("length"))


def _expect_export(bridge: Bridge) -> None:
    if not bridge.export_keys:
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
    "identity.createConference": create_conference,
    "identity.conferences": conferences,
    "identity.invitations": invitations,
    "invitation.accept": accept,
    "invitation.decline": decline,
    "conference.snapshot": snapshot,
    "conference.invite": invite,
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
