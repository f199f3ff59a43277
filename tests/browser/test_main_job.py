"""The main job, on real input: three people, two services, one group, and SRTP keys that no service ever sees.

Real parts throughout: both services as processes, the built bundle, the JavaScript API in Chromium, an origin for each.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.support.person_browser import Person, World, agreed, until, world_of

ALICE, BOB, CAROL = "alice@email1.example", "bob@email2.example", "carol@email1.example"
CALL = "stand-up"
PROFILES = {
    "SRTP_AES128_CM_HMAC_SHA1_80": (16, 14),
    "SRTP_AEAD_AES_128_GCM": (16, 12),
    "SRTP_AEAD_AES_256_GCM": (32, 12),
}
BEFORE, AFTER = "the text before Carol went: 4d1f", "the text after Carol went: 9c2e"
ASK_KEYS = "const { keys } = await calls[values.call].srtpKeys({ profile: values.profile }); return keys"
SECRETS = "return await calls[values].exportSecret('test label', new Uint8Array([1, 2]), 48)"


@pytest.fixture(scope="module")
def world(assets: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(assets, chromium, tmp_path_factory.mktemp("services")) as made:
        yield made


def same_keys(*people: Person) -> dict[str, Any]:
    """The SRTP keys of the present epoch, which all these people hold alike: one for each of them, all different."""
    held = [person.keys(CALL) for person in people]
    assert all(one == held[0] for one in held)
    assert sorted(held[0]["keys"]) == sorted(person.identity for person in people)
    parts = [part for key in held[0]["keys"].values() for part in key]
    assert len(set(parts)) == 2 * len(people)
    return held[0]


def forms_of(secret: bytes) -> set[bytes]:
    """A secret as a service might have it: raw, in hex, and inside base64 at any offset."""
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret)
        inner = text[-(-shift * 8 // 6) : (shift + len(secret)) * 8 // 6]
        forms |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return forms


def test_three_people_key_a_call_and_remove_one(world: World) -> None:
    alice, bob, carol = (world.person(name).load() for name in (ALICE, BOB, CAROL))
    alice.enrol()
    bob.enrol(publish=2)
    carol.enrol(publish=2)

    # fetch: proved, from each one's own service
    fetched = alice.do("const { keys, missing } = await me.fetchInitKeys(values); globalThis.keys = keys;"
                       "return { keys, missing }", [BOB, CAROL])  # fmt: skip
    assert fetched["missing"] == []
    assert [(item["identity"], item["service"]["domain"], item["verified"]["by"]) for item in fetched["keys"]] == [
        (BOB, "email2.example", "first-use"),
        (CAROL, "email1.example", "first-use"),
    ]
    assert all(client["suites"] and len(bytes.fromhex(client["clientId"])) == 32
               for item in fetched["keys"] for client in item["clients"])  # fmt: skip

    # form one group
    alice.do("await me.createConference({ name: values })", CALL)
    alone = alice.keys(CALL)
    invited = alice.do("return await calls[values].invite(keys)", CALL)
    assert (invited["epoch"], {member["identity"] for member in invited["added"]}) == (1, {BOB, CAROL})
    for person in (bob, carol):
        person.accept(CALL)
    together = agreed(CALL, alice, bob, carol)
    assert (together["epoch"], together["suite"]["number"], together["ordering"]) == (1, 1, "email1.example")
    assert sum(map(str.isdigit, together["digits"])) == 30

    # the same keys, in every profile
    first = same_keys(alice, bob, carol)
    secrets: list[str] = [part for key in (*alone["keys"].values(), *first["keys"].values()) for part in key]
    for profile, sizes in PROFILES.items():
        held = [person.do(ASK_KEYS, {"call": CALL, "profile": profile}) for person in (alice, bob, carol)]
        for key in held[0]:
            assert (len(key["masterKey"]) // 2, len(key["masterSalt"]) // 2) == sizes
            secrets += [key["masterKey"], key["masterSalt"]]
        assert all(
            [{**key, "own": False} for key in keys] == [{**key, "own": False} for key in held[0]] for keys in held
        )
    exported = {person.do(SECRETS, CALL) for person in (alice, bob, carol)}
    assert len(exported) == 1
    secrets += exported

    # talk
    alice.say(CALL, BEFORE)
    for person in (bob, carol):
        person.hears(CALL, BEFORE)

    # remove Carol
    alice.do("await calls[values[0]].remove(values[1])", [CALL, CAROL])
    after = agreed(CALL, alice, bob)
    assert (after["epoch"], after["digits"] != together["digits"]) == (2, True)
    second = same_keys(alice, bob)
    new = {part for key in second["keys"].values() for part in key}
    assert not new & set(secrets)
    secrets += [*new, alice.do(SECRETS, CALL)]

    # Carol is told by whom, and holds nothing of the new epoch
    (ended,) = until("carol to hear of it", lambda: carol.heard(CALL, "ended"))
    assert (ended["reason"], ended["by"]["identity"]) == ("removed", ALICE)
    assert (carol.look(CALL)["status"], carol.look(CALL)["digits"]) == ("removed", "")
    for body in ("await keysOf(values)", "await say(values, 'still here')", "await calls[values].update()", SECRETS):
        carol.refused("not-a-member", body, CALL)
    bob.say(CALL, AFTER)
    alice.hears(CALL, AFTER)
    assert carol.texts(CALL) == [BEFORE]

    # no service has any key or text: neither in its tables nor in its write-ahead log
    stored = world.services.stored()
    assert all(person.identity.encode() in stored for person in (alice, bob, carol))  # so that we look where things are
    for secret in secrets:
        assert not any(form in stored for form in forms_of(bytes.fromhex(secret)))
    for text in (BEFORE, AFTER, together["digits"], after["digits"], CALL):
        assert not any(form in stored for form in forms_of(text.encode()))

    # nothing left the page's origin and the services
    for person in (alice, bob, carol):
        origins = {
            f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, person.requests) if parts.scheme != "data"
        }
        assert origins == {person.origin, *world.services.urls}
        assert person.heard(person.identity, "error") == person.heard(CALL, "error") == []
