"""The demo in Firefox: the stage's four steps, three people who see each other, and one who is removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_scripts import demo
from build_scripts.demo_pages import PEOPLE, person_origin, stage_origin
from build_scripts.demo_pictures import IDENTITIES, PACKETS, TILES, VIEWS, shows_the_same
from build_scripts.demo_play import READ, STEPS
from build_scripts.demo_services import Services, free_ports
from tests.support.firefox import Firefox, FirefoxPage
from tests.support.person_browser import until

NAMES = [person.name for person in PEOPLE]
PRESS = """(step) => {
  const button = document.querySelector(`[data-step=${step}]`);
  if (button.disabled) return false;
  button.click();
  return true;
}"""
DONE = "(step) => document.querySelector(`li[data-state=done] [data-step=${step}]`) !== null"
ERROR = "() => document.getElementById('error').hidden ? '' : document.getElementById('error').textContent"


class Stage:
    """The stage in Firefox, and the people's pages in it."""

    def __init__(self, page: FirefoxPage) -> None:
        self.page = page

    def press(self, step: str) -> None:
        until(f"step {step} to begin", lambda: self.page.evaluate(PRESS, step))

        def ended() -> bool:
            assert self.page.evaluate(ERROR) == ""
            return bool(self.page.evaluate(DONE, step))

        until(f"step {step} to end", ended)

    def of(self, name: str, source: str) -> Any:
        """What a script gives on somebody's page."""
        return self.page.evaluate_in(f"#frame-{name} iframe", source)

    def holding(self, name: str) -> Any:
        return self.of(name, READ)

    def see(self, names: list[str]) -> None:
        """Waits until these people see each other in motion, sealed, and nobody else."""
        people = {IDENTITIES[name] for name in names}
        for name in names:
            before = {tile["who"]: tile["pixels"] for tile in self.of(name, TILES)}
            moved: set[str] = set()  # Firefox counts no frames of what comes by a connection

            def moving(name: str = name, before: dict[str, list[int]] = before, moved: set[str] = moved) -> bool:
                now = {tile["who"]: tile for tile in self.of(name, TILES)}
                moved |= {who for who, tile in now.items() if who in before and tile["pixels"] != before[who]}
                sealed = all(tile["lock"] == "protected" and max(tile["pixels"]) > 0 for tile in now.values())
                return sealed and now.keys() == moved == people

            until(f"{name} to see {len(people)} moving pictures", moving)


@pytest.fixture
def stage(firefox: Firefox, assets: Path, tmp_path: Path) -> Iterator[Stage]:
    assert assets.is_dir()
    built = demo.snapshot(tmp_path / "dist")
    port, *service_ports = free_ports(4)
    origins = [person_origin(person, port) for person in PEOPLE]
    with Services(tmp_path / "services", service_ports, origins) as services, demo.serving(port, services, built):
        page = firefox.new_context().new_page()
        codes = "&".join(f"{person.name}={code}" for person, code in services.codes.items())
        try:
            page.goto(f"{stage_origin(port)}/#{codes}")
            yield Stage(page)
        finally:
            page.close()


def agree(stage: Stage, names: list[str]) -> dict[str, Any]:
    """The same members, digits and keys on the pages of all of these; what one has."""
    held = [stage.holding(name) for name in names]
    assert all(one is not None for one in held)
    assert sorted(held[0]["members"]) == sorted(IDENTITIES[name] for name in names)
    for one in held:
        assert (one["epoch"], one["digits"]) == (held[0]["epoch"], held[0]["digits"])
        assert sorted(one["keys"]) == sorted(held[0]["keys"])
    first: dict[str, Any] = held[0]
    return first


def test_the_story_in_firefox(stage: Stage) -> None:
    for step in STEPS[:3]:
        stage.press(step)
    together = agree(stage, NAMES)
    stage.see(NAMES)
    stage.page.evaluate("() => document.getElementById('catch').click()")
    until("a frame to be caught", lambda: stage.page.evaluate("() => !document.getElementById('views').hidden"))
    assert stage.page.evaluate("() => document.getElementById('one-frame').dataset.outcome") == "same"
    views = stage.page.evaluate(VIEWS)
    assert views["sender"]["decoded"] == views["receiver"]["decoded"] == "drawn"
    assert views["sender"]["pixels"] == views["receiver"]["pixels"] != views["relay"]["pixels"]
    stage.page.evaluate("() => document.getElementById('packets-run').click()")

    def through() -> bool:
        assert stage.page.evaluate(ERROR) == ""
        shown = stage.page.evaluate(PACKETS)
        return bool(shown["outcome"] == "same" and shown["epoch"] == together["epoch"] and shows_the_same(shown))

    until("a picture to run as SRTP packets through the stage", through)
    stage.press(STEPS[3])
    after = agree(stage, ["alice", "bob"])
    assert after["digits"] != together["digits"]
    stage.see(["alice", "bob"])
    assert stage.of("carol", TILES) == []
    assert stage.holding("carol") is None
