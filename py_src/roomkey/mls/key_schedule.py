"""The key schedule (RFC 9420 section 8).

              init_secret[n-1]
                     |
  commit_secret -> Extract -> ExpandWithLabel("joiner", GroupContext[n]) = joiner_secret
                                                            |
                                    psk_secret (or 0) -> Extract -> DeriveSecret("welcome") = welcome_secret
                                                            |
                           ExpandWithLabel("epoch", GroupContext[n]) = epoch_secret -> the secrets of EpochSecrets

All secrets are `suite.nh` bytes. Inputs are consumed: the caller drops them once the new epoch stands (section 9.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from roomkey.crypto import hpke
from roomkey.crypto.labels import derive_secret, expand_with_label, extract, hash_bytes
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import CipherSuite
from roomkey.mls.group_context import GroupContext
from roomkey.tls import Opaque, Struct

_EXTERNAL_INIT = b"MLS 1.0 external init secret"


class EpochSecrets(Struct):
    """What a member keeps of an epoch's secrets; declared as a struct so that state can be stored. Never sent.

    The encryption secret is not among them: the secret tree consumes it.
    """

    sender_data_secret: Opaque
    exporter_secret: Opaque
    external_secret: Opaque
    confirmation_key: Opaque
    membership_key: Opaque
    resumption_psk: Opaque
    epoch_authenticator: Opaque
    init_secret: Opaque


@dataclass(frozen=True, slots=True, repr=False)
class NewEpoch:
    """The secrets of an epoch that begins.

    Joiner and welcome secret go into a Welcome, the encryption secret into a secret tree.
    """

    joiner_secret: bytes
    welcome_secret: bytes
    encryption_secret: bytes
    secrets: EpochSecrets


def joiner_secret(suite: CipherSuite, init_secret: bytes, commit_secret: bytes, context: GroupContext) -> bytes:
    """From the last epoch's init secret, the commit's secret (all zero without a path) and the new epoch's context."""
    return expand_with_label(suite, extract(suite, init_secret, commit_secret), b"joiner", context.encode(), suite.nh)


def welcome_secret(suite: CipherSuite, joiner: bytes, psk_secret: bytes) -> bytes:
    """The secret that a Welcome's GroupInfo is encrypted under."""
    return derive_secret(suite, extract(suite, joiner, psk_secret), b"welcome")


def start_epoch(suite: CipherSuite, joiner: bytes, psk_secret: bytes, context: GroupContext) -> NewEpoch:
    """The epoch of `context`, from its joiner secret: what a joiner computes, and the second half of `next_epoch`."""
    member = extract(suite, joiner, psk_secret)
    epoch_secret = expand_with_label(suite, member, b"epoch", context.encode(), suite.nh)
    encryption_secret, secrets = epoch_secrets(suite, epoch_secret)
    return NewEpoch(joiner, derive_secret(suite, member, b"welcome"), encryption_secret, secrets)


def next_epoch(
    suite: CipherSuite, init_secret: bytes, commit_secret: bytes, psk_secret: bytes, context: GroupContext
) -> NewEpoch:
    """The epoch of `context`, from the one before."""
    return start_epoch(suite, joiner_secret(suite, init_secret, commit_secret, context), psk_secret, context)


def epoch_secrets(suite: CipherSuite, epoch_secret: bytes) -> tuple[bytes, EpochSecrets]:
    """The encryption secret and the others. A new group starts here, with a random epoch secret (section 11)."""
    return derive_secret(suite, epoch_secret, b"encryption"), EpochSecrets(
        sender_data_secret=derive_secret(suite, epoch_secret, b"sender data"),
        exporter_secret=derive_secret(suite, epoch_secret, b"exporter"),
        external_secret=derive_secret(suite, epoch_secret, b"external"),
        confirmation_key=derive_secret(suite, epoch_secret, b"confirm"),
        membership_key=derive_secret(suite, epoch_secret, b"membership"),
        resumption_psk=derive_secret(suite, epoch_secret, b"resumption"),
        epoch_authenticator=derive_secret(suite, epoch_secret, b"authentication"),
        init_secret=derive_secret(suite, epoch_secret, b"init"),
    )


def export(suite: CipherSuite, exporter_secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """MLS-Exporter (RFC 9420 section 8.5): `length` bytes. Errors: "bad-argument" for more than 255 hashes' worth."""
    secret = derive_secret(suite, exporter_secret, label)
    return expand_with_label(suite, secret, b"exported", hash_bytes(suite, context), length)


async def external_key_pair(crypto: CryptoProvider, suite: CipherSuite, external_secret: bytes) -> KeyPair:
    """The key pair that all members hold, for external commits (RFC 9420 section 8)."""
    (pair,) = await hpke.derive_key_pairs(crypto, suite, [external_secret])
    return pair


async def make_external_init(crypto: CryptoProvider, suite: CipherSuite, external_pub: bytes) -> tuple[bytes, bytes]:
    """What an external joiner sends and uses: (kem_output, init_secret) (section 8.3). Errors: "invalid-key"."""
    kem_output, shared = await hpke.encapsulate(crypto, suite, external_pub)
    return kem_output, hpke.export(suite, shared, b"", _EXTERNAL_INIT, suite.nh)


async def take_external_init(
    crypto: CryptoProvider, suite: CipherSuite, external_key: KeyPair, kem_output: bytes
) -> bytes:
    """The init secret that members get from an ExternalInit proposal. Errors: "decryption-failed"."""
    shared = await hpke.decapsulate(crypto, suite, external_key, kem_output)
    return hpke.export(suite, shared, b"", _EXTERNAL_INIT, suite.nh)
