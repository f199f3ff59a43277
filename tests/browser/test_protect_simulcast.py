"""Simulcast under protection: each layer that a sender makes of its picture arrives as itself, and opens.

A media server chooses among the layers by their RID. Here the receiver is told that RIDs are MIDs (their header
extensions change places in what each side hears of the other), so that all layers come to one page, as streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from build_scripts import browser as browsers
from tests.support.person_browser import Person, until
from tests.support.protected_calls import RED, is_colour, media_chromium, media_world, opens, ready

ALICE, BOB = "alice@email1.example", "bob@email2.example"
CALL = "layers"
LAYERS = {"q": 4, "h": 2, "f": 1}  # how many times smaller
SIZE = (1280, 720)  # of the smaller ones Chromium makes fewer layers
MID, RID = "urn:ietf:params:rtp-hdrext:sdes:mid", "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
ABOUT_LAYERS = ("a=rid:", "a=simulcast:", "a=ssrc", "a=msid:")
SEEN = """const { pc } = media.peers[values];
    return Promise.all(pc.getTransceivers().map(async ({ mid, receiver }) => {
      const elements = [...document.querySelectorAll("video")];
      const element = elements.find(({ srcObject }) => srcObject.getTracks()[0] === receiver.track);
      const size = [element?.videoWidth ?? 0, element?.videoHeight ?? 0];
      const canvas = new OffscreenCanvas(Math.max(size[0], 1), Math.max(size[1], 1));
      const context = canvas.getContext("2d");
      if (size[0] > 0) context.drawImage(element, 0, 0);
      const colour = Array.from(context.getImageData(size[0] / 2, size[1] / 2, 1, 1).data.slice(0, 3));
      const stats = [...(await receiver.getStats()).values()].find(({ type }) => type === "inbound-rtp");
      return { mid, size, colour, frames: stats?.framesDecoded ?? 0 };
    }));"""


@pytest.fixture(scope="module")
def chromium(found_browser: browsers.Browser) -> Iterator[Browser]:
    with media_chromium(found_browser) as running:
        yield running


@pytest.fixture
def pair(assets: Path, chromium: Browser, tmp_path: Path) -> Iterator[tuple[Person, Person]]:
    with media_world(assets, chromium, tmp_path) as world:
        alice, bob = (ready(world.person(name).load().enrol(publish=2)) for name in (ALICE, BOB))
        alice.call(CALL, bob)
        yield alice, bob


def swapped(section: list[str]) -> list[str]:
    """With the extensions of MID and RID in each other's place."""
    return [line.replace(MID, "*").replace(RID, MID).replace("*", RID) for line in section]


def sections(sdp: str) -> list[list[str]]:
    """The lines of the session, then those of each medium."""
    found: list[list[str]] = [[]]
    for line in sdp.split("\r\n"):
        if line.startswith("m="):
            found.append([])
        if line:
            found[-1].append(line)
    return found


def joined(session: list[str], mids: list[str], media: list[list[str]]) -> str:
    head = [f"a=group:BUNDLE {' '.join(mids)}" if line.startswith("a=group:BUNDLE") else line for line in session]
    return "\r\n".join([*head, *(line for section in media for line in section), ""])


def as_streams(offer: dict[str, str]) -> dict[str, str]:
    """An offer of layers as an offer of as many streams."""
    session, video = sections(offer["sdp"])
    plain = [line for line in swapped(video) if not line.startswith(ABOUT_LAYERS)]
    media = [[f"a=mid:{rid}" if line.startswith("a=mid:") else line for line in plain] for rid in LAYERS]
    return {"type": "offer", "sdp": joined(session, list(LAYERS), media)}


def as_layers(answer: dict[str, str], mid: str) -> dict[str, str]:
    """The answer to it as one to the offer of layers."""
    session, first, *_ = sections(answer["sdp"])
    video = [f"a=mid:{mid}" if line.startswith("a=mid:") else line for line in swapped(first)]
    video += [*(f"a=rid:{rid} recv" for rid in LAYERS), f"a=simulcast:recv {';'.join(LAYERS)}"]
    return {"type": "answer", "sdp": joined(session, [mid], [video])}


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_every_layer_arrives_as_itself(pair: tuple[Person, Person], codec: str) -> None:
    alice, bob = pair
    layers = [{"rid": rid, "scaleResolutionDownBy": by} for rid, by in LAYERS.items()]
    opens(alice, CALL, conference=CALL, colour=RED, codec=codec, size=SIZE, layers=layers)
    opens(bob, CALL, conference=CALL)
    offer = alice.do("media.offer(values)", CALL)
    answer = bob.do("media.answer(values.name, values.offer)", {"name": CALL, "offer": as_streams(offer)})
    mid = alice.do("media.peers[values].video.mid", CALL)
    alice.do("await media.answered(values.name, values.answer)", {"name": CALL, "answer": as_layers(answer, mid)})
    wanted = {rid: [SIZE[0] // by, SIZE[1] // by] for rid, by in LAYERS.items()}

    def all_there() -> list[dict[str, Any]] | None:
        seen: list[dict[str, Any]] = bob.do(SEEN, CALL)
        sizes = {stream["mid"]: stream["size"] for stream in seen}
        good = all(is_colour(stream["colour"], RED) and stream["frames"] > 5 for stream in seen)
        return seen if sizes == wanted and good else None

    until("all layers to show their picture", all_there)
    # they are alice's, each by a stream of frames of its own, and nothing of them was refused
    states = bob.do("media.states(values)", CALL)
    received = [(state["state"], state["member"]) for state in states if state["direction"] == "receive"]
    assert received == [("protected", ALICE)] * len(LAYERS)
