"""What an operator sets, and the limits of one service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roomkey.federation.calls import is_loopback

# Bodies, in bytes. A Welcome for 1,000 members with its ratchet tree has about 1 MB, for 10,000 members 4 MB and more;
# in the post-quantum suite 2.6 MB for 1,000, and 3,000 members fill it.
MAX_MESSAGE = 8 << 20
# 100 sets of three suites have about 150 kB, with the post-quantum one 540 kB.
MAX_UPLOAD = 2 << 20
MAX_CLAIM = 64 << 10
MAX_JSON = 16 << 10
MAX_GROUP = 4 << 10

BODY_TIME = 30.0  # seconds for one body: 8 MB at 2 Mbit/s
MAX_RECIPIENTS = 1000  # clients that one request may name
MAX_STOCK = 1000  # ordinary sets of one client
INBOX_MESSAGES = 10_000
INBOX_BYTES = 64 << 20
MAX_STREAMS = 4  # of one client; a further one ends the oldest (one per page, wire.md section 5)
CODE_LIFETIME = 7 * 86400  # seconds that an enrolment code is good
ADMISSION_LIFETIME = 3600  # seconds that an admission by an older client is good


@dataclass(frozen=True)
class Rate:
    """A bucket of `burst` tokens that fills at `per_second`."""

    burst: int
    per_second: float


@dataclass(frozen=True)
class Rates:
    """How much of what one requester may do (attack S7). One process counts for itself."""

    address: Rate = Rate(1000, 50)  # unsigned requests, by address: many people share one
    client: Rate = Rate(600, 30)  # signed requests, by client
    claimed: Rate = Rate(300, 5)  # identities claimed, by client
    target: Rate = Rate(100, 2)  # claims of one identity, by whomever, known or not
    domain: Rate = Rate(3000, 100)  # identities claimed by clients of one other domain
    lookup: Rate = Rate(100, 2)  # clients of other domains not yet known here, by address; likewise domains
    peer: Rate = Rate(3000, 300)  # requests that the service of one other domain passes on
    groups: Rate = Rate(1000, 0.1)  # registers opened, by client: each stays as long as its group may be quiet
    domain_groups: Rate = Rate(20_000, 5)  # likewise by clients of one other domain
    commits: Rate = Rate(64 << 20, 50 << 10)  # bytes of commits, which are kept for 30 days, by client
    domain_commits: Rate = Rate(512 << 20, 1 << 20)  # likewise by clients of one other domain
    log_files: Rate = Rate(20_000, 1000)  # the log's tiles and updates, by address: an auditor may begin with years


@dataclass(frozen=True)
class ServiceConfig:
    """One delivery service.

    Args:
        domain: whose people it serves, canonical.
        authorities: the names (host or host:port) that clients reach it by; a request signed for another name is
            refused (S10).
        loopback_port: requests to any loopback name at this port are for this service too.
        allow_origins: web origins that may use it; None for all.
        public_url: the address in its /.well-known/roomkey document.
        peers: addresses of other domains' services; those not named are found by https://DOMAIN/.well-known/roomkey.
        peer_keys: domain keys (32 bytes, Ed25519) of other domains, in place of those in their documents.
        unsafe_open_enrolment: names go to who comes first, without a code.
    """

    domain: str
    authorities: frozenset[str] = frozenset()
    loopback_port: int | None = None
    allow_origins: frozenset[str] | None = None
    public_url: str | None = None
    peers: Mapping[str, str] = field(default_factory=dict)
    peer_keys: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    unsafe_open_enrolment: bool = False
    rates: Rates = Rates()

    def is_own(self, authority: str) -> bool:
        """Whether a request for `authority` (host[:port], lower case) is for this service."""
        if authority in self.authorities:
            return True
        if self.loopback_port is None:
            return False
        suffix = f":{self.loopback_port}"
        return authority.endswith(suffix) and is_loopback(authority.removesuffix(suffix).strip("[]"))
