"""One delivery service as a client sees it (wire.md section 5; the wire itself: web/docs/delivery-http.md).

Nothing that comes back from here is proved: sets are unverified (`init_keys` verifies), messages and commits are
bytes for the MLS engine. Every call may raise what `calls` lists: "timeout", "service-unreachable",
"origin-not-allowed", "service-error", "clock-skew", "request-refused", "unknown-client", "too-many-requests",
"service-unavailable"; more where a method says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.federation import inbox
from roomkey.federation.calls import ClientKey, ServiceCaller, body_of, json_object, problem_of, service_origin
from roomkey.federation.delivery_messages import (
    COMMIT,
    COMMITS,
    COMMITS_READ,
    DELIVERY,
    GROUP,
    INIT_KEY_SETS,
    MANIFEST,
    CommitsRead,
    CommitSubmission,
    GroupRegistration,
    MessageDelivery,
    StoredCommit,
    init_key_bundles,
    init_key_requests,
    init_key_sets,
)
from roomkey.federation.description import ServiceDescription, describe
from roomkey.federation.identity import check_domain
from roomkey.federation.init_keys import InitKeySet, InitKeySetBundle
from roomkey.federation.messages import Credential, GetUserInitKeyRequest
from roomkey.federation.requests import base64url, from_base64url
from roomkey.federation.service_answers import commits_of, decoding, number_of, text_of
from roomkey.host.interface import Host

# Characters: a manifest of 32 clients has under 4 kB (`transparency.manifest`).
MAX_MANIFEST_TEXT = 1 << 14
MAX_CLAIM = 50  # identities in one claim: a response stays near 1 MB


class Stock(NamedTuple):
    """How many init-key sets of this client wait at the service; `expires`: Unix seconds at which the first of them
    does.
    """

    sets: int
    last_resort: bool
    expires: int | None


class Accepted(NamedTuple):
    """The commit is the one of its epoch, now or since an earlier submission of the same bytes."""

    epoch: int


class Conflict(NamedTuple):
    """Another commit is the one of the epoch: the stored commits from that epoch on, consecutive, maybe not yet all."""

    commits: tuple[StoredCommit, ...]


class DeliveryService:
    """The service at one address; with a client key also what needs a signature.

    Args:
        url: the service's address: https, or http on loopback. Errors: "invalid-address".
        client: who signs; None is enough for `describe`.
        relay: the domain whose service is meant, where the one at `url`, the client's home service, asks it for us
            (server fanout). Claims, messages, commits and the log's answers go that way; what a client does with its
            own service alone is "bad-argument". What comes back proves no more than from anybody else.
    """

    def __init__(self, host: Host, url: str, client: ClientKey | None = None, relay: str | None = None) -> None:
        self.origin = service_origin(url)
        self.host = host
        self.client = client
        self.relay = None if relay is None else check_domain(relay)
        self._caller = ServiceCaller(host, self.origin, client, self.relay)

    def signed_by(self, client: ClientKey) -> DeliveryService:
        """The same service, with requests signed by `client`."""
        return DeliveryService(self.host, self.origin, client, self.relay)

    def relaying(self, domain: str) -> DeliveryService:
        """The service of another domain, asked through this one."""
        return DeliveryService(self.host, self.origin, self.client, domain)

    async def describe(self) -> ServiceDescription:
        """Asks who is there, and so proves that it is a delivery service.

        Errors: "not-a-delivery-service" if something answers that is none; "origin-not-allowed" if one says so itself;
        the host's own if nothing answers.
        """
        return await describe(self.host, self.origin)

    async def ask(self, path: str, body: bytes, content_type: str, accept: str) -> bytes:
        """What the service answers to a signed POST, of media type `accept`: for what has no method here, as questions
        to a log.
        """
        return await self._caller.call("POST", path, body, content_type, accept=accept)

    async def enrol(
        self, credential: Credential, code: str | None, *, manifest: bytes | None = None, reset: bool = False
    ) -> int | None:
        """Binds the credential's identity to its key. The same again is no error; the service must be the identity's
        own.

        Args:
            code: the one-time code; None for a further client that an older one has admitted (`admit`, or a manifest
                that lists it), and for a recovery.
            manifest: a SignedManifest that lists the client, for a service that keeps a log; others pass it over.
            reset: the code lets the identity begin anew.
        Returns: the version of the manifest that lists the client; None where there is no log.
        Errors: "enrolment-refused", "already-enrolled", "identity-taken", "manifest-refused", "manifest-conflict",
        "bad-argument" if the credential is not the signer's.
        """
        basic = credential.require_basic()
        if basic.public_key != self._signer().key.public or basic.identity != self._signer().identity.encode("ascii"):
            raise RoomkeyError("bad-argument", "expected the credential of the client that signs")
        body: dict[str, Any] = {"credential": base64url(credential.encode())}
        if code is not None:
            body["code"] = code
        if manifest is not None:
            body["manifest"] = base64url(manifest)
        if reset:
            body["reset"] = True
        said = await self._caller.call_json("POST", "/v1/clients", body)
        return None if said.get("version") is None else number_of(said, "version")

    async def newest_manifest(
        self, credential: Credential, *, code: str | None = None, recovery: tuple[bytes, bytes] | None = None
    ) -> bytes | None:
        """The newest SignedManifest of the credential's identity, for this client to follow; None: nothing is logged.

        Args:
            code: one that lets the identity begin anew; or
            recovery: the recovery key as manifests name it (ManifestKey), and its proof for this client.
        Errors: "manifest-refused", "enrolment-refused", "already-enrolled".
        """
        body: dict[str, Any] = {"credential": base64url(credential.encode())}
        if code is not None:
            body["code"] = code
        if recovery is not None:
            body["recovery"], body["proof"] = map(base64url, recovery)
        said = await self._caller.call_json("POST", "/v1/clients/recovery", body)
        if said.get("manifest") is None:
            return None
        with decoding():
            return from_base64url(text_of(said, "manifest", MAX_MANIFEST_TEXT))

    async def submit_manifest(self, manifest: bytes) -> None:
        """Hands in the next SignedManifest of this client's identity. The same again is no error.

        Errors: "manifest-refused", "manifest-conflict", "identity-taken".
        """
        await self._caller.call("POST", "/v1/log/manifests", manifest, MANIFEST)

    async def admit(self, client: bytes) -> None:
        """Lets a further client (its id, 32 bytes) enrol under this client's identity, within an hour."""
        await self._caller.call_json("POST", "/v1/clients/admissions", {"client": base64url(client)})

    async def publish(self, sets: Sequence[InitKeySet]) -> Stock:
        """Puts init-key sets of this client up to be claimed, all or none; those that are there already change nothing.

        Errors: "not-yours", "invalid-set", "set-expired", "set-conflict", "stock-full", "request-too-large".
        """
        body = init_key_sets.encode(tuple(sets))
        return _stock(json_object(await self._caller.call("POST", "/v1/user-init-keys", body, INIT_KEY_SETS)))

    async def stock(self) -> Stock:
        """What is still there of this client's sets."""
        return _stock(await self._caller.call_json("GET", "/v1/user-init-keys"))

    async def claim(self, requests: Sequence[GetUserInitKeyRequest]) -> tuple[InitKeySetBundle, ...]:
        """One set of every client of each identity asked for: unverified, each handed out once. Nobody and nothing:
        no bundle.

        Args:
            requests: at most `MAX_CLAIM`, each identity once. Errors: "bad-argument".
        """
        if not 0 < len(requests) <= MAX_CLAIM or len({r.identity for r in requests}) != len(requests):
            raise RoomkeyError("bad-argument", f"expected 1 to {MAX_CLAIM} requests for different identities")
        body = init_key_requests.encode(tuple(requests))
        answer = await self._caller.call("POST", "/v1/user-init-keys/claim", body, INIT_KEY_SETS, accept=INIT_KEY_SETS)
        with decoding():
            return init_key_bundles.decode(answer)

    async def send(self, message: bytes, clients: Sequence[bytes]) -> tuple[bytes, ...]:
        """Puts one MLSMessage into the inboxes of these clients (ids, 32 bytes). The same message again is delivered
        once.

        Returns: the clients that the service does not know; all others have it. Through a relay: none, and the message
        is in the home service's keeping, which delivers it when it can.
        Errors: "inbox-full" (all others have it then), "request-too-large"; through a relay "queue-full".
        """
        body = MessageDelivery(tuple(clients), message).encode()
        answer = json_object(await self._caller.call("POST", "/v1/messages", body, DELIVERY))
        if self.relay is not None:
            return ()
        unknown = answer.get("unknown")
        if not isinstance(unknown, list) or not all(isinstance(name, str) for name in unknown):
            raise RoomkeyError("service-error", "unknown: expected a list of client ids")
        with decoding():
            return tuple(from_base64url(name) for name in unknown)

    def inbox(
        self,
        on_state: Callable[[RoomkeyError | None], None] | None = None,
        on_current: Callable[[], None] | None = None,
    ) -> AsyncGenerator[inbox.InboxMessage, None]:
        """This client's messages (sequence, message) as they come, from the oldest not acknowledged on; it does not
        end by itself.

        Reconnects by itself; `on_state` hears None at each connection and the error at each loss, `on_current` that
        nothing more waits for the moment, after the caller has taken what did. Each message comes
        once from one iterator, in sequence; after a restart those not acknowledged come again. Close it with
        `aclose()`.
        Errors: those that waiting cannot mend, as "unknown-client".
        """
        self._signer()
        return inbox.messages(self._caller, on_state, on_current)

    async def acknowledge(self, sequence: int) -> None:
        """Lets the service forget all messages up to `sequence`, which are durable here."""
        await self._caller.call_json("POST", "/v1/inbox/acknowledgements", {"through": sequence})

    async def register_group(self, group_id: bytes, token_hash: bytes, epoch: int = 0) -> None:
        """Opens the group's register of commits here. `token_hash`: SHA-256 of the token of `epoch`. The same again
        is no error.

        Errors: "group-exists".
        """
        body = GroupRegistration(group_id, epoch, token_hash).encode()
        await self._caller.call("POST", "/v1/groups", body, GROUP)

    async def submit_commit(
        self, group_id: bytes, epoch: int, commit: bytes, token: bytes, next_token: bytes
    ) -> Accepted | Conflict:
        """Asks that `commit` (MLSMessage) be the one that ends `epoch`.

        Args:
            token: 32 bytes, MLS-Exporter("roomkey ordering 1.0", "", 32) of `epoch`.
            next_token: the same of the epoch that the commit makes; only its hash is sent.
        Errors: "wrong-token" (unknown group, an epoch the service does not know, or another token),
        "request-too-large".
        """
        body = CommitSubmission(group_id, epoch, token, hashlib.sha256(next_token).digest(), commit).encode()
        answer = await self._caller.response("POST", "/v1/commits", body, COMMIT)
        if answer.status == 409:
            return Conflict(commits_of(body_of(answer, COMMITS), epoch))
        if not 200 <= answer.status < 300:
            raise problem_of(answer)
        body_of(answer, "application/json")
        return Accepted(epoch)

    async def read_commits(self, group_id: bytes, epoch: int, token: bytes) -> tuple[StoredCommit, ...]:
        """The stored commits that ended `epoch` and later ones; none if `epoch` is the current one. Errors:
        "wrong-token".
        """
        body = CommitsRead(group_id, epoch, token).encode()
        return commits_of(
            await self._caller.call("POST", "/v1/commits/read", body, COMMITS_READ, accept=COMMITS), epoch
        )

    def _signer(self) -> ClientKey:
        if self.client is None:
            raise RoomkeyError("bad-argument", "expected a service that a client signs for")
        return self.client


def _stock(said: dict[str, Any]) -> Stock:
    last_resort, expires = said.get("lastResort"), said.get("expires")
    if not isinstance(last_resort, bool):
        raise RoomkeyError("service-error", "lastResort: expected true or false")
    return Stock(number_of(said, "sets"), last_resort, None if expires is None else number_of(said, "expires"))
