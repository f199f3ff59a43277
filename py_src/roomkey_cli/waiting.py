"""What waits on this machine for the next run: messages that could not be sent yet, and how far each conversation was
read.

    IDENTITY.mail/unsent/TIME-RANDOM.json    a draft, written before anything is tried
    IDENTITY.mail/refused/...                one that will never go, with the reason; its text is not lost
    IDENTITY.mail/read.json                  conversation -> number of the last message shown

A draft becomes a message exactly once: the place that it will have is noted in it before it is sent, and a run that
finds a place noted looks whether the message is there. Files are whole or not there, and readable by their owner only;
they are no more encrypted than the store beside them.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from roomkey_cli.words import names, shown


@dataclass(frozen=True)
class Draft:
    """A message to people (canonical, sorted, without ourselves), in the conversation of that title.

    Args:
        title: "" for the conversation without one.
        place: the conversation and its last message before this one, once it is about to be sent.
        reason: why it was refused.
    """

    to: tuple[str, ...]
    title: str
    text: str
    written: float
    place: tuple[str, int] | None = None
    reason: str = ""

    @property
    def whom(self) -> str:
        return names(list(self.to)) if self.to else f"the conversation {shown(self.title)!r}"


class Waiting:
    """See the module."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder / (quote(identity, safe="@+") + ".mail")
        self._unsent = self._folder / "unsent"
        self._refused = self._folder / "refused"
        for made in (self._folder, self._unsent, self._refused):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._read = self._folder / "read.json"

    # -- drafts --

    def add(self, to: tuple[str, ...], title: str, text: str) -> str:
        """Writes a draft down; returns its name."""
        name = f"{time.time_ns():020}-{secrets.token_hex(4)}.json"
        _write(self._unsent / name, asdict(Draft(to, title, text, time.time())))
        return name

    def drafts(self) -> Iterator[tuple[str, Draft]]:
        """Those that wait, oldest first."""
        for path in sorted(self._unsent.glob("*.json")):
            data = json.loads(path.read_text("utf-8"))
            place = data["place"]
            yield path.name, Draft(**{**data, "to": tuple(data["to"]), "place": place and (place[0], place[1])})

    def placed(self, name: str, draft: Draft, conversation: str, after: int) -> Draft:
        """Notes where it goes."""
        placed = replace(draft, place=(conversation, after))
        _write(self._unsent / name, asdict(placed))
        return placed

    def sent(self, name: str) -> None:
        (self._unsent / name).unlink()

    def refuse(self, name: str, draft: Draft, reason: str) -> Path:
        """Puts it aside; returns where."""
        path = self._refused / name
        _write(path, asdict(replace(draft, reason=reason)))
        (self._unsent / name).unlink()
        return path

    def state(self, name: str) -> Literal["unsent", "refused", "sent"]:
        """What became of a draft."""
        if (self._unsent / name).exists():
            return "unsent"
        return "refused" if (self._refused / name).exists() else "sent"

    # -- what was read --

    def read_up_to(self) -> dict[str, int]:
        """Conversation -> number of the last message that was shown."""
        try:
            data: dict[str, int] = json.loads(self._read.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return data

    def mark_read(self, marks: dict[str, int]) -> None:
        _write(self._read, marks)


def _write(path: Path, data: object) -> None:
    """The whole file or the one before, also through a power cut."""
    part = path.with_name(path.name + ".part")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
