"""HTTP Message Signatures: RFC 9421's own example, our form, and what the parser refuses."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roomkey.crypto.provider import VerifyItem
from roomkey.crypto.suites import Scheme
from roomkey.errors import RoomkeyError
from roomkey.federation.requests import (
    SignatureInput,
    authority,
    base64url,
    client_id,
    content_digest,
    from_base64url,
    parse_signature,
    request_target,
    sign_request,
    signature_base,
)
from roomkey.host.native_crypto import NativeCrypto

# RFC 9421 appendix B.1.4 (test-key-ed25519) and B.2.6
KEY = from_base64url("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs")
INPUT = (
    'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
SIGNATURE = "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"
REQUEST = {
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "content-type": "application/json",
    "content-length": "18",
    **request_target("POST", "https://example.com/foo?param=Value&Pet=dog"),
}
BASE = b"""\
"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")\
;created=1618884473;keyid="test-key-ed25519\""""


async def test_rfc_9421_example() -> None:
    parsed, signature = parse_signature(INPUT, SIGNATURE)
    assert parsed.created == 1618884473
    assert parsed.keyid == "test-key-ed25519"
    base = signature_base(REQUEST, parsed)
    assert base == BASE
    assert await NativeCrypto().verify([VerifyItem("ed25519", KEY, base, signature)]) == [True]
    altered = signature_base(REQUEST | {"content-length": "19"}, parsed)
    assert await NativeCrypto().verify([VerifyItem("ed25519", KEY, altered, signature)]) == [False]


def test_rfc_9530_example() -> None:
    # RFC 9530 appendix D, sha-256 of {"hello": "world"} and a line feed
    assert content_digest(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


@pytest.mark.parametrize("scheme", ["ed25519", "ecdsa_secp256r1_sha256"])
async def test_what_we_sign_verifies(scheme: Scheme) -> None:
    crypto = NativeCrypto()
    (key,) = await crypto.generate_keys(scheme, 1)
    url = "http://Alice.demo.localhost:80/v1/messages"
    headers = await sign_request(crypto, scheme, key, "email1.example", "POST", url, b"body", "application/x", 1000.9)
    parsed, signature = parse_signature(headers["signature-input"], headers["signature"])
    assert (parsed.created, parsed.keyid, parsed.tag) == (1000, base64url(client_id(key.public)), "roomkey")
    assert parsed.components == (
        "@method", "@authority", "@path", "@query", "roomkey-home", "content-type", "content-digest",
    )  # fmt: skip
    assert len(signature) == 64
    values = headers | {
        "@method": "POST", "@authority": "alice.demo.localhost", "@path": "/v1/messages", "@query": "?",
    }  # fmt: skip
    base = signature_base(values, parsed)
    assert base[0] == 0x22  # apart from everything else this key signs (wire.md section 2)
    assert await crypto.verify([VerifyItem(scheme, key.public, base, signature)]) == [True]


async def test_nonces_differ() -> None:
    crypto = NativeCrypto()
    (key,) = await crypto.generate_keys("ed25519", 1)
    made = [
        await sign_request(crypto, "ed25519", key, "e.example", "GET", "https://e.example/", None, None, 1)
        for _ in "ab"
    ]
    assert made[0]["signature-input"] != made[1]["signature-input"]


@pytest.mark.parametrize(
    ("netloc", "scheme", "expected"),
    [
        ("Example.COM", "https", "example.com"),
        ("example.com:443", "https", "example.com"),
        ("example.com:443", "http", "example.com:443"),
        ("example.com:8443", "https", "example.com:8443"),
        ("[::1]", "http", "[::1]"),
        ("[::1]:80", "http", "[::1]"),
    ],
)
def test_authority(netloc: str, scheme: str, expected: str) -> None:
    assert authority(netloc, scheme) == expected


GOOD = 'a=("@method" "@path");created=1;nonce="n";keyid="k";tag="roomkey"'
SIG = "a=:AAAA:"


@pytest.mark.parametrize(
    ("signature_input", "signature"),
    [
        ("", ""),
        (GOOD, ""),
        (GOOD, "b=:AAAA:"),  # another label
        (GOOD + ', b=("@method");created=1', SIG),  # two members
        (GOOD, SIG + ", b=:AAAA:"),
        (GOOD, "a=:AAA:"),  # no base64
        (GOOD, 'a="AAAA"'),  # no byte sequence
        (GOOD + ";created=2", SIG),  # a parameter twice
        (GOOD + ";foo=1", SIG),  # an unknown one
        (GOOD + " ;expires=2", SIG),  # not the strict form
        (GOOD + ";expires=02", SIG),
        (GOOD + ';expires="2"', SIG),  # the wrong type
        (GOOD + ";alg=5", SIG),
        (GOOD + ";expires", SIG),  # a boolean
        ('a=("@method" "@method");created=1', SIG),  # a component twice
        ('a=("@method"  "@path");created=1', SIG),  # two spaces
        ('a=("@method";req "@path");created=1', SIG),  # component parameters
        ('a=("@Method");created=1', SIG),
        ('a=("a\\"b");created=1', SIG),
        ("a=(method);created=1", SIG),  # a token
        ('a="@method";created=1', SIG),  # no inner list
        ('A=("@method");created=1', "A=:AAAA:"),  # no key
        ('a=("@method");created=1000000000000000', SIG),  # 16 digits
        ('a=("@method");keyid="\x7f"', SIG),
        ('a=("@method");keyid="é"', SIG),
        ("a=(" + " ".join(['"x"'] * 3000) + ")", SIG),
    ],
)
def test_refused_signatures(signature_input: str, signature: str) -> None:
    with pytest.raises(RoomkeyError) as caught:
        parse_signature(signature_input, signature)
    assert caught.value.code == "malformed"


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_refused_or_parsed(signature_input: str, signature: str) -> None:
    with contextlib.suppress(RoomkeyError):
        parse_signature(signature_input, signature)


_printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)


@given(_printable, _printable, st.integers(0, 10**15 - 1), st.binary(max_size=80))
def test_serialised_inputs_parse_back(nonce: str, keyid: str, created: int, raw: bytes) -> None:
    made = SignatureInput(
        ("@method", "x-y"), created=created, nonce=nonce, keyid=keyid, order=("created", "nonce", "keyid")
    )
    signature = base64.b64encode(raw).decode()
    assert parse_signature(f"l={made.serialise()}", f"l=:{signature}:") == (made, raw)


def test_a_component_cannot_add_a_line() -> None:
    parsed = SignatureInput(("x",))
    for value in ("a\nb", "a\rb", "é"):
        with pytest.raises(RoomkeyError, match="one line of ASCII"):
            signature_base({"x": value}, parsed)
    with pytest.raises(RoomkeyError, match="every covered component"):
        signature_base({}, parsed)


@pytest.mark.parametrize("text", ["A", "AA=", "AA==", "A+==", "AB", "A A", "AAé", "\n"])
def test_base64url_has_one_form(text: str) -> None:
    with pytest.raises(RoomkeyError):
        from_base64url(text)


@given(st.binary(max_size=50))
def test_base64url_there_and_back(data: bytes) -> None:
    assert from_base64url(base64url(data)) == data
