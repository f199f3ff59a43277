"""The choice of a suite, as a table."""

from __future__ import annotations

import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.negotiation import (
    CHOICES,
    Offer,
    check_not_downgraded,
    choose,
    common,
    leaf_offer,
    own_offer,
)
from roomkey.mls.leaf_node import Capabilities

PQ = 0xF0C1


@pytest.mark.parametrize(
    ("offers", "best_first"),
    [
        ([{1, 2, 3}], (1, 3, 2)),
        ([{1, 2, 3}, {2, 3}], (3, 2)),
        ([{2, 3}, {1, 3}, {1, 2, 3}], (3,)),
        ([{2}, {2}], (2,)),
        ([{1}, {2}], ()),
        ([{1, 2}, {2, 3}, {1, 3}], ()),
        ([{7}, {7}], ()),  # a suite that stands in no list of ours is nobody's choice
        ([{1}, set()], ()),
        ([{1, 2, 3, PQ}, {1, 2, 3, PQ}], (PQ, 1, 3, 2)),  # all asked for the experimental one
        ([{1, 2, 3, PQ}, {1, 2, 3}], (1, 3, 2)),  # one did not
        ([{PQ}, {1, 2, 3}], ()),
    ],
)
def test_choice(offers: list[set[int]], best_first: tuple[int, ...]) -> None:
    parties = [own_offer(f"p{n}@email.example", suites) for n, suites in enumerate(offers)]
    for order in (parties, parties[::-1]):  # whoever asks gets the same answer
        assert common(order) == best_first
        if best_first:
            assert choose(order) == best_first[0]
        else:
            with pytest.raises(RoomkeyError) as caught:
                choose(order)
            assert caught.value.code == "no-common-suite"


def test_no_common_suite_names_who_offers_what() -> None:
    with pytest.raises(RoomkeyError) as caught:
        choose([own_offer("a@email1.example", [3, 1]), own_offer("b@email2.example", [2]), own_offer("c@d.test", [])])
    offers = caught.value.details["offers"]
    assert offers == "a@email1.example: 0x0001 0x0003; b@email2.example: 0x0002; c@d.test: none"
    assert "email1" not in caught.value.text


@pytest.mark.parametrize(
    ("offers", "host", "expected"),
    [
        ({"a": [{1, 3}], "b": [{2}], "c": [{3}]}, None, (3, "a c")),
        ({"a": [{1, 3}], "b": [{2}], "c": [{3}]}, "b", (2, "b")),
        ({"a": [{1, 2}], "b": [{2}], "c": [{1}], "d": [{3}]}, None, (1, "a c")),  # of equals the better suite
        ({"a": [{1}], "b": [{1}, {2}], "c": [{1, 2}]}, None, (1, "a c")),  # b comes with both clients or not at all
        ({"a": [{2}], "b": [set()]}, "b", (None, "")),
        ({"a": [{7}], "b": [{7}]}, None, (None, "")),
    ],
)
def test_who_could_meet(offers: dict[str, list[set[int]]], host: str | None, expected: tuple[int | None, str]) -> None:
    parties = [own_offer(f"{name}@e.example", suites) for name, clients in offers.items() for suites in clients]
    named = None if host is None else f"{host}@e.example"
    texts = set()
    for order in (parties, parties[::-1], sorted(parties, key=str)):  # whoever asks gets the same answer
        with pytest.raises(RoomkeyError) as caught:
            choose(order, host=named)
        details = caught.value.details
        assert (details["suite"], str(details["largest"]).replace("@e.example", "")) == expected
        texts.add(details["offers"])
    assert len(texts) == 1


def test_policy_refuses_and_does_not_reorder() -> None:
    ours, theirs = own_offer("a@b.example", [1, 2, 3]), own_offer("c@d.example", [1, 2, 3])
    assert choose([ours.without({1}), theirs]) == 3
    assert choose([ours.without({1, 3}), theirs]) == 2
    with pytest.raises(RoomkeyError):
        choose([ours.without({1, 2, 3}), theirs])


def test_other_versions_do_not_count() -> None:
    future = Offer("a@b.example", frozenset({(2, 1), (1, 2)}))
    assert common([future]) == (2,)
    capabilities = Capabilities(versions=(1, 0x0A0A), cipher_suites=(3, 0x1A1A))
    assert common([leaf_offer("a@b.example", capabilities)]) == (3,)


@pytest.mark.parametrize(
    ("suite", "offers", "better"),
    [
        (1, [{1, 2, 3}, {1, 2, 3}], None),
        (3, [{1, 2, 3}, {2, 3}], None),
        (3, [{1, 2, 3}, {1, 3}], 1),
        (2, [{2, 3}, {1, 2, 3}], 3),
        (2, [{2, 3}, {1, 2}], None),
        (7, [{7, 2}, {2, 7}], 2),  # a suite outside the list stands behind all of it
        (1, [{1, PQ}, {1, PQ}], PQ),
        (1, [{1, PQ}, {1, 2, 3}], None),
        (PQ, [{1, PQ}, {1, PQ}], None),
        (1, [{2}, {2}], None),  # not better: such leaves are invalid by RFC 9420, and found there
    ],
)
def test_downgrade(suite: int, offers: list[set[int]], better: int | None) -> None:
    parties = [own_offer("p@email.example", suites) for suites in offers]
    if better is None:
        check_not_downgraded(suite, parties)
        return
    with pytest.raises(RoomkeyError) as caught:
        check_not_downgraded(suite, parties)
    assert caught.value.code == "downgrade"
    assert caught.value.details == {"suite": suite, "better": better}


def test_experimental_suites_are_offered_by_who_asked_alone() -> None:
    assert CHOICES["standard"] == (1, 3, 2)
    assert CHOICES["experimental"] == (PQ, 1, 3, 2)
