"""One call to a delivery service: signed, bounded in time, and with every failure as a typed error.

1. A signed call carries an RFC 9421 signature (`requests`) at the service's time as far as it is known.
2. A 401 "clock-skew" tells the service's time; the call is signed again with it, once.
3. An answer of 2xx counts only with the media type that was asked for.
4. Any other answer is a JSON object with a `code` of `SERVICE_CODES`; everything else is "service-error".
5. With `relay`, all of it goes to the service at hand, which asks the one of that domain (server fanout, `relaying`).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import Scheme
from roomkey.errors import Plain, RoomkeyError
from roomkey.federation.delivery_messages import JSON
from roomkey.federation.identity import domain_of
from roomkey.federation.relaying import RELAY, RELAY_PATH, Relayed
from roomkey.federation.requests import client_id, sign_request
from roomkey.host.interface import Host, HttpResponse, HttpStream

CALL_TIMEOUT = 10.0  # seconds (wire.md section 5)
MAX_DOMAIN = 253  # characters (RFC 1035 section 2.3.4, without the root)
MAX_ERROR_BODY = 65536  # bytes of an error that we read; ours have under 300
MAX_RETRY_AFTER = (
    3600.0  # seconds that a service may have us wait: one that lies silences its own people for so long at most
)
LAST_TIME = 1 << 40  # Unix seconds that a service's clock may show; JSON also has NaN, Infinity and 400 digits

# What a delivery service may say of a request. No other code is taken from it, so that it cannot speak for our own
# checks.
SERVICE_CODES = frozenset(
    {
        "clock-skew", "request-refused", "request-replayed", "unknown-client", "enrolment-refused", "already-enrolled",
        "not-yours", "invalid-set", "set-expired", "set-conflict", "stock-full", "inbox-full", "malformed-request",
        "request-too-large", "too-many-requests", "wrong-token", "group-exists", "origin-not-allowed",
        "service-unavailable", "identity-taken", "manifest-refused", "manifest-conflict", "manifest-unproven",
        "not-in-manifest", "queue-full",
    }
)  # fmt: skip


@dataclass(frozen=True)
class ClientKey:
    """Who signs the requests of one client: its identity (canonical) and its credential key pair."""

    crypto: CryptoProvider
    scheme: Scheme
    key: KeyPair
    identity: str

    @property
    def client_id(self) -> bytes:
        """32 bytes (see `requests.client_id`)."""
        return client_id(self.key.public)


def service_origin(url: str) -> str:
    """The origin of a delivery service's address, `https://host[:port]`, without a slash at the end.

    Plain http is for loopback only (wire.md section 5). Errors: "invalid-address".
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise RoomkeyError("invalid-address", "expected an https address of a delivery service") from None
    if parts.scheme not in ("https", "http") or not host or not host.isascii() or any(c <= " " for c in url.strip()):
        raise RoomkeyError("invalid-address", "expected an https address of a delivery service")
    if "@" in parts.netloc or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise RoomkeyError("invalid-address", "expected an address of scheme, host and port only")
    if parts.scheme == "http" and not is_loopback(host):
        raise RoomkeyError("invalid-address", "expected https for an address that is not this machine's own")
    name = f"[{host}]" if ":" in host else host.lower()
    default = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{name}" if default else f"{parts.scheme}://{name}:{port}"


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its name or address."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ServiceCaller:
    """Calls to the service at one origin. Remembers how far the service's clock is from ours.

    Args:
        relay: the domain whose service is meant, if that is not the one at `origin`.
    """

    def __init__(self, host: Host, origin: str, client: ClientKey | None = None, relay: str | None = None) -> None:
        self.host = host
        self.origin = origin
        self.client = client
        self.relay = relay
        self._offset = 0.0  # seconds that the service's clock is ahead of ours

    async def call(
        self, method: str, path: str, body: bytes | None = None, content_type: str | None = None, *, accept: str = JSON
    ) -> bytes:
        """The body of a 2xx answer of media type `accept`. Errors: as the list above, and the host's own
        (`Http.request`).
        """
        response = await self.response(method, path, body, content_type, accept=accept)
        if not 200 <= response.status < 300:
            raise problem_of(response)
        return body_of(response, accept)

    async def response(
        self, method: str, path: str, body: bytes | None = None, content_type: str | None = None, *, accept: str = JSON
    ) -> HttpResponse:
        """The answer, whatever its status is; only a clock skew is already dealt with. Errors: "bad-argument" for what
        is not passed on.
        """
        if self.relay is not None:
            body = _relayed(self.relay, method, path, content_type, accept, body)
            method, path, content_type = "POST", RELAY_PATH, RELAY
        url = self.origin + path
        for last in (False, True):
            headers = await self._headers(method, url, body, content_type, accept)
            response = await self.host.http.request(method, url, headers, body, timeout=CALL_TIMEOUT)
            if last or not self._learn_time(response.status, response.body):
                break
        return response

    async def call_json(self, method: str, path: str, value: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A call with a JSON object, or nothing, for body, answered by a JSON object."""
        body = None if value is None else json.dumps(value, separators=(",", ":")).encode()
        return json_object(await self.call(method, path, body, None if body is None else JSON))

    async def stream(self, path: str, accept: str) -> HttpStream:
        """A streamed answer to a signed GET. Errors: "bad-argument" for a service that another one asks for us."""
        if self.relay is not None:
            raise RoomkeyError("bad-argument", "expected our own service")
        url = self.origin + path
        for last in (False, True):
            headers = await self._headers("GET", url, None, None, accept)
            answer = await self.host.http.stream("GET", url, headers, timeout=CALL_TIMEOUT)
            if answer.status == 200 and media_type(answer.headers) == accept:
                return answer
            problem = HttpResponse(answer.status, answer.headers, await _read_all(answer))
            if last or not self._learn_time(problem.status, problem.body):
                break
        raise problem_of(problem)

    async def _headers(
        self, method: str, url: str, body: bytes | None, content_type: str | None, accept: str
    ) -> dict[str, str]:
        headers = {"accept": accept}
        if self.client is None:
            if content_type is not None:
                headers["content-type"] = content_type
            return headers
        client = self.client
        now = self.host.now() + self._offset
        home = domain_of(client.identity)
        return headers | await sign_request(
            client.crypto, client.scheme, client.key, home, method, url, body, content_type, now
        )

    def _learn_time(self, status: int, body: bytes) -> bool:
        """Whether an answer is a clock skew that tells the time; then it is remembered."""
        if status != 401:
            return False
        answer = _problem(body)
        time = answer.get("time")
        if answer.get("code") != "clock-skew" or isinstance(time, bool) or not isinstance(time, int | float):
            return False
        if not 0 <= time < LAST_TIME:
            return False
        self._offset = float(time) - self.host.now()
        return True


def _relayed(domain: str, method: str, path: str, content_type: str | None, accept: str, body: bytes | None) -> bytes:
    if method != "POST" or body is None or content_type is None:
        raise RoomkeyError("bad-argument", "expected a request that a service passes on")
    asked = Relayed(
        domain.encode("ascii"), path.encode("ascii"), content_type.encode("ascii"), accept.encode("ascii"), body
    )
    return asked.encode()


def media_type(headers: Mapping[str, str]) -> str:
    """The media type of an answer, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def body_of(response: HttpResponse, accept: str) -> bytes:
    """The body, if it has the media type. Errors: "service-error"."""
    if media_type(response.headers) != accept:
        raise RoomkeyError("service-error", f"expected {accept}", status=response.status)
    return response.body


def problem_of(response: HttpResponse) -> RoomkeyError:
    """The typed error of an answer that is none of 2xx."""
    answer = _problem(response.body) if media_type(response.headers) == JSON else {}
    code, text, after = answer.get("code"), answer.get("text"), response.headers.get("retry-after", "")
    if not isinstance(code, str) or code not in SERVICE_CODES:
        return RoomkeyError("service-error", "expected an error of a delivery service", status=response.status)
    retry_after = (
        min(float(after), MAX_RETRY_AFTER) if after.isascii() and after.isdigit() and len(after) < 20 else None
    )
    details: dict[str, Plain] = {"status": response.status}
    domain = answer.get("domain")
    if isinstance(domain, str) and len(domain) <= MAX_DOMAIN:
        details["domain"] = domain  # whose service says so, or cannot be asked
    return RoomkeyError(code, text[:200] if isinstance(text, str) else "", retry_after=retry_after, **details)


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object. Errors: "service-error"."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RoomkeyError("service-error", "expected JSON") from None
    if not isinstance(value, dict):
        raise RoomkeyError("service-error", "expected a JSON object")
    return value


def _problem(body: bytes) -> dict[str, Any]:
    try:
        return json_object(body) if len(body) <= MAX_ERROR_BODY else {}
    except RoomkeyError:
        return {}  # not an error of ours: the caller reports it as such


async def _read_all(answer: HttpStream) -> bytes:
    body = b""
    try:
        async for piece in answer:
            body += piece
            if len(body) > MAX_ERROR_BODY:
                break
    finally:
        await answer.close()
    return body
