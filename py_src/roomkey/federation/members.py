"""What every member proves of the leaves of a group: at its own join, at every Add, and when a leaf's keys change.

1. The leaf names a canonical identity by a basic credential, and a client. `unsupported-credential`,
   `identity-not-canonical`, `identity-mismatch`, `malformed`
2. That client vouches for the leaf's signature key, where it is not the client's own. `invalid-signature`
3. The leaf's public keys may be used. `invalid-key`
4. The client belongs to the identity and offers no less than is known of it: step 5 of `proof`, by the same policy and
   pins. `untrusted-identity`, `identity-changed`, `suite-withheld`
5. A leaf that takes another's place has the same identity (RFC 9420 section 5.3.1). `identity-mismatch`

The caller still owes: RFC 9420's own rules for leaves, the check against a downgrade (`negotiation`), and keeping the
pins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from roomkey.crypto.admission import admit_dh_key, admit_signature_keys
from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.federation.client_leaf import ClientClaim, read_claim, vouched
from roomkey.federation.trust import ClientPin, ContactPin, Trust, TrustPolicy
from roomkey.mls.leaf_node import LeafNode


class ProvedMembers(NamedTuple):
    """`clients[i]` stands behind leaf i of those given; `trust` says for each identity why it is believed."""

    clients: tuple[ClientClaim, ...]
    trust: Mapping[str, Trust]


async def check_members(
    crypto: CryptoProvider,
    suite: CipherSuite,
    leaves: Sequence[LeafNode],
    policy: TrustPolicy,
    pins: Mapping[str, ContactPin],
    now: float,
) -> ProvedMembers:
    """Steps 1 to 4 for several leaves of one group, all clients of one identity judged together.

    Args:
        pins: by identity; those without one are new contacts. Our own identity's pin is that of our own clients.
        now: Unix seconds.
    """
    claims = [read_claim(suite, leaf) for leaf in leaves]
    if not all(await vouched(crypto, suite, leaves)):
        raise RoomkeyError("invalid-signature", "roomkey_client: expected the credential key's signature", step=2)
    for leaf in leaves:
        admit_dh_key(suite.group, leaf.encryption_key)
    keys = [(claim.scheme, claim.public_key) for claim in claims]
    await admit_signature_keys(crypto, keys + [(suite.scheme, leaf.signature_key) for leaf in leaves])
    by_identity: dict[str, list[ClientPin]] = {}
    for claim, leaf in zip(claims, leaves, strict=True):
        can = leaf.capabilities
        by_identity.setdefault(claim.identity, []).append(ClientPin.of(claim, can.versions, can.cipher_suites))
    trust = {name: policy.judge(name, pins.get(name), clients, now) for name, clients in by_identity.items()}
    return ProvedMembers(tuple(claims), trust)


async def check_member_leaf(
    crypto: CryptoProvider,
    suite: CipherSuite,
    leaf: LeafNode,
    policy: TrustPolicy,
    pin: ContactPin | None,
    now: float,
    *,
    before: LeafNode | None = None,
) -> tuple[ClientClaim, Trust]:
    """All steps for one leaf; `before` is the one whose place it takes, in an Update or a commit."""
    if before is not None and leaf.credential != before.credential:
        raise RoomkeyError("identity-mismatch", "leaf credential: expected the one before, got another", step=5)
    claim = read_claim(suite, leaf)
    pins = {} if pin is None else {claim.identity: pin}
    proved = await check_members(crypto, suite, [leaf], policy, pins, now)
    return claim, proved.trust[claim.identity]
