"""A request of a client of ours at another domain's service: signed with our domain key, which vouches for the client.

What comes back is not looked into. What is wrong between the two services is not the client's doing: it becomes
"service-unavailable" with the domain named. At most `MAX_IN_FLIGHT` requests wait for one domain, so that a service
that does not answer costs those who want it, and nobody else.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Final

import httpx
from roomkey.errors import RoomkeyError
from roomkey.federation.calls import LAST_TIME
from roomkey.federation.requests import sign_as_domain
from roomkey.host.native_crypto import NativeCrypto

from roomkey_delivery.peers.keys import DomainKeys
from roomkey_delivery.peers.peers import Peers
from roomkey_delivery.peers.reaching import Answer, exchange

MAX_IN_FLIGHT: Final = 16  # requests that wait for one domain's service
# Statuses that tell of the request itself. The others speak of our signature, or of nothing that a client knows.
ABOUT_THE_REQUEST: Final = frozenset({200, 201, 400, 403, 404, 409, 413, 422, 429, 503, 507})


class Passer:
    """Asks other services for our clients. `clock`: Unix seconds; `heard` is told each domain that did as asked."""

    def __init__(
        self,
        domain: str,
        keys: DomainKeys,
        peers: Peers,
        clock: Callable[[], float],
        http: httpx.AsyncClient,
        heard: Callable[[str], None],
    ) -> None:
        self._domain = domain
        self._keys = keys
        self._peers = peers
        self._clock = clock
        self._http = http
        self._heard = heard
        self._crypto = NativeCrypto()
        self._in_flight: Counter[str] = Counter()
        self._offsets: dict[str, float] = {}  # seconds by which another service's clock is ahead of ours

    async def post(
        self,
        domain: str,
        client: bytes,
        identity: str,
        path: str,
        content_type: str,
        accept: str,
        body: bytes,
        *,
        limit: int,
        seconds: float,
        asker: str,
    ) -> Answer:
        """The answer of the service of `domain`, of a status in `ABOUT_THE_REQUEST`.

        Args:
            client: whom we vouch for, its id and identity.
            limit: bytes of the answer; `seconds` that it may take.
            asker: for whom the domain is looked up, for the limit on that.
        Errors: "service-unavailable" with `domain`, "too-many-requests".
        """
        if self._in_flight[domain] >= MAX_IN_FLIGHT:
            raise unavailable(domain, f"expected at most {MAX_IN_FLIGHT} requests that wait for it")
        self._in_flight[domain] += 1
        try:
            async with asyncio.timeout(seconds):
                address = await self._peers.address(domain, asker)
                url = address.origin + path
                for last in (False, True):
                    now = self._clock() + self._offsets.get(domain, 0.0)
                    headers = await sign_as_domain(
                        self._crypto, self._keys.signing, self._domain, client, identity, "POST", url, body,
                        content_type, now,
                    )  # fmt: skip
                    answer = await exchange(
                        self._http, "POST", url,
                        public=address.public, limit=limit, seconds=seconds,
                        headers={**headers, "accept": accept}, content=body,
                    )  # fmt: skip
                    if last or not self._learn_time(domain, answer):
                        break
        except TimeoutError:
            raise unavailable(domain, f"expected an answer of it within {seconds:.0f} s") from None
        except RoomkeyError as error:
            if error.code != "service-unavailable":
                raise
            raise unavailable(domain, error.text) from error
        finally:
            self._in_flight[domain] -= 1
            if not self._in_flight[domain]:
                del self._in_flight[domain]
        if answer.status not in ABOUT_THE_REQUEST:
            raise unavailable(domain, f"expected it to take our request, got status {answer.status}")
        if answer.status < 400:
            self._heard(domain)
        return answer

    def _learn_time(self, domain: str, answer: Answer) -> bool:
        """Whether an answer tells that our clock is off; then by how much is remembered."""
        if answer.status != 401:
            return False
        said = problem_in(answer)
        time = said.get("time")
        if said.get("code") != "clock-skew" or isinstance(time, bool) or not isinstance(time, int | float):
            return False
        if not 0 <= time < LAST_TIME:
            return False
        self._offsets[domain] = float(time) - self._clock()
        return True


def unavailable(domain: str, text: str) -> RoomkeyError:
    """What a client is told of a domain that cannot be reached for it."""
    return RoomkeyError("service-unavailable", text, retry_after=5, domain=domain)


def problem_in(answer: Answer) -> dict[str, object]:
    """The JSON object of an error; an empty one if there is none."""
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
