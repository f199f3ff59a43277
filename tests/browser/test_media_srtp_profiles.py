"""SRTP sessions of pages: every profile, with and without MKI, two that differ, and through successor groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.native_people import Publisher
from tests.support.person_browser import Person, World, agreed, until
from tests.support.protected_calls import GREEN, RED, is_colour, media_chromium
from tests.support.srtp_calls import (
    begins,
    connects,
    counts,
    of,
    passed,
    ready,
    seen,
    sees,
    sends,
    srtp_world,
    state,
    watched,
)

ALICE, BOB = "alice@email1.example", "bob@email2.example"
CALL = "stand-up"
# Bytes that each adds to a packet, without MKI.
TAGS = {"SRTP_AES128_CM_HMAC_SHA1_80": 10, "SRTP_AEAD_AES_128_GCM": 16, "SRTP_AEAD_AES_256_GCM": 16}
MKI_SIZE = 2
WEAK: Final = "ecdsa_secp256r1_sha256"


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture(scope="module")
def world(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("services")
    with srtp_world(assets, chromium, folder, options=["--unsafe-open-enrolment"]) as made:
        yield made


@pytest.fixture(scope="module")
def people(world: World) -> list[Person]:
    alice, bob = (ready(world.person(name).load().enrol(publish=4)) for name in (ALICE, BOB))
    alice.call(CALL, bob)
    return [alice, bob]


@pytest.fixture(autouse=True)
def _stopped(people: list[Person]) -> Iterator[None]:
    yield
    for person in people:
        person.do("for (const name of Object.keys(srtp.sessions)) await srtp.stop(name)")


def mismatches(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.do("srtp.mismatches(values)", CALL)
    return found


def size_added(person: Person) -> int:
    """Bytes that the next packet that is sent has more than its RTP."""
    sample = person.do("srtp.sampleSent(values)", CALL)
    return (len(sample["wire"]) - len(sample["packet"])) // 2


@pytest.mark.parametrize("mki", [True, False], ids=["mki", "no-mki"])
@pytest.mark.parametrize("profile", TAGS)
def test_each_profile_and_commits_under_it(people: list[Person], profile: str, mki: bool) -> None:
    """Also three commits at once: without MKI receivers find the keys by trying, whichever the sender is at."""
    alice, bob = people
    for person in people:
        begins(person, CALL, conference=CALL, profile=profile, mki=mki)
    connects(alice, bob, CALL)
    sends(alice, CALL, RED)
    sends(bob, CALL, GREEN)
    sees(bob, CALL, alice, RED, 10)
    sees(alice, CALL, bob, GREEN, 10)
    assert size_added(alice) == TAGS[profile] + (MKI_SIZE if mki else 0)
    asked, refused = counts(alice, CALL)["refused"], counts(bob, CALL)["refused"]
    for maker in (alice, bob, alice):
        maker.do("await calls[values].update()", CALL)
    agreed(CALL, *people)
    sees(bob, CALL, alice, RED, 40)  # under the newest by now
    sees(alice, CALL, bob, GREEN, 10)
    assert (counts(alice, CALL)["refused"], counts(bob, CALL)["refused"]) == (asked, refused)
    assert all(is_colour(colour, RED) for colour in watched(bob, CALL, alice)["colours"])
    assert [item["states"] for person in people for item in seen(person, CALL)] == [[], []]
    assert [(state(person, CALL)["errors"], mismatches(person)) for person in people] == [([], []), ([], [])]


def test_two_profiles_that_differ_are_told_to_both(people: list[Person]) -> None:
    alice, bob = people
    begins(alice, CALL, conference=CALL, profile="SRTP_AEAD_AES_128_GCM")
    begins(bob, CALL, conference=CALL, profile="SRTP_AEAD_AES_256_GCM")
    connects(alice, bob, CALL, middle="pass")
    sends(alice, CALL, RED)
    until("alice to be told", lambda: mismatches(alice))
    until("bob to be told", lambda: mismatches(bob))
    assert mismatches(alice) == [{"from": BOB, "code": "profile-mismatch", "profile": 8}]
    assert mismatches(bob) == [{"from": ALICE, "code": "profile-mismatch", "profile": 7}]
    until("packets to come", lambda: passed(alice, CALL)["count"] > 30)
    assert (seen(bob, CALL), counts(bob, CALL)["received"]) == ([], 0)
    bob.do("await srtp.stop(values)", CALL)
    begins(bob, CALL, conference=CALL, profile="SRTP_AEAD_AES_128_GCM")
    connects(alice, bob, CALL, again="1")
    sees(bob, CALL, alice, RED)
    assert mismatches(bob) == []


def test_one_with_mki_and_one_without_see_nothing_of_each_other(people: list[Person]) -> None:
    """What MKIs are is not announced: who leaves them out has agreed on that. Nothing is shown, and it is counted."""
    alice, bob = people
    begins(alice, CALL, conference=CALL)
    begins(bob, CALL, conference=CALL, mki=False)
    connects(alice, bob, CALL, middle="pass")
    sends(alice, CALL, RED)
    until("packets to come", lambda: passed(alice, CALL)["count"] > 60)
    assert (seen(bob, CALL), counts(bob, CALL)["received"]) == ([], 0)


@pytest.mark.parametrize("mki", [True, False], ids=["mki", "no-mki"])
def test_streams_go_on_in_a_successor_group(world: World, people: list[Person], tmp_path: Path, mki: bool) -> None:
    """Somebody with a weak suite was in it; once they are gone, it goes on in a better one, and so do the streams."""
    alice, bob = people
    call = f"up-{mki}"
    weak = Publisher(world.services.at("email1.example"), f"weak-{mki}@email1.example".lower(), tmp_path, WEAK)
    weak.enrol(coded=False)
    weak.publish(weak.sets(2, suites=(2,)))
    alice.do(
        "await me.createConference({ name: values.name, meantFor: await fetchAll([values.weak]) })",
        {"name": call, "weak": weak.identity},
    )
    alice.invite(call, bob.identity, weak.identity)
    bob.accept(call)
    agreed(call, alice, bob, members=[alice.identity, bob.identity, weak.identity])
    for person in people:
        begins(person, call, conference=call, mki=mki)
    connects(alice, bob, call)
    sent = sends(alice, call, RED)
    sees(bob, call, alice, RED)
    alice.do("await calls[values[0]].remove(values[1])", [call, weak.identity])
    agreed(call, alice, bob)
    sees(bob, call, alice, RED)
    former = alice.look(call)["epoch"]
    alice.do("await calls[values].upgrade()", call)
    until("bob to follow", lambda: bob.heard(call, "successor"))
    assert agreed(call, *people)["epoch"] <= former  # of the new group, which begins low again
    sees(bob, call, alice, RED, 20)
    assert of(bob, call, alice)["ssrc"] == sent["ssrc"]  # type: ignore[index]
    assert [item["gone"] for item in seen(bob, call)] == [False]
    bob.do("await calls[values].update()", call)
    agreed(call, *people)
    sees(bob, call, alice, RED, 20)
    assert [state(person, call)["errors"] for person in people] == [[], []]
