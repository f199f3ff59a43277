"""Questions to a log whose answers come in pages: a person's chain of manifests is longer than one answer holds.

    page --signed by who could since our pin--> the next one is asked for, from its last version
    last page, or all in one answer --the map holds its newest--> proved
    MAX_PAGES pages, or more versions said than they hold --> the newest alone is asked for; proved, it is a reset

Nothing of a page is kept: who signs versions need not log them, until the map holds where they end. So a chain that was
cut short is followed anew by the next question. A reset on the way is one at the end, whatever followed on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from roomkey.client.log_view import Finding, LogView, Question
from roomkey.conference.changes import Changes
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.transparency.manifest import MAX_FOLLOWED, MAX_PAGES, Followed, Reset
from roomkey.transparency.verifier import Page, Proved, ProvedAbsent

# Seconds after which no further page is asked for: others, of other services too, wait for what comes of it. 16 MB in
# this time are 4 Mbit/s; chains of a few devices are a tenth of that.
PATIENCE: Final = 30.0

# Errors that say something of what a log answered; all others say that it could not be asked.
_SAID: Final = frozenset(
    {
        "log-unproven", "log-fork", "log-proof-invalid", "wrong-log", "invalid-signature", "invalid-key",
        "identity-mismatch", "malformed", "too-large",
    }
)  # fmt: skip

# Adds what follows from what is proved of an identity, or from why nothing is, to the transaction that keeps the head.
Learn = Callable[[str, Finding, Changes], None]


class _Way:
    """How far one person's chain was followed. `question`: what is to be asked next."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._first = 0 if question.pin is None else question.pin.version
        self._reset = 0  # the first version that was not signed by who could, on the pages so far
        self._pages = 0
        self._least = 0  # where no further page is asked for: the newest version that there must be

    def goes_on(self, page: Page) -> None:
        """The next question, after a page."""
        self._pages += 1
        self._reset = self._reset or page.reset
        if self._pages < MAX_PAGES and page.newest - self._first <= MAX_FOLLOWED:
            self.question = Question(self.question.identity, page.manifest, page.place)
            return
        self._least = page.newest
        self.question = Question(self.question.identity, None, page.place)

    def end(self, finding: Finding) -> Finding:
        """What a finding at the end of the way says of its beginning."""
        if self._least:
            if isinstance(finding, ProvedAbsent) or (
                isinstance(finding, Proved) and finding.chain.manifest.version < self._least
            ):
                text = f"expected version {self._least} or a later one in the log, as it said, got an older one"
                return RoomkeyError("log-proof-invalid", text)
            if isinstance(finding, Proved):
                return finding._replace(chain=Reset(finding.chain.manifest, self._reset))
        if isinstance(finding, Proved) and self._reset and isinstance(finding.chain, Followed | Reset):
            return finding._replace(chain=Reset(finding.chain.manifest, self._reset))
        return finding


async def ask(
    view: LogView,
    service: DeliveryService,
    questions: Sequence[Question],
    now: Callable[[], float],
    learn: Learn = lambda identity, finding, changes: None,
) -> dict[str, Finding]:
    """What a log says about these people (at most MAX_REQUESTS, each once), by identity, all pages followed.

    Who needs further pages fails alone where those fail.
    Errors: those of `LogView.ask` for the first pages; later "log-fork" and "storage-failed".
    """
    ways = {question.identity: _Way(question) for question in questions}
    found: dict[str, Finding] = {}
    waiting, until, first = list(ways), now() + PATIENCE, True

    def end(identity: str, finding: Finding, changes: Changes) -> None:
        found[identity] = ways[identity].end(finding)
        learn(identity, found[identity], changes)

    def hear(asked: Sequence[Question], findings: Sequence[Finding | Page], changes: Changes) -> None:
        for question, finding in zip(asked, findings, strict=True):
            if not isinstance(finding, Page):
                end(question.identity, finding, changes)

    while waiting:
        try:
            if not first and now() > until:
                raise RoomkeyError("service-unavailable", f"expected all pages within {PATIENCE:.0f} s")
            findings = await view.ask(service, [ways[identity].question for identity in waiting], hear)
        except RoomkeyError as error:
            if first or error.code in ("log-fork", "storage-failed"):
                raise
            findings = [said(error)] * len(waiting)
        pages: list[str] = []
        for identity, finding in zip(waiting, findings, strict=True):
            if isinstance(finding, Page):
                ways[identity].goes_on(finding)
                pages.append(identity)
            elif identity not in found:  # nothing was said, so nothing is kept
                end(identity, finding, Changes())
        waiting, first = pages, False
    return found


def said(error: RoomkeyError) -> RoomkeyError:
    """The error, if it says something of what a log answered; else "log-unproven" with the reason why it could not be
    asked.
    """
    if error.code in _SAID:
        return error
    text = f"expected an answer of the log: {error.text}"
    return RoomkeyError("log-unproven", text, retry_after=error.retry_after, reason=error.code)
