"""Whose keys they are, by the manifest that a log proved: step 5 of `federation.proof` and 4 of `federation.members`.

1. A client that the manifest does not list: `not-in-manifest`.
2. A client that offers less than the manifest lists for it: `suite-withheld`, because somebody may be holding the
   better keys back.
3. A listed client that did not come is named in `absent`: a service can withhold a device, and people should see it.

The pin says no more than since when we know the person: what is believed of them the log says, each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.federation.trust import ClientPin, ContactPin, Trust, TrustPolicy, pin_of
from roomkey.mls.version import MLS10
from roomkey.transparency.devices import client_id
from roomkey.transparency.manifest import Manifest, ManifestClient


@dataclass(frozen=True)
class ByManifest:
    """Believes the log about one identity. It is a `TrustPolicy`."""

    manifest: Manifest

    def judge(self, identity: str, pin: ContactPin | None, clients: Sequence[ClientPin], now: float) -> Trust:
        """Errors: "not-in-manifest", "suite-withheld"; "bad-argument" for another identity's manifest."""
        if self.manifest.identity != identity.encode("ascii"):
            raise RoomkeyError("bad-argument", "manifest: expected this contact's, got another's")
        listed = {(item.key.algorithm, item.key.public_key): item for item in self.manifest.clients}
        for client in clients:
            item = listed.get((client.algorithm, client.public_key))
            if item is None:
                text = f"client: expected one of {len(listed)} in the manifest, got another"
                raise RoomkeyError("not-in-manifest", text)
            _check_offer(item, client)
        came = {client.public_key for client in clients}
        absent = tuple(client_id(item.key) for item in self.manifest.clients if item.key.public_key not in came)
        since = int(now) if pin is None else pin.since
        return Trust("transparency", since, pin_of(identity, clients, since), absent)


@dataclass(frozen=True)
class ByIdentity:
    """Believes a log about those whose manifests are at hand, and the other policy about all others."""

    manifests: Mapping[str, Manifest]
    others: TrustPolicy

    def judge(self, identity: str, pin: ContactPin | None, clients: Sequence[ClientPin], now: float) -> Trust:
        """Errors: those of the policy that counts."""
        manifest = self.manifests.get(identity)
        policy = self.others if manifest is None else ByManifest(manifest)
        return policy.judge(identity, pin, clients, now)


def _check_offer(listed: ManifestClient, client: ClientPin) -> None:
    for what, wanted, has, known in (
        ("version", listed.versions, client.versions, {MLS10}),
        ("suite", listed.suites, client.cipher_suites, set(SUITES)),
    ):
        lacking = sorted(set(wanted) & known - set(has))
        if lacking:
            text = f"{what}: expected {sorted(wanted)} as in the manifest, got {list(has)}"
            raise RoomkeyError("suite-withheld", text, **{what: lacking[0]})
