"""What this service passes on for its clients (server fanout, the draft's section 4.1.2; web/docs/delivery-http.md).

1. Who asks is a client that is enrolled here (`routes`): nobody passes on what was passed on, so there are no loops.
2. It is for another domain, at one of the paths of `SYNCHRONOUS` or at the one for messages, of a media type that the
   path takes, and not longer than the path allows.
3. Messages are taken into the queue (`queue`), and 202 is the answer. Everything else is asked at once (`passing`).
4. An answer is handed on with its status if it has the media type that was asked for, errors as code and text. Anything
   else is "service-unavailable", with the domain named.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple

import httpx
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import (
    COMMIT,
    COMMITS,
    COMMITS_READ,
    DELIVERY,
    FEDERATION,
    GROUP,
    INIT_KEY_SETS,
    JSON,
    MessageDelivery,
)
from roomkey.federation.identity import check_domain
from roomkey.federation.relaying import Relayed
from roomkey.federation.requests import base64url
from roomkey.transparency.exchange import ANSWERS_PATH, LOG_ANSWERS, MAX_ANSWERS
from starlette.responses import JSONResponse, Response

from roomkey_delivery.config import MAX_CLAIM, MAX_GROUP, MAX_JSON, MAX_MESSAGE, MAX_RECIPIENTS
from roomkey_delivery.peers.carrier import MESSAGES_PATH, Carrier
from roomkey_delivery.peers.keys import DomainKeys
from roomkey_delivery.peers.passing import Passer, problem_in, unavailable
from roomkey_delivery.peers.peers import Peers
from roomkey_delivery.peers.queue import RelayQueue
from roomkey_delivery.peers.reaching import Answer

PASS_TIME: Final = 8.0  # seconds of each try: the client itself gives up after 10
CLAIM_PATH: Final = "/v1/user-init-keys/claim"
MAX_SETS_ANSWER: Final = 8 << 20  # bytes: 50 identities with a dozen clients each, in the post-quantum suite
MAX_DELIVERY: Final = MAX_MESSAGE + 32 * MAX_RECIPIENTS + 16


class Rule(NamedTuple):
    """What may be asked at a path: (media type of the request, of the answer) pairs, and bytes of both."""

    types: frozenset[tuple[str, str]]
    limit: int
    answer: int


SYNCHRONOUS: Final = {
    CLAIM_PATH: Rule(frozenset({(INIT_KEY_SETS, INIT_KEY_SETS), (FEDERATION, FEDERATION)}), MAX_CLAIM, MAX_SETS_ANSWER),
    ANSWERS_PATH: Rule(frozenset({(LOG_ANSWERS, LOG_ANSWERS)}), MAX_CLAIM, MAX_ANSWERS),
    "/v1/groups": Rule(frozenset({(GROUP, JSON)}), MAX_GROUP, MAX_JSON),
    "/v1/commits": Rule(frozenset({(COMMIT, JSON)}), MAX_MESSAGE, MAX_MESSAGE + MAX_GROUP),
    "/v1/commits/read": Rule(frozenset({(COMMITS_READ, COMMITS)}), MAX_GROUP, MAX_MESSAGE + MAX_GROUP),
}
_MESSAGES: Final = Rule(frozenset({(DELIVERY, JSON)}), MAX_DELIVERY, 0)


class Relay:
    """One service's ways to others. `carrier` delivers what `queue` holds."""

    def __init__(
        self,
        domain: str,
        keys: DomainKeys,
        peers: Peers,
        queue: RelayQueue,
        clock: Callable[[], float],
        http: httpx.AsyncClient,
    ) -> None:
        self.keys = keys
        self._domain = domain
        self._queue = queue
        self._clock = clock
        self._passer = Passer(domain, keys, peers, clock, http, self.heard)
        self.carrier = Carrier(queue, self._passer, clock)

    def heard(self, domain: str) -> None:
        """The service of a domain proved to be there."""
        self.carrier.heard(domain)

    async def take(self, sender: bytes, identity: str, asked: Relayed) -> Response:
        """Does what a client of ours asks for (2 to 4)."""
        domain, path, content_type, accept = (
            _ascii(text) for text in (asked.domain, asked.path, asked.content_type, asked.accept)
        )
        if check_domain(domain) == self._domain:
            raise RoomkeyError("malformed-request", "domain: expected another one than ours", field="domain")
        rule = _MESSAGES if path == MESSAGES_PATH else SYNCHRONOUS.get(path)
        if rule is None or (content_type, accept) not in rule.types:
            raise RoomkeyError("malformed-request", "path: expected one that is passed on", field="path")
        if len(asked.body) > rule.limit:
            raise RoomkeyError("request-too-large", f"expected at most {rule.limit} bytes of body")
        if rule is not _MESSAGES:
            return await self.ask(domain, sender, identity, path, content_type, accept, asked.body)
        delivery = MessageDelivery.decode(asked.body)
        if not 0 < len(set(delivery.clients)) <= MAX_RECIPIENTS or not delivery.message:
            raise RoomkeyError("malformed-request", f"expected a message for 1 to {MAX_RECIPIENTS} clients")
        await self._queue.put(domain, sender, identity, asked.body, self._clock())
        self.carrier.wake()
        return JSONResponse({}, HTTPStatus.ACCEPTED)

    async def ask(
        self, domain: str, sender: bytes, identity: str, path: str, content_type: str, accept: str, body: bytes
    ) -> Response:
        """The answer of another domain's service. Errors: "service-unavailable" with `domain`, "too-many-requests"."""
        answer = await self._passer.post(
            domain, sender, identity, path, content_type, accept, body,
            limit=SYNCHRONOUS[path].answer, seconds=PASS_TIME, asker=base64url(sender),
        )  # fmt: skip
        return _handed_on(domain, path, accept, answer)

    async def close(self) -> None:
        await self._queue.close()


def _handed_on(domain: str, path: str, accept: str, answer: Answer) -> Response:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    lost = path == "/v1/commits" and answer.status == HTTPStatus.CONFLICT and kind == COMMITS
    if lost or (answer.status < 300 and kind == accept):
        return Response(answer.body, answer.status, media_type=kind)
    said = problem_in(answer) if answer.status >= 400 and kind == JSON else {}
    code, text, after = said.get("code"), said.get("text"), answer.headers.get("retry-after", "")
    if not isinstance(code, str) or not isinstance(text, str):
        raise unavailable(domain, "expected an answer of another domain's service")
    headers = {"Retry-After": after} if after.isascii() and after.isdigit() and len(after) < 7 else {}
    body = {"code": code[:100], "text": text[:200], "domain": domain}
    return JSONResponse(body, answer.status, headers)


def _ascii(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise RoomkeyError("malformed-request", "expected ASCII") from None
