"""Whose command it is: an identity of the folder, and its mailbox while no other command has it open."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from roomkey.client.opening import open_client
from roomkey.errors import RoomkeyError
from roomkey.federation.identity import canonicalise, domain_of
from roomkey.host.native import NativeHost

from roomkey_cli import settings
from roomkey_cli.conversations import Mailbox, Told
from roomkey_cli.settings import Settings
from roomkey_cli.waiting import Waiting
from roomkey_cli.words import USAGE, Trouble, names, shown

# Seconds for which a command waits for another one that has the identity open, and between looks.
PATIENCE = 10.0
LOOK = 0.2


class Person(NamedTuple):
    """An identity of the folder, what waits for it, and the settings."""

    host: NativeHost
    identity: str
    waiting: Waiting
    settings: Settings


@asynccontextmanager
async def person_of(options: argparse.Namespace) -> AsyncIterator[Person]:
    known = settings.read(options.folder)
    host = NativeHost(options.folder)
    try:
        if options.identity is not None:
            identity = name_of(options.identity)
        else:
            found = await host.identities()
            if not found:
                raise Trouble("there is no identity in this folder yet; begin with roomkey enrol")
            if len(found) > 1:
                raise Trouble(f"say which identity by --as: {names(found)}", USAGE)
            identity = found[0]
        yield Person(host, identity, Waiting(options.folder, identity), known)
    finally:
        await host.close()


@asynccontextmanager
async def mailbox_of(person: Person, unless: Callable[[], bool] = lambda: False) -> AsyncIterator[Mailbox | None]:
    """The identity's mailbox, as soon as no other command has it open; None when that takes too long, or `unless` is
    true.
    """
    told = Told(person.identity)
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while True:
        try:
            client = await open_client(
                person.host, person.identity, person.settings.services, person.settings.policy, told.client,
                trusts=person.settings.trusts,
            )  # fmt: skip
            break
        except RoomkeyError as error:
            if error.code != "in-use-in-another-tab":
                raise
        if unless() or loop.time() > end:
            yield None
            return
        await asyncio.sleep(LOOK)
    try:
        if person.settings.fanout is not None:
            await client.set_service(client.home.origin, [domain_of(person.identity)], person.settings.fanout)
        yield Mailbox(client, person.waiting, told)
    finally:
        told.flush()
        await client.close()


@asynccontextmanager
async def opened(person: Person) -> AsyncIterator[Mailbox]:
    async with mailbox_of(person) as mailbox:
        if mailbox is None:
            raise RoomkeyError("in-use-in-another-tab")
        yield mailbox


def name_of(typed: str) -> str:
    try:
        return canonicalise(typed)
    except RoomkeyError as error:
        raise Trouble(f"{shown(typed)} is no name we can use; it should look like name@example.org", USAGE) from error


def people_of(typed: list[str], person: Person) -> tuple[str, ...]:
    """Canonical names, each once, without our own."""
    return tuple(sorted({name_of(name) for name in typed} - {person.identity}))
