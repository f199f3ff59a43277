"""Who the members of a group are, and whether that is believed (`federation.members`): by our policy, or where logs
judge them by their manifests:

1. One of the last hour is good, if it lists the member; else the log is asked.
2. While the log does not answer, or takes too long (`patience`), one of the last day serves, if it lists the member.
3. What is not proved so is "log-unproven", with the member in details `identity`: it is neither believed nor refused,
   and what brought it is taken up again. So is what a log says and does not prove: that is the log's doing, and no word
   about the member.
4. A proof that does not list the member refuses it, if it is of now.
5. Another client under our own name is judged by our own manifest.
6. Who was proved once stays, until a later proof, or our own manifest, does not list them any more (`unlisted`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from roomkey.client.judging import ByIdentity, ByManifest
from roomkey.client.log_records import PIN, ProvedManifest
from roomkey.client.logs import RECENT, STANDS_IN, Logs, Proof
from roomkey.client.patience import Patience
from roomkey.conference.changes import Changes
from roomkey.conference.events import Member
from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import ClientClaim, read_claim
from roomkey.federation.members import check_members
from roomkey.federation.negotiation import Offer, check_not_downgraded, leaf_offer
from roomkey.federation.trust import ClientPin, ContactPin, TrustPolicy
from roomkey.mls.group import Group
from roomkey.mls.leaf_node import LeafNode
from roomkey.transparency.manifest import Manifest

# Our own manifest, which lists these credential keys. Errors: "not-in-manifest", "log-unproven" and more.
OwnManifest = Callable[[Collection[bytes]], Awaitable[Manifest]]

# What is told of a member as it is; everything else that a log is wrong with is "log-unproven" (3).
_TOLD: Final = ("not-in-manifest", "identity-reset", "log-fork", "log-unproven")


class Admitting:
    """See the module.

    Args:
        own: our identity. own_manifest: proves that keys are of our own devices.
        own_newest: our manifest as we said it last; None without a log.
        pin: what we hold of a contact.
    """

    def __init__(
        self,
        crypto: CryptoProvider,
        logs: Logs,
        now: Callable[[], float],
        policy: TrustPolicy,
        own: str,
        own_manifest: OwnManifest,
        own_newest: Callable[[], Manifest | None],
        pin: Callable[[str], Awaitable[ContactPin | None]],
    ) -> None:
        self._crypto = crypto
        self._logs = logs
        self._patience = Patience(logs)
        self._now = now
        self._policy = policy
        self._own = own
        self._own_manifest = own_manifest
        self._own_newest = own_newest
        self._pin = pin

    async def close(self) -> None:
        """Asks logs no further."""
        await self._patience.close()

    async def admit(self, group: Group, leaves: Sequence[tuple[int, LeafNode]], changes: Changes) -> list[Member]:
        """Proves who these leaves are; see `Admission.admit`. Our own leaf is ours because we hold its keys."""
        if not leaves:
            return []
        offers = [_offer(group, leaf) for _, leaf in group.tree.members()]
        if len(offers) > 1:  # alone, a creator may choose for those who are still to come
            check_not_downgraded(group.suite.number, offers)
        claims = {index: read_claim(group.suite, leaf) for index, leaf in leaves}
        others = [(index, leaf) for index, leaf in leaves if index != group.own_leaf]
        names = {claims[index].identity for index, _ in others}
        pins = {name: pin for name in names if (pin := await self._pin(name)) is not None}
        strangers = {name for name in names - pins.keys() if not self._logs.judges(name)}
        if self._own in strangers:  # first use is for strangers: we know our own clients
            raise RoomkeyError("identity-changed", "client: expected ours under our identity, got another")
        now = self._now()
        manifests = await self._manifests([(claims[index], leaf) for index, leaf in others], now)
        policy = ByIdentity(manifests, self._policy)
        proved = await check_members(self._crypto, group.suite, [leaf for _, leaf in others], policy, pins, now)
        for name, trust in proved.trust.items():
            changes.put(PIN + name, trust.pin)
        ours = [index for index, _ in leaves if index == group.own_leaf]
        members = [_member(index, claims[index], "self", int(now), own=True) for index in ours]
        for (index, _), claim in zip(others, proved.clients, strict=True):
            trust = proved.trust[claim.identity]
            members.append(_member(index, claim, trust.by, trust.since, own=False))
        return members

    async def unlisted(self, members: Sequence[Member]) -> list[int]:
        """The leaves of those whom their own manifest no longer lists (6); see `Admission.unlisted`."""
        leaves = []
        for member in members:
            if member.own:
                continue
            manifest = self._own_newest() if member.identity == self._own else await self._logs.proved(member.identity)
            if manifest is not None and not any(
                item.key.public_key == member.identity_key for item in manifest.clients
            ):
                leaves.append(member.leaf)
        return leaves

    async def _manifests(self, members: Sequence[tuple[ClientClaim, LeafNode]], now: float) -> Mapping[str, Manifest]:
        """The manifests of all members whom logs judge, by identity.

        Errors: "not-in-manifest", "identity-reset"; "log-unproven", "log-fork"; "storage-failed".
        """
        clients: dict[str, list[ClientPin]] = {}
        for claim, leaf in members:
            if self._logs.judges(claim.identity):
                can = leaf.capabilities
                clients.setdefault(claim.identity, []).append(ClientPin.of(claim, can.versions, can.cipher_suites))
        manifests: dict[str, Manifest] = {}
        # 5.
        if self._own in clients:
            ours = [client.public_key for client in clients.pop(self._own)]
            manifests[self._own] = await self._own_manifest(ours)
        # 1. and 2.
        proofs = await self._patience.prove(clients, within=RECENT, stands_in=STANDS_IN)
        old = [
            name for name, proof in proofs.items() if not _is_of(proof, now) and not _lists(proof, clients[name], now)
        ]
        # 3. and 4.
        proofs |= await self._patience.prove(old)
        failures = {proof.code: (who, proof) for who, proof in proofs.items() if isinstance(proof, RoomkeyError)}
        for code in _TOLD:
            if code in failures:
                raise about(*failures[code])
        for who, failure in failures.values():
            raise RoomkeyError("log-unproven", failure.text, reason=failure.code, identity=who) from failure
        return manifests | {who: proof.manifest for who, proof in proofs.items() if isinstance(proof, ProvedManifest)}


def about(who: str, failure: RoomkeyError) -> RoomkeyError:
    """The failure to prove somebody, which names them."""
    details = {**failure.details, "identity": who}
    return RoomkeyError(failure.code, failure.text, retry_after=failure.retry_after, **details)


def _is_of(proof: Proof, now: float) -> bool:
    """Whether a proof, or the lack of one, is of now."""
    return isinstance(proof, RoomkeyError) or proof.proved >= int(now)


def _lists(proof: Proof, clients: Sequence[ClientPin], now: float) -> bool:
    if isinstance(proof, RoomkeyError):
        return False
    try:
        ByManifest(proof.manifest).judge(proof.manifest.identity.decode("ascii"), None, clients, now)
    except RoomkeyError:
        return False
    return True


def _member(leaf: int, claim: ClientClaim, by: str, since: int, *, own: bool) -> Member:
    return Member(claim.identity, claim.client_id, claim.public_key, leaf, by, since, own)


def _offer(group: Group, leaf: LeafNode) -> Offer:
    return leaf_offer(read_claim(group.suite, leaf).identity, leaf.capabilities)
