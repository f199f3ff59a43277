"""Which version and suite a group uses (the draft's section 6.1; wire.md section 4).

1. A party's offer is every (version, suite) in its signed set of init keys; a member's, what its leaf's capabilities
   list.
2. The preference list is this document's, `PREFERENCE`. Local policy can refuse suites, never reorder them, so that all
   who see the same offers choose the same.
3. The choice is the first suite of the list that all offer, for MLS 1.0, the only version there is.
4. No such suite: `no-common-suite`, which says who offers what, and who could meet if the others stayed away. Whoever
   asks about the same offers hears the same.
5. A group whose members all offer a suite that stands before its own was talked down: `downgrade`.
6. Experimental suites stand first, and are offered by those clients alone that asked for them: so a group is of one
   where everybody asked, and nobody else is ever in such a group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from roomkey.crypto.suites import SUITES
from roomkey.errors import RoomkeyError
from roomkey.mls.leaf_node import Capabilities
from roomkey.mls.version import MLS10

# The post-quantum hybrid is no weaker than suite 1 in anything and resists who records today to decrypt one day.
# AES-GCM over X25519 is the suite every MLS client must have (RFC 9420 section 17.1) and the fastest here; ChaCha20 is
# its equal where AES has no hardware; P-256 stands last, because its signatures take the most care.
PREFERENCE: Final = (0xF0C1, 0x0001, 0x0003, 0x0002)

# What a client offers: "standard" the suites of RFC 9420 alone, "experimental" those of drafts before them.
Choice = Literal["standard", "experimental"]
CHOICES: Final[Mapping[Choice, tuple[int, ...]]] = {
    "standard": tuple(number for number in PREFERENCE if not SUITES[number].experimental),
    "experimental": PREFERENCE,
}


class Offer(NamedTuple):
    """What one party can speak: pairs of MLS version and RFC 9420 suite number. `who` is its identity."""

    who: str
    pairs: frozenset[tuple[int, int]]

    def without(self, refused: Collection[int]) -> Offer:
        """The offer less the suites that local policy refuses."""
        return Offer(self.who, frozenset(pair for pair in self.pairs if pair[1] not in refused))


def own_offer(who: str, suites: Iterable[int]) -> Offer:
    """What this client offers: MLS 1.0 with these suites (RFC 9420 numbers)."""
    return Offer(who, frozenset((MLS10, suite) for suite in suites))


def leaf_offer(who: str, capabilities: Capabilities) -> Offer:
    """What a member's leaf offers."""
    return Offer(who, frozenset((v, s) for v in capabilities.versions for s in capabilities.cipher_suites))


def common(offers: Sequence[Offer], preference: Sequence[int] = PREFERENCE) -> tuple[int, ...]:
    """The suites that all offer for MLS 1.0, best first."""
    return tuple(suite for suite in preference if all((MLS10, suite) in offer.pairs for offer in offers))


class Meeting(NamedTuple):
    """Who can meet in a group of one suite: identities, in order."""

    suite: int
    who: tuple[str, ...]


def largest(offers: Sequence[Offer], host: str | None = None, preference: Sequence[int] = PREFERENCE) -> Meeting | None:
    """The largest group of these parties that has a suite, and of those equally large the one whose suite is best.

    Whoever has several clients is in it only with all of them.

    Args:
        host: an identity that must be in it, if any.
    """
    best: Meeting | None = None
    everyone = {offer.who for offer in offers}
    for suite in preference:
        cannot = {offer.who for offer in offers if (MLS10, suite) not in offer.pairs}
        who = tuple(sorted(everyone - cannot))
        if who and (host is None or host in who) and (best is None or len(who) > len(best.who)):
            best = Meeting(suite, who)
    return best


def choose(offers: Sequence[Offer], preference: Sequence[int] = PREFERENCE, *, host: str | None = None) -> int:
    """The suite for a group of these parties. `host`: as for `largest`. Errors: "no-common-suite"."""
    suites = common(offers, preference)
    if not suites:
        raise no_common_suite(offers, preference, host=host)
    return suites[0]


def no_common_suite(
    offers: Sequence[Offer], preference: Sequence[int] = PREFERENCE, *, host: str | None = None
) -> RoomkeyError:
    """The error that names who offers what. Its details, as plain values: `offers`, a text; `largest`, the identities
    of the largest group that can meet, with spaces between them; `suite`, that group's, None if nobody can meet.
    """
    text = f"expected a suite of {list(preference)} that all {len(offers)} parties offer, got none"
    spelt = "; ".join(sorted({_spell(offer) for offer in offers}))
    meeting = largest(offers, host, preference)
    who, suite = ("", None) if meeting is None else (" ".join(meeting.who), meeting.suite)
    return RoomkeyError("no-common-suite", text, offers=spelt, largest=who, suite=suite)


def better(suite: int, offers: Sequence[Offer], preference: Sequence[int] = PREFERENCE) -> int | None:
    """The best suite that all offer, if it stands before `suite`; else None."""
    suites = common(offers, preference)
    place = preference.index(suite) if suite in preference else len(preference)
    return suites[0] if suites and preference.index(suites[0]) < place else None


def check_not_downgraded(suite: int, offers: Sequence[Offer], preference: Sequence[int] = PREFERENCE) -> None:
    """Refuses a group whose suite is not the best that all its members offer. Errors: "downgrade".

    Local policy must not be taken off the offers here: the others would see another result.
    """
    best = better(suite, offers, preference)
    if best is not None:
        text = f"expected suite {best:#06x}, which all offer, got {suite:#06x}"
        raise RoomkeyError("downgrade", text, suite=suite, better=best)


def _spell(offer: Offer) -> str:
    pairs = " ".join(f"{suite:#06x}" for version, suite in sorted(offer.pairs) if version == MLS10)
    return f"{offer.who}: {pairs or 'none'}"
