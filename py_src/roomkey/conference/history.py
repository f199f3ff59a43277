"""The stored messages of one conference: ours and the others', by sequence number, until they are forgotten.

At most 10,000 are kept (`messages.MAX_MESSAGES`), and none for longer than 30 days (api.md).
"""

from __future__ import annotations

from collections.abc import Callable

from roomkey.conference import records
from roomkey.conference.events import Message
from roomkey.conference.messages import message_of
from roomkey.errors import RoomkeyError
from roomkey.host.interface import Store

MAX_PAGE = 1000
MESSAGE_SECONDS = 30 * 86400


class History:
    """See the module. It can be read after the conference has ended, too."""

    def __init__(self, store: Store, key: str, now: Callable[[], float]) -> None:
        self._store = store
        self._key = key
        self._now = now

    async def messages(self, after: int = 0, limit: int = 100) -> list[Message]:
        """Messages with a sequence number above `after`, in order, at most `limit`. Errors: "bad-argument"."""
        if not 1 <= limit <= MAX_PAGE:
            raise RoomkeyError("bad-argument", f"limit: expected 1 to {MAX_PAGE}, got {limit}", field="limit")
        found: list[Message] = []
        for name, data in await self._store.list(records.message_name(self._key)):
            seq = int(name.rpartition("/")[2], 16)
            if seq > after:
                found.append(message_of(seq, records.StoredMessage.decode(data)))
                if len(found) == limit:
                    break
        return found

    async def forget(self, seq: int) -> None:
        """Deletes a message for good. Errors: "no-such-message"."""
        if not 0 < seq < 1 << 64:
            raise RoomkeyError("no-such-message", "expected the number of a stored message")
        name = records.message_name(self._key, seq)
        if await self._store.get(name) is None:
            raise RoomkeyError("no-such-message", "expected a stored message")
        await self._store.write({}, [name])

    async def forget_old(self) -> None:
        """Deletes messages that are older than `MESSAGE_SECONDS`."""
        oldest = (self._now() - MESSAGE_SECONDS) * 1000
        old: list[str] = []
        for name, data in await self._store.list(records.message_name(self._key)):
            if records.StoredMessage.decode(data).time >= oldest:
                break  # they lie in the order of their coming
            old.append(name)
        if old:
            await self._store.write({}, old)
