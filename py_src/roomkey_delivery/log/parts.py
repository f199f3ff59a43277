"""The two parts of a service that a `LogConfig` asks for, on the service's own database file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
from roomkey.host.native_crypto import NativeCrypto

from roomkey_delivery.audit.auditor import Auditor
from roomkey_delivery.audit.store import AuditStore
from roomkey_delivery.log.config import LogConfig
from roomkey_delivery.log.log import Log


def make_log(
    config: LogConfig | None, database: Path, http: httpx.AsyncClient, clock: Callable[[], float]
) -> Log | None:
    """The service's log; none where nobody audits it, because nothing in it could be proved."""
    return Log(config, database, http, clock) if config is not None and config.witnesses else None


def make_auditor(
    config: LogConfig | None, database: Path, http: httpx.AsyncClient, clock: Callable[[], float]
) -> Auditor | None:
    """The auditor of others' logs, if there are any to audit."""
    if config is None or not config.audits:
        return None
    keys = config.keys
    store = AuditStore(database)
    return Auditor(config.audits, keys.auditor_key, keys.cosigner, store, NativeCrypto(), http, clock)
