"""What people do about logs that lie: `roomkey-delivery verify-evidence FILE` and `roomkey-delivery evidence`."""

from __future__ import annotations

import argparse
import asyncio
import base64
import sys
from pathlib import Path

from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.evidence import MAX_EVIDENCE, ForkEvidence, verify_evidence
from roomkey.transparency.notes import VerifierKey

from roomkey_delivery.audit.store import AuditStore


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], database: Path) -> None:
    """Adds both commands to the parser; each carries what runs it as `run`."""
    verify = commands.add_parser("verify-evidence", help="check a file that says that a log showed two truths")
    verify.add_argument("file", type=Path, help="the file; - reads it from standard input")
    verify.add_argument("--log", metavar="VKEY", help="the log's key, as you know it; without it the file's is shown")
    verify.set_defaults(run=_verify)
    kept = commands.add_parser("evidence", help="print what this service's audits have against logs")
    kept.add_argument("--db", type=Path, default=database, help=f"the service's database file (default {database})")
    kept.set_defaults(run=_kept)


def _verify(options: argparse.Namespace) -> int:
    evidence = ForkEvidence.decode(_read(options.file))
    if options.log is not None and VerifierKey.decode(options.log) != evidence.log:
        raise RoomkeyError("wrong-log", "expected evidence against the log of this key, got another's")
    proved = asyncio.run(verify_evidence(NativeCrypto(), evidence))
    print(f"The log {proved.log.name} showed two truths: it signed two lists of {proved.first.size} entries.")
    for checkpoint in (proved.first, proved.second):
        print(f"  root {base64.b64encode(checkpoint.root).decode()}")
    if options.log is None:
        print(f"Compare the log's key with the one that you know:\n  {proved.log.encode()}")
    return 0


def _kept(options: argparse.Namespace) -> int:
    if not options.db.is_file():
        raise RoomkeyError("bad-argument", "expected --db, the database file of a service")
    store = AuditStore(options.db)
    try:
        refusals = store.refusals()
    finally:
        store.close()
    for refusal in refusals:
        print(f"{refusal.origin}: {refusal.reason}", file=sys.stderr)
        if refusal.evidence is not None:
            print(refusal.evidence, end="")
    return 0


def _read(file: Path) -> str:
    """At most a little more than evidence may have. Errors: "bad-argument" (cannot be read), "malformed"."""
    try:
        if str(file) == "-":
            data = sys.stdin.buffer.read(MAX_EVIDENCE + 1)
        else:
            with file.open("rb") as handle:
                data = handle.read(MAX_EVIDENCE + 1)
    except OSError as error:
        raise RoomkeyError("bad-argument", f"expected a file to read: {error.strerror}") from error
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RoomkeyError("malformed", "expected evidence in UTF-8") from None
