"""What a member or a stranger can do who has the engine at hand and no manners."""

from __future__ import annotations

from roomkey.crypto.provider import CryptoProvider
from roomkey.mls.group import Group

from tests.support.conferences import said
from tests.support.people import Person
from tests.support.simulator import until


def group_of(person: Person) -> Group:
    """The MLS group of a person's one conference."""
    return person.conference._session.live


def crypto_of(person: Person) -> CryptoProvider:
    return person.client._store.crypto


async def put(sender: Person, message: bytes, receiver: Person) -> None:
    """Puts any bytes into somebody's inbox."""
    domain = receiver.identity.rpartition("@")[2]
    await sender.client._routes.by_domain[domain].send(message, [receiver.client.client_id])


async def heard(sender: Person, receiver: Person, text: bytes) -> None:
    """Has `receiver` hear a message: what was put into the inbox before is processed then."""
    await sender.conference.send(text)
    await until(lambda: text in said(receiver), "a message to arrive")
