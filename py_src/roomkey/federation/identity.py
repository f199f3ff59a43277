"""Identities: one form on the wire, and the way from what people type to it (wire.md section 1).

    identity = local "@" domain
    local    = 1 to 64 of a-z 0-9 . _ + -
    domain   = lower-case labels of letters, digits, inner hyphens; at most 253 bytes; A-labels where not ASCII

Only `canonicalise`, which the API calls, changes anything. Everything else compares bytes and refuses the rest, so that
nobody can be two people, or pass for another, by spelling.

Internationalised domains go through the standard library's IDNA (RFC 3490). Where that older standard and its successor
disagree (the deviations of UTS 46, such as the German sharp s) a name could mean two domains, so it is refused; the
A-label can be typed instead.
"""

from __future__ import annotations

import re
from encodings import idna
from typing import Literal

from roomkey.errors import RoomkeyError

# 64 bytes of local part, the sign, 253 bytes of domain (RFC 1035 section 2.3.4, in text form).
MAX_IDENTITY = 64 + 1 + 253

_LOCAL = re.compile(r"[a-z0-9._+-]{1,64}")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# sharp s, final sigma, zero width non-joiner and joiner (UTS 46 section 7)
_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")
# what RFC 3490 section 3.1 also takes for the full stop between labels
_DOTS = frozenset("\u3002\uff0e\uff61")

_Code = Literal["invalid-identity", "identity-not-canonical"]


def canonicalise(typed: str) -> str:
    """The one form of an identity that a person typed: trimmed, lower case, the domain in A-labels.

    Errors: "invalid-identity".
    """
    local, at, domain = typed.strip().rpartition("@")
    if not at:
        raise _error("invalid-identity", "name@domain", "no @")
    if not local.isascii():
        raise _error("invalid-identity", "a name of ASCII letters, digits and . _ + -", "other characters")
    if len(domain) > 253:
        raise _error("invalid-identity", "a domain of at most 253 characters", f"{len(domain)}")
    labels = domain.removesuffix(".").split(".")
    identity = f"{local.lower()}@{'.'.join(_a_label(label) for label in labels)}"
    _check(identity, "invalid-identity")
    return identity


def check_identity(data: bytes) -> str:
    """The identity in bytes from the wire, which must be canonical already. Errors: "identity-not-canonical"."""
    if len(data) > MAX_IDENTITY:
        raise _error("identity-not-canonical", f"at most {MAX_IDENTITY} bytes", f"{len(data)}")
    if not data.isascii():
        raise _error("identity-not-canonical", "ASCII", "other bytes")
    identity = data.decode("ascii")
    _check(identity, "identity-not-canonical")
    return identity


def domain_of(identity: str) -> str:
    """The domain of a canonical identity."""
    return identity.rpartition("@")[2]


def check_domain(domain: str) -> str:
    """`domain`, which must be in its canonical form. Errors: "invalid-identity"."""
    _check_domain(domain, "invalid-identity")
    return domain


def _check(identity: str, code: _Code) -> None:
    local, at, domain = identity.partition("@")
    if not at:
        raise _error(code, "name@domain", "no @")
    if _LOCAL.fullmatch(local) is None:
        raise _error(code, "a name of 1 to 64 of a-z 0-9 . _ + -", f"{len(local)} characters, not all of them these")
    _check_domain(domain, code)


def _check_domain(domain: str, code: _Code) -> None:
    if not 1 <= len(domain) <= 253:
        raise _error(code, "a domain of 1 to 253 characters", f"{len(domain)}")
    labels = domain.split(".")
    for label in labels:
        if _LABEL.fullmatch(label) is None:
            raise _error(code, "lower-case domain labels of letters, digits and inner hyphens", "another label")
        if label[2:4] == "--" and not _is_a_label(label):
            raise _error(code, "a label that is the A-label of a name", "another label with -- in places 3 and 4")
    if labels[-1].isdigit():
        raise _error(code, "a domain name", "a numeric address")


def _a_label(label: str) -> str:
    if label.isascii():
        return label.lower()
    if (_DEVIATIONS | _DOTS) & set(label):
        raise _error("invalid-identity", "a domain that all standards read alike, or its xn-- form", "another one")
    try:
        made = idna.ToASCII(label).decode("ascii")
    except UnicodeError:  # the base of every error that the codec documents
        raise _error("invalid-identity", "a domain that IDNA allows", "a label that it does not") from None
    if "." in made:  # one made of another character (U+2488) would move the label's end
        raise _error("invalid-identity", "labels between full stops", "another dot")
    return made


def _is_a_label(label: str) -> bool:
    """Whether a label xn--... is what IDNA makes of the name it stands for, so that no name has two spellings."""
    if not label.startswith("xn--"):
        return False
    try:
        name = label[4:].encode("ascii").decode("punycode")
        if name.isascii() or _DOTS & set(name) or idna.nameprep(name) != name:
            return False
        return idna.ToASCII(name) == label.encode("ascii")
    except UnicodeError:
        return False


def _error(code: _Code, expected: str, got: str) -> RoomkeyError:
    return RoomkeyError(code, f"identity: expected {expected}, got {got}", field="identity")
