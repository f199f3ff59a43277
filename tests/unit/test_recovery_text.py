"""Recovery keys as text: what a person writes down is what they type, or an error that helps."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roomkey.client.recovery_text import COUNT, GROUP, LETTERS, read_recovery_text, recovery_text
from roomkey.errors import RoomkeyError

SEED = bytes(range(32))
TEXT = recovery_text(SEED)


def refused(text: str) -> dict[str, object]:
    with pytest.raises(RoomkeyError) as caught:
        read_recovery_text(text)
    assert caught.value.code == "recovery-key-wrong"
    assert not any(word in caught.value.text for word in text.split())
    return dict(caught.value.details)


@given(st.binary(min_size=32, max_size=32))
def test_every_key_comes_back(seed: bytes) -> None:
    text = recovery_text(seed)
    groups = text.split(" ")
    assert [len(group) for group in groups] == [GROUP] * (COUNT // GROUP)
    assert set("".join(groups)) <= set(LETTERS)
    assert read_recovery_text(text) == seed


def test_the_form_stays_what_people_have_written_down() -> None:
    assert TEXT == "AAAAQ HFGLV EQXZW AUTWA XUQWQ FHPGW PFGJC SSZRK VCNQG ESGNN NUAZA XUQHJ"


@pytest.mark.parametrize(
    "typed", [TEXT.lower(), TEXT.replace(" ", ""), TEXT.replace(" ", "-"), f"\n {TEXT[:30]}\r\n\t{TEXT[30:]} \n"]
)
def test_how_it_is_typed_does_not_matter(typed: str) -> None:
    assert read_recovery_text(typed) == SEED


def test_every_wrong_letter_is_noticed() -> None:
    letters = TEXT.replace(" ", "")
    for at, right in enumerate(letters):
        for wrong in LETTERS.replace(right, ""):
            assert refused(letters[:at] + wrong + letters[at + 1 :]) == {}


def test_every_two_letters_that_changed_places_are_noticed() -> None:
    letters = TEXT.replace(" ", "")
    for one in range(COUNT):
        for other in range(one):
            if letters[one] != letters[other]:
                typed = list(letters)
                typed[one], typed[other] = typed[other], typed[one]
                assert refused("".join(typed)) == {}


def test_other_letters_are_noticed() -> None:
    chance = random.Random(4)
    for _ in range(2000):
        refused("".join(chance.choices(LETTERS, k=COUNT)))


@pytest.mark.parametrize(
    ("typed", "details"),
    [
        ("", {"letters": 0}),
        (TEXT[:-1], {"letters": 59}),
        (TEXT + "A", {"letters": 61}),
        ("A" * 100_000, {"letters": 100_000}),
        (TEXT[:7] + "0" + TEXT[8:], {"group": 2}),
        (TEXT[:-1] + "I", {"group": 12}),
        ("é" + TEXT[1:], {"group": 1}),
        ("A" * 60, {}),
        ("Z" * 60, {}),
    ],
)
def test_what_is_none_says_what_is_wrong(typed: str, details: dict[str, object]) -> None:
    assert refused(typed) == details


def test_a_key_of_another_length_is_the_callers_mistake() -> None:
    with pytest.raises(RoomkeyError) as caught:
        recovery_text(bytes(31))
    assert caught.value.code == "bad-argument"
