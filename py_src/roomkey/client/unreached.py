"""Devices that a log lists of people who are in a conference, and that are not in it themselves."""

from __future__ import annotations

from collections.abc import Collection

from roomkey.client.log_records import ProvedManifest
from roomkey.client.logs import Logs
from roomkey.conference.events import Member


async def unreached(logs: Logs, members: Collection[Member]) -> tuple[str, ...]:
    """The people among these members, but ourselves, of whom a log proves clients that are not among them. Of whom
    nothing is proved now nothing is said, and without a log nobody could know.

    Errors: "storage-failed".
    """
    present = {member.identity_key for member in members}
    people = {member.identity for member in members if not member.own}
    people -= {member.identity for member in members if member.own}
    proofs = await logs.prove(sorted(person for person in people if logs.judges(person)))
    return tuple(
        person
        for person, proof in proofs.items()
        if isinstance(proof, ProvedManifest)
        and not {client.key.public_key for client in proof.manifest.clients} <= present
    )
