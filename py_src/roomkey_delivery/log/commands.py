"""The command line of logs: options of `roomkey-delivery serve`, and `roomkey-delivery log-keys`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from roomkey.errors import RoomkeyError
from roomkey.federation.identity import check_domain

from roomkey_delivery.log.config import LogConfig, read_audited, read_witness
from roomkey_delivery.log.keys import LogKeys, load_or_make


def add_options(serve: argparse.ArgumentParser) -> None:
    """Adds what `log_config` reads to the parser of `serve`."""
    serve.add_argument(
        "--log-keys",
        type=Path,
        metavar="FILE",
        help="keep a log of keys, and audit others', with the keys in this file",
    )
    for name, text in (
        ("--auditor", "an auditor of our log: its key, and where it takes checkpoints, repeatable"),
        ("--witness", "a witness that cosigns our log but does not count for proofs, repeatable"),
        ("--audit", "another service's log to audit: its key, and the address of its tiles, repeatable"),
    ):
        serve.add_argument(name, action="append", default=[], metavar="VKEY=URL", help=text)


def log_config(options: argparse.Namespace) -> LogConfig | None:
    """What the options of `serve` say. Errors: "bad-argument", "invalid-address"."""
    if options.log_keys is None:
        if options.auditor or options.witness or options.audit:
            raise RoomkeyError("bad-argument", "expected --log-keys with --auditor, --witness and --audit")
        return None
    if not options.auditor and not options.audit:
        text = "expected --auditor, without which no key of this domain can be proved, or --audit"
        raise RoomkeyError("bad-argument", text)
    return LogConfig(
        load_or_make(options.log_keys, check_domain(options.domain)),
        tuple(
            read_witness(text, auditor=auditor)
            for texts, auditor in ((options.auditor, True), (options.witness, False))
            for text in texts
        ),
        tuple(map(read_audited, options.audit)),
    )


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `log-keys`; it carries what runs it as `run`."""
    keys = commands.add_parser("log-keys", help="print the public keys of a service's log, made if they are not there")
    keys.add_argument("--log-keys", type=Path, required=True, metavar="FILE")
    keys.add_argument("--domain", required=True, help="whose log it is, such as email1.example")
    keys.add_argument("--name", help="of the log, for a file that is made: another one after a log was lost")
    keys.set_defaults(run=_keys)


def _load(options: argparse.Namespace) -> LogKeys:
    return load_or_make(options.log_keys, check_domain(options.domain), options.name)


def _keys(options: argparse.Namespace) -> int:
    if options.name is not None and not re.fullmatch("[a-z0-9-]{1,32}", options.name):
        raise RoomkeyError("bad-argument", "expected a name of small letters, digits and hyphens")
    for name, value in _load(options).public().items():
        print(f"{name} {value}")
    return 0
