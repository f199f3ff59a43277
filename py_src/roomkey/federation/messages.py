"""The draft's messages (draft-omara-mls-federation-00 section 5), byte for byte (wire.md section 1).

Lengths are the fixed-width ones of RFC 8446 section 3. What a message must satisfy beyond its field list stands in its
`check`:

1. `cipher_suites` and `supported_suites` hold draft numbers (0x0002 is a crossed RFC 9420 number) and no suite twice.
2. `init_keys[i]` belongs to `cipher_suites[i]`: equal counts, and each key has its suite's length, if known.
3. A credential's type and signature algorithm are known and its public key has the algorithm's length.
4. Nothing follows the message, and it is not longer than its limit.

Decoding proves these and no more: not the signature (`verify`), not that a name is canonical (`identity`), not that the
keys belong to anyone (`init_keys`). An X.509 credential decodes, so that other people's messages can be read, and is
refused in sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from roomkey.crypto import signatures
from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.errors import RoomkeyError
from roomkey.federation import code_points
from roomkey.tls import Struct, When, malformed, one_of, opaque, uint8, uint16, uint24, uint32, vector

# The longest request there can be: 2 + 65,535 bytes of identity and 1 + 255 bytes of suites.
MAX_REQUEST = 65_793
# A key set of every suite takes under 1 kB; a chain of certificates under 64 kB. The rest is room.
MAX_USER_INIT_KEY = 1 << 18
# More than 2,000 clients of one identity, at about 400 bytes each.
MAX_RESPONSE = 1 << 20

HPKEPublicKey = opaque(uint16, 1, 0xFFFF)  # opaque HPKEPublicKey<1..2^16-1>
_Suites = Annotated[tuple[int, ...], vector(uint16, uint8, 0, 0xFF)]
_Identity = Annotated[bytes, opaque(uint16, 0, 0xFFFF)]


class Limited(Struct):
    """A message with a size limit of its own."""

    _limit: ClassVar[int]

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The message that `data` encodes, exactly. Errors: "malformed", "too-large"."""
        if len(data) > cls._limit:
            raise RoomkeyError(
                "too-large", f"{cls.__name__}: expected at most {cls._limit} bytes, got {len(data)}", field=cls.__name__
            )
        return super().decode(data)


# enum { ecdsa_secp256r1_sha256(0x0403), ed25519(0x0807), (0xFFFF) } SignatureScheme;
# opaque SignaturePublicKey<1..2^16-1>;
#
# struct {
#     opaque identity<0..2^16-1>;
#     SignatureScheme algorithm;
#     SignaturePublicKey public_key;
# } BasicCredential;
class BasicCredential(Struct):
    """A name and the signature key that speaks for it."""

    identity: _Identity
    algorithm: Annotated[int, one_of(uint16, code_points.ECDSA_SECP256R1_SHA256, code_points.ED25519)]
    public_key: Annotated[bytes, opaque(uint16, 1, 0xFFFF)]

    def check(self) -> None:
        size = code_points.SIGNATURE_KEY_SIZE[self.algorithm]
        if len(self.public_key) != size:
            raise malformed("public_key", f"{size} bytes for algorithm {self.algorithm:#06x}", len(self.public_key))


# enum { basic(0), x509(1), (255) } CredentialType;
#
# struct {
#     CredentialType credential_type;
#     select (credential_type) { case basic: BasicCredential; case x509: opaque cert_data<1..2^24-1>; };
# } Credential;
class Credential(Struct):
    """Who a client is. Make the usual kind with `Credential.of`."""

    credential_type: Annotated[int, one_of(uint8, code_points.DRAFT_BASIC, code_points.DRAFT_X509)]
    basic: Annotated[BasicCredential | None, When("credential_type", {code_points.DRAFT_BASIC: BasicCredential})] = None
    cert_data: Annotated[
        bytes | None, When("credential_type", {code_points.DRAFT_X509: opaque(uint24, 1, 0xFFFFFF)})
    ] = None

    @classmethod
    def of(cls, identity: bytes, algorithm: int, public_key: bytes) -> Credential:
        """A basic credential."""
        return cls(code_points.DRAFT_BASIC, BasicCredential(identity, algorithm, public_key))

    def require_basic(self) -> BasicCredential:
        """The basic credential in it. Errors: "unsupported-credential"."""
        if self.basic is None:
            raise RoomkeyError("unsupported-credential", "credential: expected basic, got x509", field="credential")
        return self.basic


# enum { P256_SHA256_AES128GCM(0x0000), X25519_SHA256_AES128GCM(0x0001), (0xFFFF) } CipherSuite;
#
# struct {
#     opaque identity<0..2^16-1>;
#     CipherSuite supported_suites<0..255>;
# } GetUserInitKeyRequest;
class GetUserInitKeyRequest(Limited):
    """Asks for the init keys of all clients of one identity. No suites: any will do."""

    _limit = MAX_REQUEST
    identity: _Identity
    supported_suites: _Suites

    def check(self) -> None:
        _check_suites("supported_suites", self.supported_suites)


# struct {
#     opaque user_init_key_id<0..255>;
#     CipherSuite cipher_suites<0..255>;
#     HPKEPublicKey init_keys<1..2^16-1>;
#     Credential credential;
#     opaque signature<0..2^16-1>;
# } UserInitKey;
class UserInitKey(Limited):
    """One client's init keys, one for each suite, signed by its credential's key."""

    _limit = MAX_USER_INIT_KEY
    user_init_key_id: Annotated[bytes, opaque(uint8, 0, 0xFF)]
    cipher_suites: _Suites
    init_keys: Annotated[tuple[bytes, ...], vector(HPKEPublicKey, uint16, 1, 0xFFFF)]
    credential: Credential
    signature: Annotated[bytes, opaque(uint16, 0, 0xFFFF)] = b""

    def check(self) -> None:
        _check_suites("cipher_suites", self.cipher_suites)
        if len(self.init_keys) != len(self.cipher_suites):
            raise malformed("init_keys", f"{len(self.cipher_suites)} keys, one for each suite", len(self.init_keys))
        for suite, key in zip(self.cipher_suites, self.init_keys, strict=True):
            size = code_points.init_key_size(suite)
            if size is not None and len(key) != size:
                raise malformed("init_keys", f"{size} bytes for suite {suite:#06x}", len(key))

    def signed_part(self) -> bytes:
        """What the signature covers: every field before it, as encoded."""
        return self.encode()[: -2 - len(self.signature)]


# struct {
#     opaque identity<0..2^16-1>;
#     UserInitKey user_init_key;
# } UserInitKeyBundle;
class UserInitKeyBundle(Limited):
    """A UserInitKey beside the identity that was asked for, which stands outside the signature."""

    _limit = 2 + 0xFFFF + MAX_USER_INIT_KEY
    identity: _Identity
    user_init_key: UserInitKey


# struct {
#     UserInitKeyBundle user_init_keys<0..2^32-1>;
# } GetUserInitKeyResponse;
class GetUserInitKeyResponse(Limited):
    """One bundle for each client of the identity; empty for identities without keys, known or not."""

    _limit = MAX_RESPONSE
    user_init_keys: Annotated[tuple[UserInitKeyBundle, ...], vector(UserInitKeyBundle, uint32, 0, 0xFFFFFFFF)]


def _check_suites(field: str, suites: tuple[int, ...]) -> None:
    if 0x0002 in suites:
        raise malformed(field, "draft suites", "0x0002, which is an RFC 9420 number")
    if len(set(suites)) != len(suites):
        raise malformed(field, "no suite twice", "a repeated one")


async def sign(crypto: CryptoProvider, items: Sequence[tuple[UserInitKey, KeyPair]]) -> list[UserInitKey]:
    """Each UserInitKey with its signature, made with the given credential key. One provider call per signature scheme.

    Errors: "unsupported-credential"; "bad-argument" where the key is not the credential's.
    """
    results = [key for key, _ in items]
    for algorithm in sorted({item.credential.require_basic().algorithm for item in results}):
        chosen = [n for n, item in enumerate(results) if item.credential.require_basic().algorithm == algorithm]
        for n in chosen:
            if results[n].credential.require_basic().public_key != items[n][1].public:
                raise RoomkeyError("bad-argument", "key: expected the credential's own")
        made = await signatures.sign(
            crypto, code_points.scheme_of(algorithm), [(items[n][1], results[n].signed_part()) for n in chosen]
        )
        for n, signature in zip(chosen, made, strict=True):
            results[n] = results[n].replace(signature=signature)
    return results


async def verify(crypto: CryptoProvider, items: Sequence[UserInitKey]) -> list[bool]:
    """Whether each signature covers all fields before it under the credential's key.

    One provider call per signature scheme. Errors: "unsupported-credential".
    """
    results = [False] * len(items)
    basics = [item.credential.require_basic() for item in items]
    for algorithm in sorted({basic.algorithm for basic in basics}):
        chosen = [n for n, basic in enumerate(basics) if basic.algorithm == algorithm]
        good = await signatures.verify(
            crypto,
            code_points.scheme_of(algorithm),
            [(basics[n].public_key, items[n].signed_part(), items[n].signature) for n in chosen],
        )
        for n, verdict in zip(chosen, good, strict=True):
            results[n] = verdict
    return results
