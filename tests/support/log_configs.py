"""How services that keep logs, and their clients, are configured to rely on each other."""

from __future__ import annotations

from collections.abc import Mapping

from roomkey.transparency.exchange import LOG_PREFIX, WITNESS_PREFIX
from roomkey.transparency.verifier import Trust
from roomkey_delivery.log.config import Audited, LogConfig, Witness
from roomkey_delivery.log.keys import LogKeys


def trusts_of(keys: Mapping[str, LogKeys]) -> dict[str, Trust]:
    """What clients are configured with, by domain: each log, audited by all the other services."""
    return {
        domain: Trust(
            own.log_key, own.vrf_key, tuple(other.auditor_key for name, other in keys.items() if name != domain)
        )
        for domain, own in keys.items()
    }


def log_config(domain: str, keys: Mapping[str, LogKeys], urls: Mapping[str, str]) -> LogConfig:
    """The log of a domain, audited by all the others, whose logs it audits."""
    others = [(urls[name], other) for name, other in keys.items() if name != domain]
    return LogConfig(
        keys[domain],
        tuple(Witness(other.auditor_key, url + WITNESS_PREFIX, auditor=True) for url, other in others),
        tuple(Audited(other.log_key, url + LOG_PREFIX) for url, other in others),
    )
