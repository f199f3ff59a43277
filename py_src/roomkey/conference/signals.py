"""Signals: what members say to each other for the moment, as offers and answers of a call (wire.md section 7).

A signal is an application message that is marked as one in its authenticated data. It is heard or not, and stored
nowhere: it is not part of what was said. What it is about and whom it is for stands in the encrypted part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final

from roomkey.conference.events import Member, SignalArrived
from roomkey.errors import RoomkeyError
from roomkey.tls import U8, U64, Struct, fixed, malformed, one_of, opaque, optional, uint16

# Says what the authenticated data are; another type than `transparency.gossip`'s.
SIGNAL: Final = 0xF0C7

# Signal.kind; others are passed over, so that there can be more.
APPLICATION: Final = 1  # what an application sends
CALL: Final = 2  # offers, answers and candidates of calls
STREAMS: Final = 3  # what SRTP streams there are
KINDS: Final = {APPLICATION: "application", CALL: "call", STREAMS: "streams"}

# Seconds, both ways: who gets an offer later than this has no one waiting for the answer. Clocks differ.
MAX_AGE: Final = 60.0
# Bytes: an offer of two dozen media sections with every codec of a browser takes less.
MAX_DATA: Final = 1 << 16
# Signals at once, and for each second after that: joining a call of ten takes some forty. Each costs every receiver a
# signature check and a transaction.
BURST: Final = 64
PER_SECOND: Final = 8.0
# Signals in a row that not all members get. Those who do not get them keep a key for each of them until the next
# (`mls.secret_tree.MAX_SKIPPED`), and would be lost after too many (MAX_FORWARD).
MAX_ASIDE: Final = 64


# struct {
#     uint16 type = 0xF0C7;
# } SignalMark;
class SignalMark(Struct):
    """The authenticated data of a signal."""

    type: Annotated[int, one_of(uint16, SIGNAL)]


MARK: Final = SignalMark(SIGNAL).encode()


# opaque ClientId[32];
#
# struct {
#     uint8 kind;
#     uint64 time;                            Unix milliseconds
#     optional<ClientId> to;                  none: for all members
#     opaque data<V>;
# } Signal;
class Signal(Struct):
    """The application data of a signal."""

    kind: U8
    time: U64
    to: Annotated[bytes | None, optional(fixed(32))]
    data: Annotated[bytes, opaque()]

    def check(self) -> None:
        if len(self.data) > MAX_DATA:
            raise malformed("data", f"at most {MAX_DATA} bytes", len(self.data))


def is_signal(authenticated_data: bytes) -> bool:
    """Whether a member marked its message as a signal."""
    return authenticated_data == MARK


@dataclass
class Rate:
    """How fast one member may signal: a bucket of `BURST`, filled by `PER_SECOND`."""

    left: float = BURST
    since: float = 0.0  # Unix seconds

    def wait(self, now: float) -> float:
        """Takes one and answers 0; or the seconds until there is one to take."""
        passed = max(0.0, now - self.since) if self.since else 0.0
        self.left, self.since = min(BURST, self.left + passed * PER_SECOND), now
        if self.left < 1:
            return (1 - self.left) / PER_SECOND
        self.left -= 1
        return 0.0


@dataclass
class Signalling:
    """What a conference remembers of its signals while it is open, and no longer."""

    own: Rate = field(default_factory=Rate)
    others: dict[bytes, Rate] = field(default_factory=dict)  # by client id, of present members
    aside: int = MAX_ASIDE  # not known after a start: the first one goes to all

    def heard(
        self, content: bytes, sender: Member | None, members: tuple[Member, ...], now: float
    ) -> SignalArrived | None:
        """The signal in a message, if it is for us and counts.

        1. Its sender is a member now, and not another one than signed it.
        2. It is for all, or for us.
        3. Its time is not more than `MAX_AGE` from ours.
        4. Its sender keeps to the rate.
        5. It is of a kind that we know.

        Args:
            sender: the member whose message it is; None for somebody who is gone.
            members: all of now.
            now: Unix seconds.
        Errors: "malformed".
        """
        signal = Signal.decode(content)
        if sender is None or sender not in members:
            return None
        own = next(member.client for member in members if member.own)
        if signal.to not in (None, own) or abs(now - signal.time / 1000) > MAX_AGE or signal.kind not in KINDS:
            return None
        present = {member.client for member in members}
        self.others = {client: rate for client, rate in self.others.items() if client in present}
        if self.others.setdefault(sender.client, Rate()).wait(now):
            return None
        return SignalArrived(sender, signal.kind, signal.data)

    def expect_leave(self, now: float) -> None:
        """Counts a signal of ours. Errors: "too-many-signals"."""
        wait = self.own.wait(now)
        if wait:
            raise RoomkeyError(
                "too-many-signals", f"expected at most {PER_SECOND:g} signals a second", retry_after=wait
            )
