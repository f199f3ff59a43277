"""The settings of the people of one folder: `roomkey.toml`, written by them and read by us.

    unknown = "first-use"              # keys of somebody new whose domain has no log: "first-use" takes and pins them,
                                       # "refuse" knows only people whom a log or an earlier meeting proves
    fanout = "client"                  # "server": our own service asks all others for us
    [services]                         # where the delivery services of domains are, beside those remembered
    "email2.example" = "https://ds.email2.example"
    [transparency."email2.example"]    # whom to believe about the keys of a domain's people: as `roomkey-delivery
    log = "email2.example/roomkey+..." # log-keys` prints it to who operates the services; nothing else counts then
    vrfKey = "..."
    auditors = ["email1.example/auditor+..."]

A folder holds one or more identities: for each a store (`host/native.py`) and a folder of its own for what waits here.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from roomkey.client.routing import FANOUTS, Fanout
from roomkey.errors import RoomkeyError
from roomkey.federation.calls import service_origin
from roomkey.federation.identity import check_domain
from roomkey.federation.trust import FirstUse, PinnedOnly, TrustPolicy
from roomkey.transparency.trust_text import read_trust
from roomkey.transparency.verifier import Trust

from roomkey_cli.words import USAGE, Trouble

NAME = "roomkey.toml"
POLICIES: Mapping[str, TrustPolicy] = {"first-use": FirstUse(), "refuse": PinnedOnly()}


class Settings(NamedTuple):
    """`services`: domain -> origin; `trusts`: domain -> whom we believe about its log."""

    services: dict[str, str]
    policy: TrustPolicy
    fanout: Fanout | None
    trusts: dict[str, Trust]


def default_folder() -> Path:
    """`ROOMKEY_FOLDER`, else `~/.roomkey`."""
    return Path(os.environ.get("ROOMKEY_FOLDER") or Path.home() / ".roomkey")


def read(folder: Path) -> Settings:
    """The folder's settings; the defaults where it has none. Errors: `Trouble`, which names the line or the key."""
    path = folder / NAME
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        data = {}
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"{path} cannot be read: {_why(error)}", USAGE) from error
    except tomllib.TOMLDecodeError as error:
        raise Trouble(f"{path} is not TOML: {error}", USAGE) from error
    for key in data.keys() - {"unknown", "fanout", "services", "transparency"}:
        raise Trouble(f"{path}: there is no setting {key!r}", USAGE)
    unknown = data.get("unknown", "first-use")
    if unknown not in POLICIES:
        raise Trouble(f"{path}: unknown must be one of {', '.join(POLICIES)}", USAGE)
    fanout = data.get("fanout")
    if fanout not in (None, *FANOUTS):
        raise Trouble(f"{path}: fanout must be one of {', '.join(FANOUTS)}", USAGE)
    return Settings(
        {_domain(path, domain): _origin(path, domain, url) for domain, url in _table(path, data, "services").items()},
        POLICIES[unknown],
        fanout,
        {_domain(path, domain): _trust(path, domain, of) for domain, of in _table(path, data, "transparency").items()},
    )


def _table(path: Path, data: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, dict):
        raise Trouble(f"{path}: [{name}] must be a table", USAGE)
    return table


def _domain(path: Path, text: str) -> str:
    try:
        return check_domain(text)
    except RoomkeyError as error:
        raise Trouble(f'{path}: "{text}" is no domain; write it in lower case and in quotes', USAGE) from error


def _origin(path: Path, domain: str, url: object) -> str:
    try:
        return service_origin(url if isinstance(url, str) else "")
    except RoomkeyError as error:
        raise Trouble(f"{path}: the address of {domain} should look like https://ds.{domain}", USAGE) from error


def _trust(path: Path, domain: str, values: object) -> Trust:
    try:
        return read_trust(values if isinstance(values, dict) else {}, [domain])
    except RoomkeyError as error:
        raise Trouble(f'{path}: [transparency."{domain}"]: {error.text}', USAGE) from error


def _why(error: Exception) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else "it is not UTF-8"
