"""What a log takes as an identity's next manifest: the chain's rules. Who may send one at all, `manifests` says.

1. It is of a name of this domain, and signed by its signer.
2. The version that it says, in the same bytes, is here already: fine, nothing happens.
3. It is version 1 of a name that has none ("identity-taken" otherwise), or the next version and names the last one's
   hash ("manifest-conflict").
4. Its signer is a client of the version before, or its recovery key; of version 1, a client of its own. For a reset,
   which the operator allowed: a client of its own version ("manifest-refused").
5. The name had fewer than MAX_A_DAY versions within the last day: each is for good, and every contact reads it. As many
   again are kept for the recovery key, and resets are not counted, so that a stolen device cannot use up the owner's.
"""

from __future__ import annotations

from typing import Final

from roomkey.crypto.provider import CryptoProvider
from roomkey.errors import RoomkeyError
from roomkey.federation.identity import check_identity, domain_of
from roomkey.transparency import vrf
from roomkey.transparency.manifest import OPENING_SIZE, Manifest, SignedManifest, check_chain, commitment

from roomkey_delivery.log.store import LogStore, Name, Stored

MAX_A_DAY: Final = 20
DAY: Final = 86400  # seconds


async def check_signed(crypto: CryptoProvider, signed: SignedManifest, domain: str) -> str:
    """1. The identity. Errors: "manifest-refused"."""
    manifest = signed.manifest
    try:
        identity = check_identity(manifest.identity)
        await check_chain(crypto, manifest.identity, None, [signed])
    except RoomkeyError as error:
        raise _refused(error.text) from error
    if domain_of(identity) != domain:
        raise _refused("expected a name of this domain")
    return identity


def submit(
    store: LogStore, crypto: CryptoProvider, vrf_secret: bytes, identity: str, signed: SignedManifest, now: float,
    *, reset: bool,
) -> bool:  # fmt: skip
    """2. to 5., and stores it; inside a writing transaction. Whether it is new here.

    Errors: "identity-taken", "manifest-conflict", "manifest-refused", "too-many-requests".
    """
    manifest = signed.manifest
    if store.manifest(identity, manifest.version) == signed.encode():  # 2.
        return False
    known = store.newest(identity)
    _check_next(None if known is None else known.signed.manifest, signed, reset=reset)  # 3. and 4.
    recovers = known is not None and signed.signer.hash() == known.signed.manifest.recovery
    allowed = 2 * MAX_A_DAY if recovers else MAX_A_DAY
    if not reset and store.received_since(identity, now - DAY) >= allowed:  # 5.
        text = f"expected at most {allowed} versions of a name in a day"
        raise RoomkeyError("too-many-requests", text, retry_after=DAY / MAX_A_DAY)
    if known is None:
        proof = vrf.prove(crypto, vrf_secret, manifest.identity)
        store.add_name(identity, Name(vrf.index_of(vrf.proof_to_hash(proof)), proof))
    opening = crypto.random(OPENING_SIZE)
    store.add_manifest(identity, Stored(signed, opening), commitment(opening, manifest), now)
    return True


def _check_next(known: Manifest | None, signed: SignedManifest, *, reset: bool) -> None:
    manifest, signer = signed.manifest, signed.signer
    if known is not None and manifest.version == 1:
        raise RoomkeyError("identity-taken", "expected a name that is not in the log")
    expected = 1 if known is None else known.version + 1
    if manifest.version != expected:
        raise RoomkeyError("manifest-conflict", f"expected version {expected}, got {manifest.version}")
    if known is not None and manifest.previous != known.hash():
        raise RoomkeyError("manifest-conflict", "expected a manifest that follows on the newest")
    begins = known is None or reset
    if not (begins and manifest.has_client(signer)) and not (known is not None and known.lets_follow(signer)):
        raise _refused("expected a signature by a client of the version before, or by its recovery key")


def _refused(text: str) -> RoomkeyError:
    return RoomkeyError("manifest-refused", text)
