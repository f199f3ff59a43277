"""The commands, each from the parsed options to an exit status."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from contextlib import suppress
from pathlib import Path

from roomkey.client.opening import create_client
from roomkey.client.recovery_text import read_recovery_text
from roomkey.conference import records
from roomkey.conference.conference import MAX_DATA
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.identity import domain_of
from roomkey.host.native import NativeHost

from roomkey_cli import screen, settings
from roomkey_cli.conversations import Mailbox, Told
from roomkey_cli.person import mailbox_of, name_of, opened, people_of, person_of
from roomkey_cli.words import DONE, NOT_NOW, REFUSED, USAGE, Trouble, sentence

# Seconds between looks for what other commands left to be sent, and between tries of what could not be.
FOLLOW = 1.0
TRY_AGAIN = 60.0


async def enrol(options: argparse.Namespace) -> int:
    identity = name_of(options.name)
    known = settings.read(options.folder)
    host = NativeHost(options.folder)
    try:
        services = dict(known.services)
        for url in options.service:
            described = await DeliveryService(host, url).describe()
            services[described.domain] = described.origin
        if domain_of(identity) not in services:
            raise Trouble(f"name the delivery service of {domain_of(identity)} by --service", USAGE)
        told = Told(identity)
        recovery = None if options.recovery is None else read_recovery_text(_secret(options.recovery))
        code = None if options.admitted or recovery is not None else _code(options.code_file, identity)
        client = await create_client(
            host, identity, code, services, known.policy, told.client,
            trusts=known.trusts, reset=options.reset, recovery=recovery,
        )  # fmt: skip
        status = DONE
        try:
            screen.write(f"{identity} is yours, on this device")
            if domain_of(identity) in known.trusts and not options.admitted:
                screen.say(
                    "write down the key that brings your name back if you lose this device: roomkey recovery-key"
                )
            try:
                await client.publish()
            except RoomkeyError as error:
                if not error.retryable:
                    raise
                screen.say(f"others cannot write to you yet, until the next run: {sentence(error)}")
                status = NOT_NOW
        finally:
            await client.close()
        return status
    finally:
        await host.close()


async def write(options: argparse.Namespace) -> int:
    if not options.names and not options.conversation:
        raise Trouble("name whom to write to", USAGE)
    async with person_of(options) as person:
        to = people_of(options.names, person)
        if options.names and not to:
            raise Trouble("name somebody else than yourself", USAGE)
        waiting = person.waiting
        name = waiting.add(to, options.conversation, _text(options.text))
        async with mailbox_of(person, unless=lambda: waiting.state(name) != "unsent") as mailbox:
            if mailbox is not None:
                await mailbox.catch_up()
                await mailbox.send_waiting()
                return mailbox.status
        if waiting.state(name) == "unsent":
            screen.say("another roomkey command has this identity open; the message waits here for the next run")
            return NOT_NOW
        return DONE if waiting.state(name) == "sent" else REFUSED  # why, the command said that refused it


async def read(options: argparse.Namespace) -> int:
    accepted = [name_of(typed) for typed in options.accept]
    async with person_of(options) as person, opened(person) as mailbox:
        await mailbox.catch_up()
        await mailbox.take_up(accepted, screen.ask if sys.stdin.isatty() and not options.follow else None)
        await mailbox.catch_up()  # what an invitation's register holds
        count = await mailbox.show_new(everything=options.all)
        await mailbox.send_waiting()
        await mailbox.keep_stock()
        if options.follow:
            await _follow(mailbox, accepted)
        elif not count and mailbox.status == DONE:
            screen.say("nothing new")
        return mailbox.status


async def _follow(mailbox: Mailbox, accepted: list[str]) -> None:
    """Goes on until interrupted."""
    tried, again = mailbox.unsent(), asyncio.get_running_loop().time() + TRY_AGAIN
    while True:
        mailbox.told.news.clear()
        await mailbox.take_up(accepted, None)
        await mailbox.show_new()
        now = asyncio.get_running_loop().time()
        if mailbox.unsent() - tried or now >= again:
            await mailbox.send_waiting()
            tried, again = mailbox.unsent(), now + TRY_AGAIN
        mailbox.told.flush()
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW):
                await mailbox.told.news.wait()


async def people(options: argparse.Namespace) -> int:
    async with person_of(options) as person, opened(person) as mailbox:
        await mailbox.catch_up()
        conferences = mailbox.client.conferences()
        for line in screen.people_lines(conferences, person.identity):
            screen.write(line)
        for conference in conferences:
            ended = "" if conference.status == records.ACTIVE else ", ended"
            unread = await mailbox.unread(conference)
            screen.write(f"conversation {screen.called(conference, person.identity)}: {unread} unread{ended}")
        for invitation in mailbox.client.invitations():
            inviter = "somebody" if invitation.inviter is None else invitation.inviter.identity
            screen.write(f"invitation by {inviter} to a conversation {screen.called(invitation, person.identity)}")
        for _, draft in person.waiting.drafts():
            screen.write(f"unsent: to {draft.whom}")
        return mailbox.status


async def digits(options: argparse.Namespace) -> int:
    async with person_of(options) as person, opened(person) as mailbox:
        to = people_of(options.names, person)
        await mailbox.catch_up()
        chosen = [item for item in mailbox.client.conferences() if item.status == records.ACTIVE]
        if to or options.conversation:
            found = mailbox.find(to, options.conversation)
            if found is None:
                raise Trouble("there is no such conversation")
            chosen = [found]
        for conference in chosen:
            plain = conference.verification_digits
            groups = " ".join(plain[start : start + 5] for start in range(0, len(plain), 5))
            screen.write(f"{groups}  {screen.called(conference, person.identity)}")
        return mailbox.status


# -- what the person gives --


def _code(file: Path | None, identity: str) -> str:
    """The one-time code; never an argument, which every user of the machine could read."""
    if file is not None:
        try:
            text = sys.stdin.readline() if str(file) == "-" else file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Trouble("the file with the code cannot be read", USAGE) from error
    elif "ROOMKEY_CODE" in os.environ:
        text = os.environ["ROOMKEY_CODE"]
    elif sys.stdin.isatty():
        text = getpass.getpass(f"one-time code for {identity}: ")
    else:
        raise Trouble("the one-time code is missing: ROOMKEY_CODE or --code-file", USAGE)
    return text.strip()


def _secret(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble("the file with the recovery key cannot be read", USAGE) from error


def _text(given: str | None) -> str:
    try:
        text = sys.stdin.read().rstrip("\n") if given is None else given
        data = text.encode("utf-8")
    except UnicodeError as error:
        raise Trouble("the text is not UTF-8", USAGE) from error
    if not text.strip():
        raise Trouble("there is nothing to send", USAGE)
    if len(data) > MAX_DATA:
        raise Trouble(f"a message has at most {MAX_DATA} bytes, and this has {len(data)}", USAGE)
    return text
