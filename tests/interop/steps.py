"""The steps that scenarios are written in; `room.Room` plays them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Create:
    """A new group. `extension`: data of an extension of type EXTENSION_TYPE in its context."""

    by: str
    extension: bytes | None = None


@dataclass(frozen=True)
class Propose:
    """One proposal, by reference from then on: an Update unless something is named."""

    by: str
    add: str = ""
    remove: str = ""
    psk: bytes = b""
    resume: int | None = None  # the epoch whose resumption PSK is used
    extension: bytes | None = None
    public: bool = False


@dataclass(frozen=True)
class Commit:
    """A commit of what was proposed and, by value, of what is named.

    Attributes:
        path: a path even where none is needed. ts-mls has no such option: it makes a path where it thinks it must.
        public: as PublicMessage.
        tree_inside: False leaves the tree out of the Welcome, where the engine can; it is handed over beside it.
    """

    by: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    psk: tuple[bytes, ...] = ()
    resume: tuple[int, ...] = ()
    extension: bytes | None = None
    path: bool = False
    public: bool = False
    tree_inside: bool = True


@dataclass(frozen=True)
class Say:
    """Application data that all others read."""

    by: str


@dataclass(frozen=True)
class Seal:
    """Application data that is read later, by `Open` with its label."""

    by: str
    label: str


@dataclass(frozen=True)
class Open:
    by: str
    label: str


@dataclass(frozen=True)
class Reload:
    """The group stored and loaded again."""

    by: str


@dataclass(frozen=True)
class Enter:
    """Somebody joins by an external commit, with a GroupInfo from a member."""

    name: str
    by: str


Step: TypeAlias = Create | Propose | Commit | Say | Seal | Open | Reload | Enter
