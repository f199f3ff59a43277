"""The one table between the draft's numbers and RFC 9420's (wire.md section 1).

The two collide: 0x0001 is X25519 in both, but P-256 is 0x0000 in the draft and 0x0002 in RFC 9420, and a basic
credential is 0 here and 1 there. Numbers cross only by these functions, never by a cast.

    suite                                        draft     MLS
    P256_SHA256_AES128GCM                        0x0000    0x0002
    X25519_SHA256_AES128GCM                      0x0001    0x0001
    (0x0002 in a draft message is a crossed number: refused; 0x0000 is reserved in MLS)
    0x0003 and above                             the same number in both, 0xF0C1 (experimental, for private use) too

    credential                                   draft     MLS
    basic                                        0         1
    x509                                         1         2

    signature scheme                             draft     here
    ecdsa_secp256r1_sha256                       0x0403    the scheme of MLS suite 0x0002
    ed25519                                      0x0807    the scheme of MLS suites 0x0001, 0x0003 and 0xF0C1
"""

from __future__ import annotations

from roomkey.crypto.suites import SUITES, Scheme
from roomkey.tls import malformed

DRAFT_P256 = 0x0000
DRAFT_X25519 = 0x0001
DRAFT_BASIC = 0
DRAFT_X509 = 1
ECDSA_SECP256R1_SHA256 = 0x0403
ED25519 = 0x0807

_FIRST_SHARED = 0x0003  # from here on both lists use the same numbers
_SUITE_TO_MLS = {DRAFT_P256: 0x0002, DRAFT_X25519: 0x0001}
_SUITE_TO_DRAFT = {mls: draft for draft, mls in _SUITE_TO_MLS.items()}
_CREDENTIAL_TO_MLS = {DRAFT_BASIC: 1, DRAFT_X509: 2}
_CREDENTIAL_TO_DRAFT = {mls: draft for draft, mls in _CREDENTIAL_TO_MLS.items()}
_SCHEME_NAMES: dict[int, Scheme] = {ECDSA_SECP256R1_SHA256: "ecdsa_secp256r1_sha256", ED25519: "ed25519"}
_SCHEME_NUMBERS: dict[Scheme, int] = {name: number for number, name in _SCHEME_NAMES.items()}

# Signature public keys: an uncompressed SEC1 point, or the 32 raw bytes of RFC 8032.
SIGNATURE_KEY_SIZE = {ECDSA_SECP256R1_SHA256: 65, ED25519: 32}


def suite_to_mls(draft: int) -> int:
    """The RFC 9420 number of a draft suite. Errors: "malformed" for 0x0002, which no draft message holds."""
    return _translate(draft, _SUITE_TO_MLS, "the draft")


def suite_to_draft(mls: int) -> int:
    """The draft's number of an RFC 9420 suite. Errors: "malformed" for 0x0000, which RFC 9420 reserves."""
    return _translate(mls, _SUITE_TO_DRAFT, "RFC 9420")


def credential_type_to_mls(draft: int) -> int:
    """RFC 9420's number of a draft credential type. Errors: "malformed"."""
    return _known(draft, _CREDENTIAL_TO_MLS, "the draft")


def credential_type_to_draft(mls: int) -> int:
    """The draft's number of an RFC 9420 credential type. Errors: "malformed"."""
    return _known(mls, _CREDENTIAL_TO_DRAFT, "RFC 9420")


def scheme_of(algorithm: int) -> Scheme:
    """Our name of a SignatureScheme number. Errors: "malformed"."""
    name = _SCHEME_NAMES.get(algorithm)
    if name is None:
        raise malformed("algorithm", f"one of {sorted(_SCHEME_NAMES)}", algorithm)
    return name


def algorithm_of(scheme: Scheme) -> int:
    """The SignatureScheme number of one of our schemes."""
    return _SCHEME_NUMBERS[scheme]


def init_key_size(draft: int) -> int | None:
    """The length in bytes of an init key of this draft suite; None for suites we do not know. Errors: "malformed"."""
    suite = SUITES.get(suite_to_mls(draft))
    return None if suite is None else suite.npk


def _translate(number: int, table: dict[int, int], whose: str) -> int:
    if number in table:
        return table[number]
    if not _FIRST_SHARED <= number <= 0xFFFF:
        raise malformed("cipher_suites", f"a suite number of {whose}", f"{number:#06x}")
    return number


def _known(number: int, table: dict[int, int], whose: str) -> int:
    if number not in table:
        raise malformed("credential_type", f"one of {sorted(table)} in {whose}", number)
    return table[number]
