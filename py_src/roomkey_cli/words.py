"""What the command line says to people: sentences for errors, and exit statuses.

Exit statuses: 0 done; 1 refused, and trying again will not help; 2 the command was not written right; 3 not now: it is
kept and tried at the next run; 4 a fault of ours.
"""

from __future__ import annotations

from roomkey.errors import CODES, RoomkeyError

DONE, REFUSED, USAGE, NOT_NOW, FAULT = range(5)

# Where the general sentence speaks of a page or a browser.
_SENTENCES = {
    "in-use-in-another-tab": "Another roomkey command has this identity open.",
    "identity-exists": "This identity exists here already.",
    "no-such-identity": "This identity does not exist here yet; enrol it first.",
    "storage-failed": "The disk did not take it; nothing was changed.",
    "storage-altered": "What was saved here was altered; this identity cannot be used.",
    "unsupported-state": "This identity was saved by a newer version of roomkey; update it.",
    "unsupported-suite": "This machine lacks the cryptography that the conversation uses.",
    "no-keys": "This person has no keys waiting, or does not exist; ask them to run roomkey once.",
    "no-route": "No delivery service is known for this person's domain; add it to the settings.",
    "inbox-full": "Somebody's inbox is full until they read it.",
    "internal-error": "Something went wrong inside roomkey.",
    "log-unproven": "The log does not show these keys yet, or its auditors are away.",
    "recovery-key-taken": "This device holds no recovery key; it is shown once, when the name is enrolled.",
    "identity-reset": "This person began anew, with other keys; compare with them by roomkey accept-reset.",
    "log-fork": "A log of keys showed two truths and is not believed any more; roomkey evidence has the proof.",
    "group-stuck": "Somebody made a change that nobody can follow.",
}


class Trouble(Exception):
    """Something that ends a command, in words for its person."""

    def __init__(self, text: str, status: int = REFUSED) -> None:
        super().__init__(text)
        self.status = status


def sentence(error: RoomkeyError) -> str:
    """What went wrong, and the code to look it up by."""
    known = _SENTENCES.get(error.code)
    return f"{CODES[error.code].sentence if known is None else known} ({error.code})"


def status_of(error: RoomkeyError) -> int:
    return NOT_NOW if error.retryable else REFUSED


def names(people: list[str]) -> str:
    """a, b and c."""
    return people[0] if len(people) == 1 else f"{', '.join(people[:-1])} and {people[-1]}"


def shown(text: str) -> str:
    """Text of others, so that it can neither steer the terminal nor pass for lines of ours.

    Everything that does not print stands as its escape: control characters, and marks that turn the order of
    characters. Further lines are indented.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n    ".join("".join(map(_shown, line)) for line in lines)


def _shown(character: str) -> str:
    if character == "\t":
        return "    "
    # Joiners make one emoji of several, and do nothing else.
    if character.isprintable() or character in "\u200c\u200d":
        return character
    return character.encode("unicode_escape").decode("ascii")
