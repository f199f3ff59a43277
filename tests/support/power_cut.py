"""A worker that stops between two of its effects, as a tab that is closed there.

What is outside a worker changes by its requests and its writing transactions alone. So a worker that stops before the
n-th of these has stopped, for all that anybody can find afterwards, at any await between the one before and it; and all
n together are all awaits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from playwright.sync_api import Error as PlaywrightError

from tests.support.person_browser import Person, until

MAX_EFFECTS = 60
QUIET_POLLS = 20  # of 25 ms: what goes on by itself after the work has ended
HOOK = """() => {
  const power = (globalThis.power = { effects: [], cut: Infinity, off: false });
  const never = new Promise(() => undefined);
  const goes = (name) => {
    if (power.off) return false;
    if (power.effects.length >= power.cut) {
      power.off = true;
      self.close(); // ends after this task; until then nothing gets out
      return false;
    }
    power.effects.push(name);
    return true;
  };
  const { fetch, postMessage } = self;
  const { transaction } = IDBDatabase.prototype;
  self.fetch = (url, options) =>
    goes(`${options.method} ${new URL(url).pathname}`) ? fetch.call(self, url, options) : never;
  self.postMessage = (message) => power.off || postMessage.call(self, message);
  IDBDatabase.prototype.transaction = function (stores, mode = "readonly", ...rest) {
    if (mode === "readonly" ? power.off : !goes("write")) throw new DOMException("the power is off");
    return transaction.call(this, stores, mode, ...rest);
  };
}"""


class Power:
    """The worker of a person's present tab, with the hook in it."""

    def __init__(self, person: Person) -> None:
        self.person = person
        (self._worker,) = (worker for worker in person.page.workers if worker.url.endswith("/worker.js"))
        self._worker.evaluate(HOOK)

    def arm(self, effects: int | None) -> None:
        """Stops after so many effects from now; None: never."""
        self._worker.evaluate("(cut) => { power.effects = []; power.cut = cut ?? Infinity; }", effects)

    def is_off(self) -> bool:
        """Whether the page has seen its worker end."""
        return any(error["code"] == "worker-lost" for error in self.person.heard("roomkey", "error"))

    def effects(self) -> list[str]:
        effects: list[str] = self._worker.evaluate("() => power.effects")
        return effects


# Prepares a turn, calls `arm`, begins the work, and returns what tells that it has ended and shown its effect.
Story = Callable[[int, Callable[[], None]], Callable[[], bool]]


def every_cut(
    person: Person, story: Story, check: Callable[[int], None], back: Callable[[], object] | None = None
) -> list[str]:
    """Tells the story again and again, stopped before its first effect, its second, and so on, until none is left.

    After each cut there is a new tab, where `back` (by default: opening the identity) has been done; then `check` gets
    the number of effects that there were, also after the last turn, which has no cut. Returns the names of all effects.
    """
    for cut in range(MAX_EFFECTS):
        power = Power(person)
        ended = story(cut, functools.partial(power.arm, cut))
        quiet = Quiet(power)
        until(f"cut {cut}, or the work's end", lambda: power.is_off() or (ended() and quiet()))  # noqa: B023
        if not power.is_off():
            effects = power.effects()
            power.arm(None)
            check(cut)
            return effects
        person.page.close()
        (back or person.reopen)()
        check(cut)
    raise AssertionError(f"expected at most {MAX_EFFECTS} effects")


class Quiet:
    """Whether a worker has been without effects for a while."""

    def __init__(self, power: Power) -> None:
        self._power = power
        self._seen = -1
        self._polls = 0

    def __call__(self) -> bool:
        try:
            count = len(self._power.effects())
        except PlaywrightError:  # it has just ended
            return False
        self._polls = self._polls + 1 if count == self._seen else 0
        self._seen = count
        return self._polls >= QUIET_POLLS
