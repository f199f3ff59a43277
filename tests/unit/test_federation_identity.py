"""One form for every identity; one table for every code point."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roomkey.errors import RoomkeyError
from roomkey.federation import code_points
from roomkey.federation.identity import canonicalise, check_domain, check_identity, domain_of


@pytest.mark.parametrize(
    ("typed", "identity"),
    [
        ("alice@email1.example", "alice@email1.example"),
        ("  Alice@EMAIL1.Example. \n", "alice@email1.example"),
        ("a.b_c+d-e@x-1.example", "a.b_c+d-e@x-1.example"),
        ("bob@bücher.example", "bob@xn--bcher-kva.example"),
        ("bob@BÜCHER.example", "bob@xn--bcher-kva.example"),
        ("bob@bu\u0308cher.example", "bob@xn--bcher-kva.example"),  # the same letter in two code points
        ("bob@xn--bcher-kva.example", "bob@xn--bcher-kva.example"),
        ("bob@例え.テスト", "bob@xn--r8jz45g.xn--zckzah"),
        ("a" * 64 + "@localhost", "a" * 64 + "@localhost"),
    ],
)
def test_what_people_type(typed: str, identity: str) -> None:
    assert canonicalise(typed) == identity
    assert check_identity(identity.encode()) == identity
    assert canonicalise(identity) == identity


REFUSED = [
    "", "@", "alice", "alice@", "@email.example", "a@b@c.example", "a b@c.example", "a@b..example", "a@.example",
    "a@-b.example", "a@b-.example", "a@b_c.example", "a@b/c.example", "a@192.0.2.1", "a@" + "b" * 64 + ".example",
    "a" * 65 + "@email.example", "a@" + "b." * 126 + "example", "a\u0000@b.example", "a'--@b.example",
    "a@xn--.example", "a@xn--a.example", "a@ab--cd.example", "a@xn--bcher-kvb-.example", "a@xn--zca.example",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_refused_in_every_form(text: str) -> None:
    with pytest.raises(RoomkeyError) as caught:
        canonicalise(text)
    assert caught.value.code == "invalid-identity"
    with pytest.raises(RoomkeyError) as caught:
        check_identity(text.encode())
    assert caught.value.code == "identity-not-canonical"
    assert text == "" or text not in caught.value.text


@pytest.mark.parametrize(
    "typed",
    [
        "älice@email.example",  # the local part stays ASCII: look-alikes
        "\u0430lice@email.example",  # a Cyrillic a
        "bob@fa\u00df.example",  # two domains, by two standards
        "bob@\u03c2.example",
        "bob@a\u200db.example",
        "bob@a\u3002b.example",  # a dot that is none
        "bob@\u2488com.example",
        "bob@\u0627a.example",  # right to left mixed with left to right
        "bob@" + "ü" * 80 + ".example",
    ],
)
def test_what_has_no_single_meaning(typed: str) -> None:
    with pytest.raises(RoomkeyError) as caught:
        canonicalise(typed)
    assert caught.value.code == "invalid-identity"


@pytest.mark.parametrize(
    "data",
    [
        b"Alice@email.example", b"alice@Email.example", b"alice@email.example.", b" alice@email.example",
        b"alice@email.example\n", "bob@bücher.example".encode(), b"\xff@email.example", b"a" * 100_000,
        b"bob@xn--Bcher-kva.example",
    ],
)  # fmt: skip
def test_the_wire_is_compared_and_not_mended(data: bytes) -> None:
    with pytest.raises(RoomkeyError) as caught:
        check_identity(data)
    assert caught.value.code == "identity-not-canonical"


names = st.text(max_size=60).map(lambda text: f"a@{text}".encode("utf-8", "replace"))


@given(st.one_of(st.binary(max_size=400), names))
def test_any_bytes_are_an_identity_or_our_error(data: bytes) -> None:
    try:
        identity = check_identity(data)
    except RoomkeyError:
        return
    assert identity.encode() == data
    assert canonicalise(identity) == identity


@given(st.text(max_size=60))
def test_any_text_is_canonicalised_or_our_error(text: str) -> None:
    for typed in (text, f"a@{text}.example"):
        try:
            identity = canonicalise(typed)
        except RoomkeyError:
            continue
        assert check_identity(identity.encode()) == identity


def test_domains() -> None:
    assert domain_of("alice@email1.example") == "email1.example"
    assert check_domain("email1.example") == "email1.example"
    for domain in ("Email1.example", "", "email1.example.", "127.0.0.1", "bücher.example"):
        with pytest.raises(RoomkeyError):
            check_domain(domain)


SUITE_TABLE = [(0x0000, 0x0002), (0x0001, 0x0001), (0x0003, 0x0003), (0x0004, 0x0004), (0xFFFF, 0xFFFF)]


@pytest.mark.parametrize(("draft", "mls"), SUITE_TABLE)
def test_suites_are_translated(draft: int, mls: int) -> None:
    assert code_points.suite_to_mls(draft) == mls
    assert code_points.suite_to_draft(mls) == draft


@pytest.mark.parametrize(
    ("translate", "number"),
    [
        (code_points.suite_to_mls, 0x0002),  # crossed
        (code_points.suite_to_draft, 0x0000),  # reserved
        (code_points.suite_to_mls, 0x10000),
        (code_points.suite_to_mls, -1),
        (code_points.credential_type_to_mls, 2),
        (code_points.credential_type_to_draft, 0),
        (code_points.scheme_of, 0x0804),
    ],
)
def test_numbers_of_the_other_list_are_refused(translate: Callable[[int], object], number: int) -> None:
    with pytest.raises(RoomkeyError) as caught:
        translate(number)
    assert caught.value.code == "malformed"


def test_every_number_translates_back() -> None:
    for draft in range(0x10000):
        if draft != 0x0002:
            assert code_points.suite_to_draft(code_points.suite_to_mls(draft)) == draft
    for draft, mls in ((0, 1), (1, 2)):
        assert code_points.credential_type_to_mls(draft) == mls
        assert code_points.credential_type_to_draft(mls) == draft
    for algorithm in (0x0403, 0x0807):
        assert code_points.algorithm_of(code_points.scheme_of(algorithm)) == algorithm


def test_init_key_sizes() -> None:
    assert [code_points.init_key_size(n) for n in (0, 1, 3, 4)] == [65, 32, 32, None]
