"""GroupInfo and Welcome (RFC 9420 section 12.4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from roomkey.crypto.labels import (
    HPKECiphertext,
    Sealing,
    Signed,
    Signing,
    decrypt_with_label,
    encrypt_with_label,
    expand_with_label,
    sign_with_label,
    verify_with_label,
)
from roomkey.crypto.provider import CryptoProvider, KeyPair, SealItem
from roomkey.crypto.suites import CipherSuite
from roomkey.errors import RoomkeyError
from roomkey.mls.extensions import Extension
from roomkey.mls.group_context import GroupContext
from roomkey.mls.psk import PreSharedKeyID
from roomkey.mls.validation import violation
from roomkey.tls import U16, U32, Opaque, Struct, optional, vector

_GROUP_INFO = b"GroupInfoTBS"
_WELCOME = b"Welcome"


class GroupInfo(Struct):
    """What a newcomer must know of a group; unverified until `verify_group_info`.

    struct {
        GroupContext group_context;
        Extension extensions<V>;
        MAC confirmation_tag;
        uint32 signer;
        /* SignWithLabel(., "GroupInfoTBS", GroupInfoTBS) */
        opaque signature<V>;
    } GroupInfo;
    """

    group_context: GroupContext
    extensions: Annotated[tuple[Extension, ...], vector(Extension)]
    confirmation_tag: Opaque
    signer: U32
    signature: Opaque


class GroupInfoTBS(Struct):
    """All of a GroupInfo but its signature.

    struct {
        GroupContext group_context;
        Extension extensions<V>;
        MAC confirmation_tag;
        uint32 signer;
    } GroupInfoTBS;
    """

    group_context: GroupContext
    extensions: Annotated[tuple[Extension, ...], vector(Extension)]
    confirmation_tag: Opaque
    signer: U32


class PathSecret(Struct):
    """`struct { opaque path_secret<V>; } PathSecret;`"""

    path_secret: Opaque


class GroupSecrets(Struct):
    """`struct { opaque joiner_secret<V>; optional<PathSecret> path_secret; PreSharedKeyID psks<V>; } GroupSecrets;`"""

    joiner_secret: Opaque
    path_secret: Annotated[PathSecret | None, optional(PathSecret)]
    psks: Annotated[tuple[PreSharedKeyID, ...], vector(PreSharedKeyID)]


class EncryptedGroupSecrets(Struct):
    """`struct { KeyPackageRef new_member; HPKECiphertext encrypted_group_secrets; } EncryptedGroupSecrets;`"""

    new_member: Opaque
    encrypted_group_secrets: HPKECiphertext


class Welcome(Struct):
    """A group's secrets for newcomers.

    struct {
        CipherSuite cipher_suite;
        EncryptedGroupSecrets secrets<V>;
        opaque encrypted_group_info<V>;
    } Welcome;
    """

    cipher_suite: U16
    secrets: Annotated[tuple[EncryptedGroupSecrets, ...], vector(EncryptedGroupSecrets)]
    encrypted_group_info: Opaque


@dataclass(frozen=True, slots=True, repr=False)
class VerifiedGroupInfo:
    """A GroupInfo whose signature holds; `verify_group_info` makes it.

    Its tree and confirmation tag are still to be checked.
    """

    info: GroupInfo


async def sign_group_info(
    crypto: CryptoProvider,
    suite: CipherSuite,
    key: KeyPair,
    signer: int,
    context: GroupContext,
    extensions: tuple[Extension, ...],
    confirmation_tag: bytes,
) -> GroupInfo:
    """The GroupInfo of an epoch, signed with the key of leaf `signer`."""
    tbs = GroupInfoTBS(context, extensions, confirmation_tag, signer)
    (signature,) = await sign_with_label(crypto, suite, [Signing(key, _GROUP_INFO, tbs.encode())])
    return GroupInfo(context, extensions, confirmation_tag, signer, signature)


async def verify_group_info(
    crypto: CryptoProvider, suite: CipherSuite, public: bytes, info: GroupInfo
) -> VerifiedGroupInfo:
    """Verifies with the signature key of leaf `info.signer`, which the caller takes from the tree.

    Errors: "invalid-welcome".
    """
    tbs = GroupInfoTBS(info.group_context, info.extensions, info.confirmation_tag, info.signer)
    (good,) = await verify_with_label(crypto, suite, [Signed(public, _GROUP_INFO, tbs.encode(), info.signature)])
    if not good:
        raise violation("welcome-signature")
    return VerifiedGroupInfo(info)


class Joiner(NamedTuple):
    """Whom a Welcome lets in: the KeyPackage's reference and init key, and a path secret.

    That is the secret of the lowest node that the committer's path and theirs share, None for a commit without a path.
    """

    key_package_ref: bytes
    init_key: bytes
    path_secret: bytes | None

    def __repr__(self) -> str:
        return "<Joiner>"


async def seal_welcome(
    crypto: CryptoProvider,
    suite: CipherSuite,
    welcome_secret: bytes,
    joiner_secret: bytes,
    info: GroupInfo,
    psks: tuple[PreSharedKeyID, ...],
    joiners: Sequence[Joiner],
) -> Welcome:
    """One Welcome for all joiners, in one batch of HPKE seals; `psks` are the commit's, in its order.

    Errors: "invalid-key".
    """
    (encrypted_info,) = await crypto.seal([_info_item(suite, welcome_secret, info.encode())])
    sealed = await encrypt_with_label(
        crypto,
        suite,
        [
            Sealing(
                joiner.init_key,
                _WELCOME,
                encrypted_info,
                GroupSecrets(
                    joiner_secret, None if joiner.path_secret is None else PathSecret(joiner.path_secret), psks
                ).encode(),
            )
            for joiner in joiners
        ],
    )
    secrets = (EncryptedGroupSecrets(j.key_package_ref, s) for j, s in zip(joiners, sealed, strict=True))
    return Welcome(suite.number, tuple(secrets), encrypted_info)


def find_secrets(welcome: Welcome, key_package_refs: Sequence[bytes]) -> tuple[int, EncryptedGroupSecrets]:
    """Which of our KeyPackages (by reference) the Welcome names, and the entry for it. Errors: "welcome-not-for-us"."""
    ours = {reference: index for index, reference in enumerate(key_package_refs)}
    for entry in welcome.secrets:
        index = ours.get(entry.new_member)
        if index is not None:
            return index, entry
    raise violation("welcome-for-us", f"got {len(welcome.secrets)} entries for others")


async def open_group_secrets(
    crypto: CryptoProvider, suite: CipherSuite, welcome: Welcome, entry: EncryptedGroupSecrets, init: KeyPair
) -> GroupSecrets:
    """The secrets for us. Errors: "welcome-suite"'s, "decryption-failed", "malformed"."""
    if welcome.cipher_suite != suite.number:
        raise violation("welcome-suite", f"expected {suite.number}, got {welcome.cipher_suite}")
    plain = await decrypt_with_label(
        crypto, suite, init, _WELCOME, welcome.encrypted_group_info, entry.encrypted_group_secrets
    )
    return GroupSecrets.decode(plain)


async def open_group_info(
    crypto: CryptoProvider, suite: CipherSuite, welcome: Welcome, welcome_secret: bytes
) -> GroupInfo:
    """The GroupInfo inside, not verified. `welcome_secret` is that of the joiner secret and the PSKs.

    Errors: "decryption-failed" (also for a wrong PSK), "malformed".
    """
    (plain,) = await crypto.open([_info_item(suite, welcome_secret, welcome.encrypted_group_info)])
    if plain is None:
        raise RoomkeyError("decryption-failed", "expected a GroupInfo under this welcome secret, authentication failed")
    return GroupInfo.decode(plain)


def _info_item(suite: CipherSuite, welcome_secret: bytes, text: bytes) -> SealItem:
    key = expand_with_label(suite, welcome_secret, b"key", b"", suite.nk)
    nonce = expand_with_label(suite, welcome_secret, b"nonce", b"", suite.nn)
    return SealItem(suite.aead, key, nonce, b"", text)
