"""HTTP Message Signatures (RFC 9421) and Content-Digest (RFC 9530), as wire.md section 5 uses them.

A client signs every request with its credential key. Covered are `@method`, `@authority`, `@path` and `@query`; with
a body also `content-type` and `content-digest`; and `roomkey-home`, the domain of the client's home service, where it
is sent. Parameters: `created`, `nonce`, `keyid` (the client: base64url of SHA-256 of its credential key) and
`tag="roomkey"`. Signatures are raw: Ed25519's 64 bytes, or r||s for ecdsa-p256-sha256 (RFC 9421 section 3.3.4).

A delivery service that asks another one for a client of its own signs with its domain key and `tag="roomkey-domain"`:
the same, and `roomkey-home` (its domain) and `roomkey-client` (whom it vouches for) are covered too.

The signature base is built in one place, `signature_base`, for the side that signs and the side that verifies. The
first byte of a base is a double quote, 0x22, which keeps it apart from everything else the credential key signs
(wire.md section 2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from roomkey.crypto.provider import CryptoProvider, KeyPair, SignItem
from roomkey.crypto.suites import Scheme
from roomkey.errors import RoomkeyError

TAG = "roomkey"
DOMAIN_TAG = "roomkey-domain"
HOME = "roomkey-home"
CLIENT = "roomkey-client"
CREATED_WINDOW = 300  # seconds that `created` may differ from the service's clock (wire.md section 5)
NONCE_LIFETIME = 600  # seconds a nonce is remembered: the whole width of the window above
NONCE_BYTES = 18
MAX_FIELD = 4096  # characters of Signature or Signature-Input; ours have about 250

REQUEST_LINE = ("@method", "@authority", "@path", "@query")
BODY = ("content-type", "content-digest")
_LABEL = "roomkey"
_DEFAULT_PORTS = {"http": 80, "https": 443}

# RFC 8941 subset: sf-string without escapes needed by us, sf-integer, keys, byte sequences
_KEY = r"[a-z*][a-z0-9_\-.*]*"
_STRING = r'"((?:[ !#-\[\]-~]|\\["\\])*)"'
_INNER_LIST = re.compile(rf"\((?P<items>(?:{_STRING}(?: {_STRING})*)?)\)(?P<parameters>(?:;.*)?)", re.ASCII)
_ITEM = re.compile(_STRING, re.ASCII)
_PARAMETER = re.compile(rf";({_KEY})=(?:{_STRING}|(0|[1-9][0-9]{{0,14}}))", re.ASCII)
_MEMBER = re.compile(rf"({_KEY})=", re.ASCII)
_SIGNATURE = re.compile(rf"({_KEY})=:([A-Za-z0-9+/]*={{0,2}}):", re.ASCII)
_NAME = re.compile(r"@?[a-z0-9\-]+", re.ASCII)
_PARAMETERS = ("created", "expires", "nonce", "keyid", "alg", "tag")


def client_id(public_key: bytes) -> bytes:
    """Which client a credential's public key is: its SHA-256, 32 bytes (wire.md section 2)."""
    return hashlib.sha256(public_key).digest()


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The bytes of base64url without padding, in its one canonical form. Errors: "malformed"."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise RoomkeyError("malformed", "expected base64url without padding") from None
    if base64url(data) != text:
        raise RoomkeyError("malformed", "expected canonical base64url without padding")
    return data


def content_digest(body: bytes) -> str:
    """The Content-Digest field of a body, SHA-256 (RFC 9530 section 2)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode('ascii')}:"


def request_target(method: str, url: str) -> dict[str, str]:
    """The values of `@method`, `@authority`, `@path` and `@query` for a request to `url` (RFC 9421 section 2.2).

    Errors: "bad-argument" if `url` is no absolute http or https URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise RoomkeyError("bad-argument", "expected an absolute http or https URL")
    return {
        "@method": method,
        "@authority": authority(parts.netloc, parts.scheme),
        "@path": parts.path or "/",
        "@query": f"?{parts.query}",
    }


def authority(netloc: str, scheme: str) -> str:
    """`@authority`: the host in lower case, the port unless it is the scheme's own (RFC 9421 section 2.2.3)."""
    host = netloc.rpartition("@")[2].lower()
    default = f":{_DEFAULT_PORTS[scheme]}"
    return host.removesuffix(default) if not host.endswith("]") else host


@dataclass(frozen=True)
class SignatureInput:
    """One member of Signature-Input: the covered components in order, and the parameters that we know.

    `created` and `expires` are Unix seconds.
    """

    components: tuple[str, ...]
    created: int | None = None
    expires: int | None = None
    nonce: str | None = None
    keyid: str | None = None
    alg: str | None = None
    tag: str | None = None
    order: tuple[str, ...] = _PARAMETERS

    def serialise(self) -> str:
        """The member's value in its strict form (RFC 8941 section 4.1)."""
        out = "(" + " ".join(f'"{name}"' for name in self.components) + ")"
        for name in self.order:
            value = getattr(self, name)
            if value is not None:
                out += f";{name}={value}" if isinstance(value, int) else f";{name}={_quoted(value)}"
        return out


def signature_base(values: Mapping[str, str], signature_input: SignatureInput) -> bytes:
    """What is signed (RFC 9421 section 2.5).

    Args:
        values: the value of each component by its name, derived ones and fields (lower case).
    Errors: "malformed" if a covered component has no value or cannot stand in a base.
    """
    lines = []
    for name in signature_input.components:
        value = values.get(name)
        if value is None:
            raise RoomkeyError("malformed", "expected every covered component in the request", component=name)
        if not value.isascii() or "\n" in value or "\r" in value:
            raise RoomkeyError("malformed", "expected components of one line of ASCII", component=name)
        lines.append(f'"{name}": {value.strip()}\n')
    return ("".join(lines) + f'"@signature-params": {signature_input.serialise()}').encode("ascii")


async def sign_request(
    crypto: CryptoProvider,
    scheme: Scheme,
    key: KeyPair,
    home: str,
    method: str,
    url: str,
    body: bytes | None,
    content_type: str | None,
    now: float,
) -> dict[str, str]:
    """The headers of a signed request.

    Args:
        key: the credential key pair; `home` the domain of its identity.
        body: with `content_type`; None for requests without a body.
        now: the service's time as far as known, Unix seconds.
    Errors: "bad-argument", "key-not-found".
    """
    return await _signed(crypto, scheme, key, TAG, {HOME: home}, method, url, body, content_type, now)


async def sign_as_domain(
    crypto: CryptoProvider,
    key: KeyPair,
    domain: str,
    client: bytes,
    identity: str,
    method: str,
    url: str,
    body: bytes,
    content_type: str,
    now: float,
) -> dict[str, str]:
    """The headers of a request that the service of `domain` makes for its client `client` (32 bytes) of `identity`.

    Args:
        key: the Ed25519 domain key pair; the rest as in `sign_request`.
    """
    fields = {HOME: domain, CLIENT: f"{base64url(client)} {identity}"}
    return await _signed(crypto, "ed25519", key, DOMAIN_TAG, fields, method, url, body, content_type, now)


def read_vouched(field: str) -> tuple[bytes, str]:
    """Whom a `roomkey-client` field names: client id (32 bytes) and identity, as it is written. Errors: "malformed"."""
    name, found, identity = field.partition(" ")
    client = from_base64url(name)
    if not found or len(client) != hashlib.sha256().digest_size:
        raise RoomkeyError("malformed", "roomkey-client: expected a client id, a space and an identity")
    return client, identity


async def _signed(
    crypto: CryptoProvider,
    scheme: Scheme,
    key: KeyPair,
    tag: str,
    fields: Mapping[str, str],
    method: str,
    url: str,
    body: bytes | None,
    content_type: str | None,
    now: float,
) -> dict[str, str]:
    headers = dict(fields)
    components: tuple[str, ...] = (*REQUEST_LINE, *fields)
    if body is not None:
        if content_type is None:
            raise RoomkeyError("bad-argument", "expected a content type with a body")
        headers |= {"content-type": content_type, "content-digest": content_digest(body)}
        components += BODY
    signature_input = SignatureInput(
        components,
        created=int(now),
        nonce=base64url(crypto.random(NONCE_BYTES)),
        keyid=base64url(client_id(key.public)),
        tag=tag,
    )
    base = signature_base(request_target(method, url) | headers, signature_input)
    (signature,) = await crypto.sign([SignItem(scheme, key, base)])
    return headers | {
        "signature-input": f"{_LABEL}={signature_input.serialise()}",
        "signature": f"{_LABEL}=:{base64.b64encode(signature).decode('ascii')}:",
    }


def parse_signature(signature_input: str, signature: str) -> tuple[SignatureInput, bytes]:
    """The one signature of a request, from its two fields.

    A strict subset of RFC 8941: one member in each field under the same label, components without parameters, the
    parameters of `SignatureInput` once each, everything in the form it would be serialised in. Errors: "malformed".
    """
    if len(signature_input) > MAX_FIELD or len(signature) > MAX_FIELD:
        raise RoomkeyError("malformed", f"expected at most {MAX_FIELD} characters of signature")
    member = _MEMBER.match(signature_input)
    value = _INNER_LIST.fullmatch(signature_input, member.end()) if member else None
    found = _SIGNATURE.fullmatch(signature)
    if member is None or value is None or found is None or found[1] != member[1]:
        raise RoomkeyError("malformed", "expected one signature and its input under one label")
    components = tuple(item[1] for item in _ITEM.finditer(value["items"]))
    if len(set(components)) != len(components) or not all(_NAME.fullmatch(name) for name in components):
        raise RoomkeyError("malformed", "expected plain component names, each once")
    parsed = _with_parameters(components, value["parameters"])
    if signature_input[member.end() :] != parsed.serialise():
        raise RoomkeyError("malformed", "expected Signature-Input in its strict form")
    try:
        raw = base64.b64decode(found[2], validate=True)
    except (ValueError, binascii.Error):
        raise RoomkeyError("malformed", "expected a base64 signature") from None
    return parsed, raw


def _with_parameters(components: tuple[str, ...], text: str) -> SignatureInput:
    values: dict[str, str | int] = {}
    pos = 0
    while pos < len(text):
        match = _PARAMETER.match(text, pos)
        if match is None or match[1] in values:
            raise RoomkeyError("malformed", "expected signature parameters, each once")
        name, number = match[1], match[3]
        if (name in ("created", "expires")) != (number is not None) or name not in _PARAMETERS:
            raise RoomkeyError("malformed", "expected known signature parameters of the right type")
        values[name] = int(number) if number is not None else _unquoted(match[2])
        pos = match.end()
    return SignatureInput(components, order=tuple(values), **values)  # type: ignore[arg-type]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", text)
