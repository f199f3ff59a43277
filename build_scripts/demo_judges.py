"""What the demo's play judges: what pages hold must agree or differ, and no service may have stored a secret."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from build_scripts.demo_pages import PEOPLE

DIGITS = 30


@dataclass(frozen=True)
class Holding:
    """What one page shows that it holds in one epoch."""

    epoch: str
    members: tuple[str, ...]
    digits: str
    keys: Mapping[str, str]  # sender -> fingerprint, 16 hex digits


Holdings = dict[str, Holding | None]  # by person's name


class Verdict:
    """Collects what was checked; prints each as it is."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.checks = 0

    def check(self, holds: bool, what: str) -> None:
        self.checks += 1
        print(f"  {'ok  ' if holds else 'FAIL'} {what}", flush=True)
        if not holds:
            self.failed.append(what)


def judge_agreement(verdict: Verdict, holdings: Holdings, names: list[str]) -> None:
    """All of `names` are in the same call, with themselves as its members and one key for each sender."""
    held = [holding for name in names if (holding := holdings[name]) is not None]
    verdict.check(len(held) == len(names), f"{', '.join(names)} are in the call")
    if len(held) != len(names):
        return
    identities = tuple(sorted(person.identity for person in PEOPLE if person.name in names))
    verdict.check(all(one.members == identities for one in held), "its members are these and nobody else")
    verdict.check(len({one.epoch for one in held}) == 1, "all are in the same epoch")
    one_set_of_digits = len({one.digits for one in held}) == 1 and sum(map(str.isdigit, held[0].digits)) == DIGITS
    verdict.check(one_set_of_digits, f"all show the same {DIGITS} digits")
    verdict.check(all(one.keys == held[0].keys for one in held), "all hold the same SRTP keys")
    verdict.check(tuple(sorted(held[0].keys)) == identities, "there is one SRTP key for each sender")
    differ = all(a != b for a, b in itertools.combinations(held[0].keys.values(), 2))
    verdict.check(differ, "each sender’s key differs from the others’")


def judge_removal(verdict: Verdict, before: Holdings, after: Holdings, page: str) -> None:
    """What Alice holds after Carol's removal is new, and nowhere in `page`, Carol's."""
    old, new = before["alice"], after["alice"]
    verdict.check(after["carol"] is None, "carol’s page holds no call key any more")
    if old is None or new is None:
        return
    verdict.check(int(new.epoch) > int(old.epoch), f"the epoch rose from {old.epoch} to {new.epoch}")
    verdict.check(new.digits != old.digits, "the digits differ between the epochs")
    verdict.check(not set(new.keys.values()) & set(old.keys.values()), "no SRTP key lives on in the new epoch")
    nowhere = not any(key in page for key in new.keys.values())
    verdict.check(nowhere, "no new key’s fingerprint is anywhere on carol’s page")


def judge_databases(verdict: Verdict, folder: Path, secrets: Iterable[str]) -> None:
    """No file of a service holds one of `secrets`, as it is, as bytes of its hex digits, or in base64 at any offset."""
    wanted: set[bytes] = set()
    for secret in secrets:
        forms = [secret.encode()]
        if all(character in "0123456789abcdef" for character in secret):
            forms.append(bytes.fromhex(secret))
        for form in forms:
            wanted.add(form)
            wanted.update(_inside_base64(form))
    files = [file for file in sorted(folder.iterdir()) if file.is_file()]
    content = b"".join(file.read_bytes() for file in files)
    verdict.check(len(content) > 0, f"the services stored {len(content) // 1000} kB in {len(files)} files")
    verdict.check(not any(form in content for form in wanted), "no message text, digits or key fingerprint is in them")


def _inside_base64(form: bytes) -> set[bytes]:
    """What `form` looks like in the middle of base64 text: three alignments, less what its neighbours shape."""
    inside: set[bytes] = set()
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + form)
        inside.add(whole[-(-shift * 8 // 6) : (shift + len(form)) * 8 // 6])
    return inside | {part.replace(b"+", b"-").replace(b"/", b"_") for part in inside}
