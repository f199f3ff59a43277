"""A recovery key as a person writes it down: twelve groups of five letters.

    KWXDN QPBRT ... = 60 letters of 24: capitals without I and O, which look like 1 and 0

The letters are one number, the first the highest: seed * 65521 + 1. 65521 is prime, and no power of 24 up to the 59th
is 1 by it: so one wrong letter, or two that changed places, is always noticed; of other errors all but one in 500,000.
"""

from __future__ import annotations

from typing import Final

from roomkey.errors import RoomkeyError
from roomkey.transparency.devices import RECOVERY_SEED_SIZE

LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
COUNT: Final = 60
GROUP: Final = 5

_PRIME: Final = 65521  # the largest of 16 bits
_REST: Final = 1  # so that letters that are all alike are none


def recovery_text(seed: bytes) -> str:
    """The text of a recovery key (its seed, 32 bytes). Errors: "bad-argument"."""
    if len(seed) != RECOVERY_SEED_SIZE:
        raise RoomkeyError("bad-argument", f"recovery key: expected {RECOVERY_SEED_SIZE} bytes, got {len(seed)}")
    number, letters = int.from_bytes(seed) * _PRIME + _REST, ""
    for _ in range(COUNT):
        number, place = divmod(number, len(LETTERS))
        letters = LETTERS[place] + letters
    return " ".join(letters[start : start + GROUP] for start in range(0, COUNT, GROUP))


def read_recovery_text(text: str) -> bytes:
    """The recovery key that a person typed: small letters, spaces, hyphens and line ends are fine.

    Errors: "recovery-key-wrong" for what is not as it was written down; details `group` (from 1) where a character is
    no letter of ours, else `letters` if some are missing or too many.
    """
    typed = [letter for letter in text.upper() if not letter.isspace() and letter not in "-–—"]
    number = 0
    for at, letter in enumerate(typed[: COUNT + 1]):
        place = LETTERS.find(letter)
        if place < 0:
            raise RoomkeyError("recovery-key-wrong", "expected letters but I and O", group=at // GROUP + 1)
        number = number * len(LETTERS) + place
    if len(typed) != COUNT:
        raise RoomkeyError("recovery-key-wrong", f"expected {COUNT} letters, got {len(typed)}", letters=len(typed))
    seed, rest = divmod(number, _PRIME)
    if rest != _REST or seed >> (8 * RECOVERY_SEED_SIZE):
        raise RoomkeyError("recovery-key-wrong", "expected letters that fit together, got a typing error")
    return seed.to_bytes(RECOVERY_SEED_SIZE)
