"""What is printed: messages and lists to the standard output, everything else to the error output."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from roomkey.conference.conference import Conference
from roomkey.conference.events import Member, Message

from roomkey_cli.words import names, shown

PROVED_BY = {
    "transparency": "proved by the log of keys",
    "pinned": "known since {since}",
    "first-use": "first contact, {since}: nothing but their service vouches for them; compare the digits",
    "unsafe": "not proved",
}


def say(text: str) -> None:
    """One line of ours."""
    print(f"roomkey: {text}", file=sys.stderr, flush=True)


def write(text: str) -> None:
    print(text, flush=True)


def ask(question: str) -> bool:
    """A question to the person at the terminal; anything but yes is no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def others(conference: Conference, identity: str) -> list[str]:
    """Who is in it beside `identity`, by name, each once."""
    return sorted({member.identity for member in conference.members} - {identity})


def called(conference: Conference, identity: str) -> str:
    """How we speak of a conversation."""
    people = others(conference, identity)
    with_whom = f"with {names(people)}" if people else "with nobody"
    return f"{with_whom}, {shown(conference.name)!r}" if conference.name else with_whom


def message_line(message: Message, conference: Conference, identity: str) -> str:
    """A message as it is shown. A conversation of more than two, or with a title, is named."""
    try:
        text = shown(message.data.decode("utf-8"))
    except UnicodeDecodeError:
        text = f"({len(message.data)} bytes that are no text)"
    plain = not conference.name and len(others(conference, identity)) == 1
    where = "" if plain and not message.own else f" ({called(conference, identity)})"
    clock = time.strftime("%H:%M", time.localtime(message.time))
    return f"[{day(message.time)} {clock}] {message.identity}{where}: {text}"


def day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def proved_by(member: Member) -> str:
    return PROVED_BY.get(member.by, member.by).format(since=day(member.since))


def people_lines(conferences: Iterable[Conference], identity: str) -> list[str]:
    """Everybody in our conversations, with how they were proved where that was last done."""
    found: dict[str, Member] = {}
    for conference in conferences:
        for member in conference.members:
            if member.identity != identity and (
                member.identity not in found or member.since >= found[member.identity].since
            ):
                found[member.identity] = member
    return [f"{name}  {proved_by(found[name])}" for name in sorted(found)]
