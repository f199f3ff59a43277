"""GroupInfo and Welcome (RFC 9420 section 12.4.3)."""

from __future__ import annotations

from typing import Annotated

from roomkey.crypto.labels import HPKECiphertext
from roomkey.mls.extensions import Extension
from roomkey.mls.group_context import GroupContext
from roomkey.mls.psk import PreSharedKeyID
from roomkey.tls import U16, U32, Opaque, Struct, optional, vector


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
    """`struct { GroupContext group_context; Extension extensions<V>; MAC confirmation_tag; uint32 signer; } GroupInfoTBS;`"""

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
    """`struct { CipherSuite cipher_suite; EncryptedGroupSecrets secrets<V>; opaque encrypted_group_info<V>; } Welcome;`"""

    cipher_suite: U16
    secrets: Annotated[tuple[EncryptedGroupSecrets, ...], vector(EncryptedGroupSecrets)]
    encrypted_group_info: Opaque
