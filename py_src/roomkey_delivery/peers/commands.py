"""What an operator says about other domains, and about the keys that we sign with there."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from roomkey.errors import RoomkeyError
from roomkey.federation.requests import base64url

from roomkey_delivery.peers.keys import MAX_KEYS, SUFFIX, DomainKeys, load_or_make, roll
from roomkey_delivery.peers.peers import read_peer_key


def add_options(serve: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    serve.add_argument(
        "--domain-key",
        type=Path,
        metavar="FILE",
        help=f"what it signs with at other services; made at first start (default: the database's name and {SUFFIX})",
    )
    serve.add_argument(
        "--peer-key",
        action="append",
        default=[],
        metavar="DOMAIN=KEY",
        help="the only key that another domain's service may sign with here, as its domain-key command prints it; "
        f"repeatable, up to {MAX_KEYS} of a domain; default: what the domain publishes",
    )


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], database: Path) -> None:
    """The command `domain-key`."""
    parser = commands.add_parser("domain-key", help="print the keys that the service signs with at others")
    parser.add_argument("--domain-key", type=Path, metavar="FILE", help="the file (default: beside the database)")
    parser.add_argument("--db", type=Path, default=database, help=f"the service's database file (default {database})")
    parser.add_argument(
        "--roll",
        action="store_true",
        help="take a step towards a new key: the first time it is published, the second time it takes the old one's "
        "place; restart the service after each",
    )
    parser.set_defaults(run=_domain_key)


def domain_keys(options: argparse.Namespace) -> DomainKeys:
    """The keys of the service, made if it has none. Errors: "bad-argument"."""
    return load_or_make(_file(options))


def peer_keys(texts: Sequence[str]) -> Mapping[str, tuple[bytes, ...]]:
    """What `--peer-key` pins, by domain. Errors: "bad-argument", "malformed"."""
    pinned: dict[str, tuple[bytes, ...]] = {}
    for domain, key in map(read_peer_key, texts):
        pinned[domain] = (*pinned.get(domain, ()), key)
        if len(pinned[domain]) > MAX_KEYS:
            raise RoomkeyError("bad-argument", f"expected at most {MAX_KEYS} --peer-key of one domain")
    return pinned


def _file(options: argparse.Namespace) -> Path:
    file: Path | None = options.domain_key
    database: Path = options.db
    return database.with_name(database.name + SUFFIX) if file is None else file


def _domain_key(options: argparse.Namespace) -> int:
    keys = roll(_file(options)) if options.roll else domain_keys(options)
    for key in keys.public:
        print(base64url(key))
    return 0
