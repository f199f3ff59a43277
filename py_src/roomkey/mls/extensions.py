"""Extensions (RFC 9420 sections 13 and 17.3) and the structs inside those that the group itself understands."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated

from roomkey.mls.credential import Credential
from roomkey.tls import U16, Opaque, Struct, uint16, vector


class ExtensionType(IntEnum):
    """The types we understand. The wire may carry any other number, GREASE among them; those are kept and ignored."""

    APPLICATION_ID = 0x0001
    RATCHET_TREE = 0x0002
    REQUIRED_CAPABILITIES = 0x0003
    EXTERNAL_PUB = 0x0004
    EXTERNAL_SENDERS = 0x0005
    LAST_RESORT_KEY_PACKAGE = 0x000A
    ROOMKEY_CLIENT = 0xF0C1  # private use: a leaf's proof that its credential's key vouches for its signature key
    ROOMKEY_GROUP = 0xF0C2  # private use: the group's ordering service
    ROOMKEY_NAME = 0xF0C3  # private use: what the conference is called, UTF-8
    ROOMKEY_POLICY = 0xF0C4  # private use: what the group takes from strangers (`policy`)
    ROOMKEY_TICKET = 0xF0C5  # private use: in a GroupInfo, what the ordering service asks of who comes by it


# "Default" types (RFC 9420 section 7.2): every client has them, so capabilities need not name them.
DEFAULT_EXTENSIONS = frozenset((0x0001, 0x0002, 0x0003, 0x0004, 0x0005))
DEFAULT_PROPOSALS = frozenset((0x0001, 0x0002, 0x0003, 0x0004, 0x0005, 0x0006, 0x0007))
# Reserved in every registry so that senders can exercise receivers' tolerance (RFC 9420 section 13.5).
GREASE = tuple(0x0A0A + 0x1010 * n for n in range(15))


class Extension(Struct):
    """`struct { ExtensionType extension_type; opaque extension_data<V>; } Extension;`"""

    extension_type: U16
    extension_data: Opaque


Extensions = Annotated[tuple[Extension, ...], vector(Extension)]


class RequiredCapabilities(Struct):
    """What every member must support (RFC 9420 section 11.1); content of `required_capabilities`.

    struct {
        ExtensionType extension_types<V>;
        ProposalType proposal_types<V>;
        CredentialType credential_types<V>;
    } RequiredCapabilities;
    """

    extension_types: Annotated[tuple[int, ...], vector(uint16)] = ()
    proposal_types: Annotated[tuple[int, ...], vector(uint16)] = ()
    credential_types: Annotated[tuple[int, ...], vector(uint16)] = ()


class ExternalSender(Struct):
    """Who may propose from outside (RFC 9420 section 12.1.8.1).

    struct { SignaturePublicKey signature_key; Credential credential; } ExternalSender;
    """

    signature_key: Opaque
    credential: Credential


class ExternalSenders(Struct):
    """`ExternalSender external_senders<V>;`, content of `external_senders`."""

    external_senders: Annotated[tuple[ExternalSender, ...], vector(ExternalSender)]


class ExternalPub(Struct):
    """`struct { HPKEPublicKey external_pub; } ExternalPub;`, content of `external_pub` in a GroupInfo (RFC 9420 section
    12.4.3.2).
    """

    external_pub: Opaque


def find_extension(extensions: Sequence[Extension], extension_type: int) -> bytes | None:
    """The data of the extension of this type, None if there is none."""
    for extension in extensions:
        if extension.extension_type == extension_type:
            return extension.extension_data
    return None


def duplicate_type(extensions: Sequence[Extension]) -> int | None:
    """A type that stands more than once, which no list of extensions may have (RFC 9420 section 13.4); else None."""
    seen: set[int] = set()
    for extension in extensions:
        if extension.extension_type in seen:
            return extension.extension_type
        seen.add(extension.extension_type)
    return None


def required_capabilities(extensions: Sequence[Extension]) -> RequiredCapabilities:
    """The group's requirements; none at all where its context has no such extension. Errors: "malformed"."""
    data = find_extension(extensions, ExtensionType.REQUIRED_CAPABILITIES)
    return RequiredCapabilities() if data is None else RequiredCapabilities.decode(data)


def external_senders(extensions: Sequence[Extension]) -> tuple[ExternalSender, ...]:
    """Who may propose from outside; nobody where the context has no such extension. Errors: "malformed"."""
    data = find_extension(extensions, ExtensionType.EXTERNAL_SENDERS)
    return () if data is None else ExternalSenders.decode(data).external_senders
