"""What a client tells beside the events of its conferences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from roomkey.client.traffic import Traffic
from roomkey.conference.conference import Conference
from roomkey.conference.events import Failed
from roomkey.federation.delivery import Stock


@dataclass(frozen=True)
class Invited:
    """An invitation came."""

    conference: Conference


@dataclass(frozen=True)
class Appeared:
    """A conference was created, an invitation accepted, or a ticket used."""

    conference: Conference


@dataclass(frozen=True)
class StockChanged:
    """What waits at our service, and how many sets we want there."""

    stock: Stock
    target: int


Event: TypeAlias = Invited | Appeared | StockChanged | Failed | Traffic
Listener = Callable[[Event], None]
