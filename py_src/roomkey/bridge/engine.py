"""What the bridge holds: clients, conferences and invitations by their handles, and the events they tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roomkey.bridge import plain
from roomkey.bridge.arguments import Arguments
from roomkey.bridge.handles import Handles
from roomkey.bridge.media import MediaKeys, MediaWorker
from roomkey.bridge.plain import Plain
from roomkey.client.client import Client
from roomkey.client.events import Appeared, Invited, StockChanged
from roomkey.client.events import Event as ClientEvent
from roomkey.client.routing import Fanout
from roomkey.client.traffic import Traffic
from roomkey.conference import signals
from roomkey.conference.conference import Conference
from roomkey.conference.events import (
    Ended,
    EpochChanged,
    Event,
    Failed,
    MembersChanged,
    MessageArrived,
    SignalArrived,
    Succeeded,
    UpgradeOffered,
)
from roomkey.federation.identity import domain_of
from roomkey.federation.trust import FirstUse, PinnedOnly, TrustPolicy
from roomkey.host.interface import Host
from roomkey.transparency.verifier import Trust as LogTrust

Emit = Callable[[Plain], None]

POLICIES: Mapping[str, TrustPolicy] = {"first-use": FirstUse(), "pinned-only": PinnedOnly()}


class Invitation:
    """An invitation behind a handle; the conference has a handle of its own once it is accepted."""

    def __init__(self, client: Client, conference: Conference) -> None:
        self.client = client
        self.conference = conference


class Engine:
    """See the module. `emit` hears events, synchronously.

    Args:
        export_keys: whether `conference.srtpKeys` and `conference.exportSecret` answer.
        policy: how keys of others are proved.
        media: who gets the keys of media.
    """

    def __init__(
        self,
        host: Host,
        emit: Emit,
        *,
        export_keys: bool = False,
        policy: TrustPolicy | None = None,
        media: MediaWorker | None = None,
    ) -> None:
        self.host = host
        self.emit = emit
        self.export_keys = export_keys
        self.policy: TrustPolicy = policy or POLICIES["first-use"]
        self.handles = Handles()
        self.services: dict[str, str] = {}
        self.fanouts: dict[str, Fanout] = {}
        self.trusts: dict[str, LogTrust] = {}
        self.owners: dict[Conference, Client] = {}
        self.invitations: dict[Conference, Invitation] = {}
        self.media = None if media is None else MediaKeys(media)
        self.loaded: set[Conference] = set()  # those that were here before this program started

    # -- what the page has set --

    def services_for(self, identity: str) -> dict[str, str]:
        """Domain -> origin of the services that an identity (canonical) asks itself."""
        own = domain_of(identity)
        at_home = self.fanouts.get(own) == "server"
        return {domain: origin for domain, origin in self.services.items() if not at_home or domain == own}

    async def set_trust(self, domain: str, trust: LogTrust) -> None:
        """From now on a domain's people are believed by this log alone, by all identities."""
        self.trusts[domain] = trust
        for client in self.handles.all(Client):
            await client.set_trust(domain, trust)

    # -- objects --

    def client_of(self, args: Arguments) -> Client:
        return self.handles.get(args.number("handle"), Client)

    def conference_of(self, args: Arguments) -> Conference:
        return self.handles.get(args.number("handle"), Conference)

    def invitation_of(self, args: Arguments) -> Invitation:
        return self.handles.get(args.number("handle"), Invitation)

    async def adopt(self, client: Client) -> Plain:
        """Gives an opened client, and everything in it, handles."""
        domain = domain_of(client.identity)
        if domain in self.fanouts:  # what the page said outweighs what the identity remembers
            try:
                await client.set_service(self.services[domain], [domain], self.fanouts[domain])
            except BaseException:
                await client.close()
                raise
        handle = self.handles.add(client)
        for conference in client.conferences():
            self.conference(client, conference)
            self.loaded.add(conference)
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
            self.drop(conference)
            self.loaded.discard(conference)
            del self.owners[conference]
            invitation = self.invitations.pop(conference, None)
            if invitation is not None:
                self.handles.drop(invitation)

    def forget_gone(self, client: Client) -> None:
        """Ends the handles of conferences whose place another took: by a new invitation, or by a ticket."""
        for conference in [item for item, owner in self.owners.items() if owner is client and item.gone]:
            self.drop(conference)
            self.loaded.discard(conference)
            del self.owners[conference]

    def drop(self, conference: Conference) -> None:
        """Ends a conference's handle, and the media worker's hold on its keys."""
        if self.media is not None:
            self.media.end(conference)
        self.handles.drop(conference)

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
            self.forget_gone(client)
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
        if self.media is not None:
            self.media.on_event(handle, conference, event)
        if isinstance(event, EpochChanged):
            self._emit("conference", handle, "epoch", plain.conference(handle, conference))
        elif isinstance(event, MembersChanged):
            after = plain.conference(handle, conference)
            self._emit("conference", handle, "members", plain.members_changed(event, after))
        elif isinstance(event, MessageArrived):
            self._emit("conference", handle, "message", plain.message(event.message))
        elif isinstance(event, SignalArrived) and event.kind != signals.STREAMS:  # those are the media worker's
            self._emit("conference", handle, "signal", plain.signal(event))
        elif isinstance(event, Succeeded):
            self._emit("conference", handle, "successor", plain.succeeded(event, plain.conference(handle, conference)))
        elif isinstance(event, UpgradeOffered):
            self._emit("conference", handle, "upgrade", {"suite": plain.suite(event.suite)})
        elif isinstance(event, Ended):
            self._emit("conference", handle, "ended", plain.ended(event))
            if event.reason == "left":
                self.drop(conference)
        elif isinstance(event, Failed):
            self._emit("conference", handle, "error", event.error.as_plain())

    def _emit(self, target: str, handle: int | None, kind: str, detail: Mapping[str, object]) -> None:
        if handle is not None or target == "roomkey":
            self.emit({"target": target, "handle": handle, "type": kind, "detail": detail})
