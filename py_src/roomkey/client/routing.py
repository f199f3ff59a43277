"""Which ways our requests go, as it is remembered: the services that we know, and whether our own asks the others.

route/DOMAIN    RouteRecord: a domain and the service that is asked for its people, by us
fanout          FanoutRecord: our home service is asked for everybody else's (server fanout)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from roomkey.client.account import ROUTES, RouteRecord, stored_routes
from roomkey.conference.changes import Changes
from roomkey.errors import RoomkeyError
from roomkey.host.interface import Store
from roomkey.tls import Struct, one_of, uint8

Fanout = Literal["client", "server"]
FANOUT: Final = "fanout"
FANOUTS: Final[tuple[Fanout, ...]] = ("client", "server")


class FanoutRecord(Struct):
    """`fanout`: the place in `FANOUTS`."""

    fanout: Annotated[int, one_of(uint8, 0, 1)]


def fanout_of(text: str) -> Fanout:
    """The kind of fanout that a text names. Errors: "bad-argument"."""
    for name in FANOUTS:
        if name == text:
            return name
    raise RoomkeyError("bad-argument", f"fanout: expected {' or '.join(FANOUTS)}", field="fanout")


async def stored_fanout(store: Store) -> Fanout:
    """What was remembered last; client fanout by default."""
    data = await store.get(FANOUT)
    return FANOUTS[0 if data is None else FanoutRecord.decode(data).fanout]


async def remember(store: Store, origin: str, domains: Sequence[str], fanout: Fanout | None) -> None:
    """Writes down that `origin` serves `domains`.

    Args:
        fanout: how everybody else is reached from now on, where `origin` is our home service. With "server" the ways
            to other services end.
    """
    changes = Changes()
    if fanout is not None:
        changes.put(FANOUT, FanoutRecord(FANOUTS.index(fanout)))
    if fanout == "server":
        changes.delete(ROUTES + domain for domain in await stored_routes(store))
    for domain in domains:
        changes.put(ROUTES + domain, RouteRecord(origin.encode("ascii")))
    await changes.write(store)
