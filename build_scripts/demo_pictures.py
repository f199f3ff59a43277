"""The part of the demo's play that looks at tiles: who is seen, heard, muted, shown a screen of, gone, and why not.

Each thing is done by a page's own button and judged on the others' pages.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from build_scripts.demo_judges import Verdict
from build_scripts.demo_pages import PEOPLE

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

IDENTITIES = {person.name: person.identity for person in PEOPLE}

# Whom each tile shows, how it is locked and why, its frames so far, and the colours of its middle.
TILES = """() => [...document.querySelectorAll("#tiles [data-tile]")].map((tile) => {
  const video = tile.querySelector("video");
  const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
  const context = canvas.getContext("2d");
  if (video.videoWidth > 0) context.drawImage(video, 0, 0, 8, 8);
  return { who: tile.dataset.tile, lock: tile.dataset.lock, video: tile.dataset.video,
           why: tile.querySelector(".why").textContent, says: tile.querySelector("figcaption").textContent,
           speaks: tile.classList.contains("speaks"), frames: video.getVideoPlaybackQuality().totalVideoFrames,
           pixels: [...context.getImageData(2, 2, 4, 4).data].filter((_, at) => at % 4 !== 3) };
})"""

# What each view of the panel made of its bytes; pictures are compared on a coarse grid.
VIEWS = """() => Object.fromEntries([...document.querySelectorAll("#views [data-view]")].map((view) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 12 });
  const context = canvas.getContext("2d");
  context.drawImage(view.querySelector("canvas"), 0, 0, 16, 12);
  return [view.dataset.view, { decoded: view.dataset.decoded, bytes: view.querySelector(".bytes").textContent,
                               pixels: [...context.getImageData(0, 0, 16, 12).data].filter((_, at) => at % 4 !== 3) }];
}))"""

# The same of the panel of packets, and what it says of them all.
PACKETS = """() => {
  const panel = document.getElementById("packets");
  const views = [...panel.querySelectorAll("[data-view]")].map((view) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 12 });
    const context = canvas.getContext("2d");
    context.drawImage(view.querySelector("canvas"), 0, 0, 16, 12);
    const pixels = [...context.getImageData(0, 0, 16, 12).data].filter((_, at) => at % 4 !== 3);
    return [view.dataset.view, { bytes: view.querySelector(".bytes").textContent, pixels }];
  });
  const { outcome = "", epoch = "", passed = 0 } = panel.dataset;
  return { outcome, epoch, passed: Number(passed), ...Object.fromEntries(views) };
}"""

NOT_THE_PICTURE = 25.0  # of 255, mean difference of pixels: what the way shows is at least so far from what was sent

Tile = dict[str, Any]
Until = Callable[[str, Callable[[], bool]], None]


class Pictures:
    """Tiles of the people's pages. `frame`: a person's page by name; `until`: waits, or fails the play."""

    def __init__(self, page: Page, frame: Callable[[str], Frame], until: Until, verdict: Verdict) -> None:
        self._page, self._frame, self._until, self._verdict = page, frame, until, verdict

    def tiles(self, name: str) -> dict[str, Tile]:
        """What a page's tiles show now, by identity."""
        return {tile["who"]: tile for tile in self._frame(name).evaluate(TILES)}

    def judge(self, names: list[str]) -> None:
        """All of `names` see each other and themselves, in motion, and nobody else."""
        people = {IDENTITIES[name] for name in names}
        for name in names:
            before = self.tiles(name)

            def moving(name: str = name, before: dict[str, Tile] = before) -> bool:
                now = self.tiles(name)
                return now.keys() == people and all(
                    tile["lock"] == "protected"
                    and max(tile["pixels"]) > 0
                    and tile["frames"] > (before[who]["frames"] if who in before else 0)
                    for who, tile in now.items()
                )

            self._until(f"{name} to see {len(people)} moving pictures", moving)
            self._verdict.check(True, f"{name} sees {len(people)} moving pictures, each sealed, and nobody else’s")

    def play(self) -> None:
        """Everything that a person can do with a picture and a voice, each seen by the two others."""
        self._in_view()
        self._hide("alice")
        self._hum_and_mute("bob")
        self._share("bob")
        self._hang_up_and_come_by_camera("carol")

    # -- what one person does --

    def _in_view(self) -> None:
        """The epoch and the safety number stand above the tiles on each page."""
        for name in IDENTITIES:
            frame = self._frame(name)
            self._verdict.check(
                frame.locator("#epoch").is_visible() and frame.locator("#digits").is_visible(),
                f"{name} has the epoch and the digits in view",
            )

    def _hide(self, name: str) -> None:
        for video, why in (("none", "picture off"), ("camera", "")):

            def instead(tile: Tile, video: str = video, why: str = why) -> bool:
                return bool(tile["video"] == video and why in tile["why"])

            self._press(name, "hide-camera")
            self._seen_by_others(name, f"({video})", instead)
        self._verdict.check(True, f"{name} turns the picture off and on, and the others’ tiles say so in its place")

    def _hum_and_mute(self, name: str) -> None:
        self._press(name, "hum")
        self._seen_by_others(name, "to speak", lambda tile: tile["speaks"])
        self._verdict.check(True, f"{name} hums, and the others’ tiles show who speaks")
        self._press(name, "mute")
        self._seen_by_others(name, "to be muted", lambda tile: not tile["speaks"] and "muted" in tile["says"])
        self._press(name, "mute")
        self._seen_by_others(name, "to speak again", lambda tile: tile["speaks"] and "muted" not in tile["says"])
        self._press(name, "hum")
        self._seen_by_others(name, "to be quiet", lambda tile: not tile["speaks"])
        self._verdict.check(True, f"{name} is muted and heard again, and the others’ tiles say so")

    def _share(self, name: str) -> None:
        before = {other: self.tiles(other)[IDENTITIES[name]] for other in self._others(name)}
        self._press(name, "share-screen")

        def another(tile: Tile) -> bool:
            return tile["video"] == "screen" and all(
                _apart(tile["pixels"], one["pixels"]) > 0 for one in before.values()
            )

        self._seen_by_others(name, "to show a screen", another)
        self._press(name, "share-screen")
        self._seen_by_others(name, "to show the picture again", lambda tile: tile["video"] == "camera")
        self._verdict.check(True, f"{name} shares a screen and stops, and the others see it in place of the picture")

    def _hang_up_and_come_by_camera(self, name: str) -> None:
        """Leaves the pictures, not the conference, and comes back by camera, the browser's made-up one."""
        self._press(name, "hang-up")
        for other in self._others(name):
            self._until(f"{name}’s tile to go from {other}’s page", functools.partial(self._lacks, other, name))
        self._verdict.check(self.tiles(name) == {}, f"{name} hangs up, and no page shows {name} any more")
        self._press(name, "join-camera")
        self.judge(list(IDENTITIES))
        self._verdict.check(True, f"{name} is back, by camera")

    def why_not(self, seen_by: str, name: str) -> None:
        """Waits until a tile that has no picture says why."""

        def said() -> bool:
            tile = self.tiles(seen_by).get(IDENTITIES[name])
            return tile is None or (tile["lock"] != "protected" and tile["why"] != "")

        self._until(f"{seen_by}’s page to say why {name} is not seen", said)
        tile = self.tiles(seen_by).get(IDENTITIES[name])
        self._verdict.check(True, f"{seen_by}’s page says of {name}: {'gone' if tile is None else tile['why']}")

    def frame_seen_three_times(self) -> None:
        """Catches one frame: both ends have the same, and what travels makes no picture of it."""
        page = self._page
        page.locator("#catch").click()
        self._until("a frame to be caught", lambda: page.locator("#views").is_visible())
        views = page.evaluate(VIEWS)
        sender, relay, receiver = (views[name] for name in ("sender", "relay", "receiver"))
        verdict = self._verdict
        whole = page.locator("#one-frame").get_attribute("data-outcome") == "same"
        verdict.check(whole, "one frame is the same on its sender’s and on its receiver’s page")
        drawn = sender["decoded"] == receiver["decoded"] == "drawn" and max(sender["pixels"]) > 0
        verdict.check(drawn and sender["pixels"] == receiver["pixels"], "both draw the same picture of it")
        noise = relay["decoded"] == "refused" or _apart(relay["pixels"], sender["pixels"]) > NOT_THE_PICTURE
        verdict.check(noise, f"what travels makes no such picture (a decoder: {relay['decoded']})")
        verdict.check(relay["bytes"] != sender["bytes"] == receiver["bytes"], "nor are its bytes the frame’s")

    def packets_through_a_relay(self) -> None:
        """A picture runs as SRTP packets through the stage, which cannot open them, also while the keys change."""
        self._page.locator("#packets-run").click()
        self._until("a packet to be seen at both ends", lambda: self._packets()["outcome"] == "same")
        verdict = self._verdict
        verdict.check(True, "one SRTP packet is the same on its sender’s page, at the relay and on its receiver’s page")
        # Packets come before the first picture that the receiver can decode.
        self._until("the receiver to show the picture", lambda: shows_the_same(self._packets()))
        verdict.check(True, "the receiver shows the sender’s picture")
        shown = self._packets()
        sender, relay, receiver = (shown[name] for name in ("sender", "relay", "receiver"))
        noise = _apart(sender["pixels"], relay["pixels"])
        verdict.check(noise > NOT_THE_PICTURE, f"what the relay has is no such picture ({noise:.0f} off)")
        verdict.check(
            relay["bytes"][36:120] != sender["bytes"][36:120] == receiver["bytes"][36:120], "nor are its bytes"
        )
        verdict.check(shown["epoch"] == self._epoch("alice"), f"its key is of the call’s epoch, {shown['epoch']}")
        self._frame("alice").locator("#step-call > summary").click()  # where the button is
        self._press("alice", "update-keys")
        self._until("packets of the next epoch", lambda: int(self._packets()["epoch"]) == int(shown["epoch"]) + 1)
        more = self._packets()
        moves = more["outcome"] == "same" and more["passed"] > shown["passed"]
        verdict.check(moves, f"after {more['passed']} packets it runs on, under the keys of epoch {more['epoch']}")

    def stop_packets(self) -> None:
        self._page.locator("#packets-run").click()
        self._until("the packets to stop", lambda: self._packets()["outcome"] == "")

    # -- inside --

    def _packets(self) -> dict[str, Any]:
        found: dict[str, Any] = self._page.evaluate(PACKETS)
        return found

    def _epoch(self, name: str) -> str | None:
        return self._frame(name).locator("#call").get_attribute("data-epoch")

    def _press(self, name: str, button: str) -> None:
        self._frame(name).locator(f"#{button}").click()

    def _others(self, name: str) -> list[str]:
        return [other for other in IDENTITIES if other != name]

    def _lacks(self, seen_by: str, name: str) -> bool:
        return IDENTITIES[name] not in self.tiles(seen_by)

    def _seen_by_others(self, name: str, what: str, fits: Callable[[Tile], bool]) -> None:
        for other in self._others(name):

            def seen(other: str = other) -> bool:
                tile = self.tiles(other).get(IDENTITIES[name])
                return tile is not None and fits(tile)

            self._until(f"{other} to see {name} {what}", seen)


def shows_the_same(shown: dict[str, Any]) -> bool:
    """Whether sender and receiver show the same, a moment apart, and something at all."""
    sender, receiver = shown["sender"]["pixels"], shown["receiver"]["pixels"]
    return max(sender) > 0 and _apart(sender, receiver) < NOT_THE_PICTURE


def _apart(one: list[int], other: list[int]) -> float:
    """The mean difference of two pictures' values."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)
