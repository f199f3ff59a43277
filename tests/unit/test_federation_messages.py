"""The draft's messages: known bytes, round trips, and refusal of everything else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roomkey.crypto import signatures
from roomkey.errors import RoomkeyError
from roomkey.federation import messages
from roomkey.federation.code_points import ECDSA_SECP256R1_SHA256, ED25519, scheme_of
from roomkey.federation.messages import (
    BasicCredential,
    Credential,
    GetUserInitKeyRequest,
    GetUserInitKeyResponse,
    UserInitKey,
    UserInitKeyBundle,
)
from roomkey.host.native_crypto import NativeCrypto
from roomkey.tls import Struct

TYPES: list[type[Struct]] = [
    GetUserInitKeyRequest, UserInitKey, UserInitKeyBundle, GetUserInitKeyResponse, Credential, BasicCredential,
]  # fmt: skip

X25519_KEY = bytes(range(32))
P256_KEY = b"\x04" + bytes(range(64))
ED25519_KEY = bytes(range(100, 132))

REQUEST = bytes.fromhex(
    "0012 616c69636540656d61696c2e6578616d706c"  # identity: 2-byte length
    "04 0001 0000"  # supported_suites: 1-byte length, in bytes
)
CREDENTIAL = (
    bytes.fromhex("00")  # credential_type: basic
    + bytes.fromhex("0012") + b"alice@email.exampl"  # identity: 2-byte length
    + bytes.fromhex("0807")  # algorithm: ed25519
    + bytes.fromhex("0020") + ED25519_KEY  # public_key: 2-byte length
)  # fmt: skip
USER_INIT_KEY = (
    bytes.fromhex("03 aabbcc")  # user_init_key_id: 1-byte length
    + bytes.fromhex("04 0001 0000")  # cipher_suites: 1-byte length, in bytes
    + bytes.fromhex("0065")  # init_keys: 2-byte length of the list
    + bytes.fromhex("0020") + X25519_KEY  # and of each key
    + bytes.fromhex("0041") + P256_KEY
    + CREDENTIAL
    + bytes.fromhex("0004 01020304")  # signature: 2-byte length
)  # fmt: skip
BUNDLE = bytes.fromhex("0005") + b"alice" + USER_INIT_KEY
RESPONSE = len(BUNDLE * 2).to_bytes(4, "big") + BUNDLE * 2  # user_init_keys: 4-byte length

credential = Credential.of(b"alice@email.exampl", ED25519, ED25519_KEY)
user_init_key = UserInitKey(b"\xaa\xbb\xcc", (1, 0), (X25519_KEY, P256_KEY), credential, b"\1\2\3\4")
bundle = UserInitKeyBundle(b"alice", user_init_key)

KNOWN: list[tuple[Struct, bytes]] = [
    (GetUserInitKeyRequest(b"alice@email.exampl", (1, 0)), REQUEST),
    (credential, CREDENTIAL),
    (Credential(1, cert_data=b"\x30\x00"), bytes.fromhex("01 000002 3000")),  # cert_data: 3-byte length
    (user_init_key, USER_INIT_KEY),
    (bundle, BUNDLE),
    (GetUserInitKeyResponse((bundle, bundle)), RESPONSE),
    (GetUserInitKeyResponse(()), bytes(4)),
    (GetUserInitKeyRequest(b"", ()), bytes(3)),
]


def names_field(kind: type[Struct], data: bytes, field: str, code: str = "malformed") -> RoomkeyError:
    with pytest.raises(RoomkeyError) as caught:
        kind.decode(data)
    error = caught.value
    assert error.code == code
    assert field in str(error.details["field"])
    assert "expected" in error.text
    assert "got" in error.text
    return error


@pytest.mark.parametrize(("value", "data"), KNOWN)
def test_known_bytes(value: Struct, data: bytes) -> None:
    assert value.encode() == data
    assert type(value).decode(data) == value


def test_fields_come_back() -> None:
    (one, two) = GetUserInitKeyResponse.decode(RESPONSE).user_init_keys
    assert one == two == bundle
    assert one.user_init_key.init_keys == (X25519_KEY, P256_KEY)
    basic = one.user_init_key.credential.require_basic()
    assert (basic.identity, basic.algorithm, basic.public_key) == (b"alice@email.exampl", ED25519, ED25519_KEY)


def test_signature_covers_all_fields_before_it() -> None:
    assert user_init_key.signed_part() == USER_INIT_KEY[:-6]
    assert UserInitKey.decode(USER_INIT_KEY).signed_part() == USER_INIT_KEY[:-6]


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert data.count(old) == 1
        return data.replace(old, new)

    return change


SUITES = bytes.fromhex("04 0001 0000 0065")
KEYS = bytes.fromhex("0065 0020") + X25519_KEY + bytes.fromhex("0041") + P256_KEY


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda data: data + b"\0", "UserInitKey"),  # trailing bytes
        (lambda data: data[:-1], "signature"),
        (swap(SUITES, bytes.fromhex("03 0001 00 0065")), "cipher_suites"),  # an odd vector
        (swap(SUITES, bytes.fromhex("04 0001 0001 0065")), "cipher_suites"),  # a suite twice
        (swap(SUITES, bytes.fromhex("04 0001 0002 0065")), "cipher_suites"),  # an RFC 9420 number
        (swap(SUITES, bytes.fromhex("02 0001 0065")), "init_keys"),  # more keys than suites
        (swap(SUITES, bytes.fromhex("06 0001 0000 0003 0065")), "init_keys"),  # fewer
        (swap(SUITES, bytes.fromhex("04 0000 0001 0065")), "init_keys"),  # lengths against suites
        (swap(KEYS, bytes.fromhex("0000")), "init_keys"),  # <1..2^16-1>
        (swap(KEYS, bytes.fromhex("0022 0000") + X25519_KEY), "init_keys"),  # an empty key
        (swap(KEYS, bytes.fromhex("0021 0020") + X25519_KEY[:31]), "init_keys"),  # a key that ends after its list
        (swap(CREDENTIAL, b"\x02" + CREDENTIAL[1:]), "credential_type"),
        (swap(CREDENTIAL, CREDENTIAL.replace(b"\x08\x07\x00\x20", b"\x08\x08\x00\x20")), "algorithm"),
        (swap(CREDENTIAL, CREDENTIAL.replace(b"\x08\x07\x00\x20", b"\x04\x03\x00\x20")), "public_key"),
        (swap(CREDENTIAL, b"\x01\0\0\0"), "cert_data"),  # <1..2^24-1>
    ],
)
def test_one_altered_field_is_named(change: Callable[[bytes], bytes], field: str) -> None:
    names_field(UserInitKey, change(USER_INIT_KEY), field)
    altered = BUNDLE.replace(USER_INIT_KEY, change(USER_INIT_KEY))
    with pytest.raises(RoomkeyError):
        GetUserInitKeyResponse.decode(len(altered).to_bytes(4, "big") + altered)


@pytest.mark.parametrize("suites", ["03 000100", "04 00010001", "02 0002"])
def test_requests_are_strict_about_suites(suites: str) -> None:
    names_field(GetUserInitKeyRequest, b"\0\0" + bytes.fromhex(suites), "supported_suites")


def test_unknown_suites_are_kept_with_keys_of_any_length() -> None:
    value = UserInitKey(b"", (0x0A0A, 1), (b"?", X25519_KEY), credential)
    assert UserInitKey.decode(value.encode()) == value


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        (GetUserInitKeyRequest, messages.MAX_REQUEST),
        (UserInitKey, messages.MAX_USER_INIT_KEY),
        (GetUserInitKeyResponse, messages.MAX_RESPONSE),
    ],
)
def test_oversize(kind: type[Struct], limit: int) -> None:
    names_field(kind, bytes(limit + 1), kind.__name__, "too-large")


@pytest.mark.parametrize(("value", "data"), KNOWN)
def test_every_cut_is_refused(value: Struct, data: bytes) -> None:
    for size in range(len(data)):
        with pytest.raises(RoomkeyError):
            type(value).decode(data[:size])


def test_vectors_that_do_not_fit_are_not_encoded() -> None:
    for value in (
        GetUserInitKeyRequest(b"a" * 65536, ()),
        GetUserInitKeyRequest(b"", tuple(range(3, 131))),
        user_init_key.replace(user_init_key_id=bytes(256)),
        Credential(0),
        Credential(2),
    ):
        with pytest.raises(RoomkeyError) as caught:
            value.encode()
        assert caught.value.code == "bad-argument"


# -- properties --

sizes = {0: 65, 1: 32, 3: 32}
identities = st.binary(max_size=80)
credentials = st.one_of(
    st.builds(Credential.of, identities, st.just(ED25519), st.binary(min_size=32, max_size=32)),
    st.builds(Credential.of, identities, st.just(ECDSA_SECP256R1_SHA256), st.binary(min_size=65, max_size=65)),
    st.builds(lambda data: Credential(1, cert_data=data), st.binary(min_size=1, max_size=200)),
)
suite_lists = st.lists(st.integers(0, 0xFFFF).filter(lambda n: n != 2), max_size=127, unique=True).map(tuple)


suite_numbers = st.one_of(st.sampled_from([0, 1, 3]), st.integers(4, 0xFFFF))


@st.composite
def user_init_keys(draw: st.DrawFn) -> UserInitKey:
    suites = draw(st.lists(suite_numbers, min_size=1, max_size=8, unique=True))
    keys = tuple(draw(st.binary(min_size=sizes.get(s, 1), max_size=sizes.get(s, 90))) for s in suites)
    short = st.binary(max_size=255)
    return UserInitKey(draw(short), tuple(suites), keys, draw(credentials), draw(short))


bundles = st.builds(UserInitKeyBundle, identities, user_init_keys())
values: st.SearchStrategy[Struct] = st.one_of(
    st.builds(GetUserInitKeyRequest, st.binary(max_size=300), suite_lists),
    credentials,
    user_init_keys(),
    bundles,
    st.builds(GetUserInitKeyResponse, st.lists(bundles, max_size=4).map(tuple)),
)


@given(values)
def test_decode_of_encode_is_identity(value: Struct) -> None:
    data = value.encode()
    again = type(value).decode(data)
    assert again == value
    for name in value._names:  # and not only by the bytes that decoding keeps
        assert getattr(again, name) == getattr(value, name)
    assert again.replace().encode() == data


@given(st.sampled_from(TYPES), st.one_of(st.binary(max_size=400), st.binary(max_size=65536)))
def test_any_bytes_give_a_message_or_our_error(kind: type[Struct], data: bytes) -> None:
    decodes_or_refuses(kind, data)


@given(values, st.data())
def test_any_damage_gives_a_message_or_our_error(value: Struct, data: st.DataObject) -> None:
    encoded = bytearray(value.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        if encoded:
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    decodes_or_refuses(type(value), bytes(encoded))


@settings(max_examples=20)
@given(st.sampled_from(TYPES), st.binary(min_size=1, max_size=8))
def test_long_inputs_give_a_message_or_our_error(kind: type[Struct], pattern: bytes) -> None:
    decodes_or_refuses(kind, (pattern * 65536)[:65536])


def decodes_or_refuses(kind: type[Struct], data: bytes) -> None:
    try:
        value = kind.decode(data)
    except RoomkeyError:
        return
    assert value.replace().encode() == data  # strict: no two encodings of one value


# -- signatures --


async def signed(algorithm: int) -> tuple[NativeCrypto, UserInitKey]:
    crypto = NativeCrypto()
    (pair,) = await crypto.generate_keys(scheme_of(algorithm), 1)
    who = Credential.of(b"alice@email1.example", algorithm, pair.public)
    unsigned = user_init_key.replace(user_init_key_id=bytes(32), credential=who, signature=b"")
    (made,) = await messages.sign(crypto, [(unsigned, pair)])
    return crypto, made


@pytest.mark.parametrize("algorithm", [ED25519, ECDSA_SECP256R1_SHA256])
async def test_signature_holds_and_every_field_counts(algorithm: int) -> None:
    crypto, good = await signed(algorithm)
    basic = good.credential.require_basic()
    other = P256_KEY[:-1] + b"\xff"
    altered = [
        good.replace(user_init_key_id=b"\1" * 32),  # code of 2019 left the id out
        good.replace(cipher_suites=(0x0003, 0)),
        good.replace(init_keys=(X25519_KEY, other)),
        good.replace(credential=Credential.of(b"mallory@email1.example", basic.algorithm, basic.public_key)),
        good.replace(signature=good.signature[:-1] + bytes([good.signature[-1] ^ 1])),
        good.replace(signature=b""),
    ]
    assert await messages.verify(crypto, [good, *altered]) == [True] + [False] * len(altered)
    assert await messages.verify(crypto, [UserInitKey.decode(good.encode())]) == [True]


async def test_a_signature_without_the_id_is_refused() -> None:
    crypto = NativeCrypto()
    (pair,) = await crypto.generate_keys("ed25519", 1)
    unsigned = user_init_key.replace(credential=Credential.of(b"a@b.example", ED25519, pair.public), signature=b"")
    (short,) = await signatures.sign(crypto, "ed25519", [(pair, unsigned.signed_part()[4:])])
    assert await messages.verify(crypto, [unsigned.replace(signature=short)]) == [False]


async def test_signing_refuses_foreign_keys_and_x509() -> None:
    crypto = NativeCrypto()
    (pair,) = await crypto.generate_keys("ed25519", 1)
    with pytest.raises(RoomkeyError) as caught:
        await messages.sign(crypto, [(user_init_key, pair)])
    assert caught.value.code == "bad-argument"
    x509 = user_init_key.replace(credential=Credential(1, cert_data=b"\x30\x00"))
    with pytest.raises(RoomkeyError) as caught:
        await messages.verify(crypto, [x509])
    assert caught.value.code == "unsupported-credential"
