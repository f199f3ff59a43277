"""Credentials (RFC 9420 section 5.3): who a member says it is.

A credential of a type we do not know cannot be read past, as the wire gives it no length, and section 13.3 allows
such types only in groups that agreed on them; so an unknown type is malformed. `x509` is read, never taken for proof:
whether an identity is true is asked above this layer.
"""

from __future__ import annotations

from typing import Annotated, Final

from roomkey.tls import Opaque, Struct, When, one_of, opaque, uint16, vector

BASIC: Final = 0x0001
X509: Final = 0x0002


class Certificate(Struct):
    """`struct { opaque cert_data<V>; } Certificate;`"""

    cert_data: Opaque


class Credential(Struct):
    """A member's claim to an identity. `Credential.basic(identity)` makes one.

    uint16 CredentialType;
    struct {
        CredentialType credential_type;
        select (Credential.credential_type) {
            case basic: opaque identity<V>;
            case x509:  Certificate certificates<V>;
        };
    } Credential;
    """

    credential_type: Annotated[int, one_of(uint16, BASIC, X509)]
    identity: Annotated[bytes | None, When("credential_type", {BASIC: opaque()})] = None
    certificates: Annotated[tuple[Certificate, ...] | None, When("credential_type", {X509: vector(Certificate)})] = None

    @classmethod
    def basic(cls, identity: bytes) -> Credential:
        return cls(BASIC, identity)
