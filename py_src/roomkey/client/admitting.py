"""The manifests by which members of a group are judged, where logs judge them.

1. One of the last hour is good, if it lists the member; else the log is asked.
2. While the log does not answer, one of the last day serves, if it lists the member.
3. What is not proved so is "log-unproven": the member is neither believed nor refused, and what brought it is taken up
   again. So is what a log says and does not prove: that is the log's doing, and no word about the member.
4. A proof that does not list the member refuses it, if it is of now.
5. Another client under our own name is judged by our own manifest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from roomkey.client.judging import ByManifest
from roomkey.client.log_records import ProvedManifest
from roomkey.client.logs import RECENT, STANDS_IN, Logs, Proof
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import ClientClaim
from roomkey.federation.trust import ClientPin
from roomkey.mls.leaf_node import LeafNode
from roomkey.transparency.manifest import Manifest

# Our own manifest, which lists these credential keys. Errors: "not-in-manifest", "log-unproven" and more.
OwnManifest = Callable[[Collection[bytes]], Awaitable[Manifest]]

# What is told of a member as it is; everything else that a log is wrong with is "log-unproven" (3).
_TOLD: Final = ("not-in-manifest", "identity-reset", "log-fork", "log-unproven")


async def proved_manifests(
    logs: Logs, own: str, own_manifest: OwnManifest, members: Sequence[tuple[ClientClaim, LeafNode]], now: float
) -> Mapping[str, Manifest]:
    """The manifests of all members whom logs judge, by identity; by whose others' leaves are judged is no matter here.

    Errors: "not-in-manifest", "identity-reset"; "log-unproven", "log-fork"; "storage-failed".
    """
    clients: dict[str, list[ClientPin]] = {}
    for claim, leaf in members:
        if logs.judges(claim.identity):
            can = leaf.capabilities
            clients.setdefault(claim.identity, []).append(ClientPin.of(claim, can.versions, can.cipher_suites))
    manifests: dict[str, Manifest] = {}
    # 5.
    if own in clients:
        manifests[own] = await own_manifest([client.public_key for client in clients.pop(own)])
    # 1.
    proofs = await logs.prove(clients, within=RECENT, stands_in=STANDS_IN)
    old = [name for name, proof in proofs.items() if not _is_of(proof, now) and not _lists(proof, clients[name], now)]
    # 4., and 2. and 3. for who is asked for again
    proofs |= await logs.prove(old)
    failures = {proof.code: proof for proof in proofs.values() if isinstance(proof, RoomkeyError)}
    for code in _TOLD:
        if code in failures:
            raise failures[code]
    for failure in failures.values():
        raise RoomkeyError("log-unproven", failure.text, reason=failure.code) from failure
    return manifests | {name: proof.manifest for name, proof in proofs.items() if isinstance(proof, ProvedManifest)}


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
