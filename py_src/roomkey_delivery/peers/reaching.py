"""One request to another domain's service: bounded, and never to an address inside (attack S14).

1. Where the operator did not configure the address, it is https, its name resolves here, every address must be public,
   and the connection goes to the address that was checked. It serves this request alone: a certificate was shown for
   this name, and connections are kept by address, which other names may lead to.
2. No redirects, nothing packed, bytes and seconds limited.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
from roomkey.errors import RoomkeyError

# Names that somebody made us look up are resolved in threads of their own: one that never answers keeps a thread for as
# long as the system tries (up to half a minute), and the event loop's own threads are for services that are known.
_RESOLVERS: Final = ThreadPoolExecutor(64, "roomkey-resolver")
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")  # RFC 4291 section 2.4


class Answer(NamedTuple):
    """An answer, whatever its status is. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def exchange(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    public: bool,
    limit: int,
    seconds: float,
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> Answer:
    """Asks another service.

    Args:
        public: the address is not the operator's, so 1 holds.
        limit: bytes of the answer's body.
    Errors: "service-unavailable" (no answer, one that is packed, cut off, too long or too slow, or an address inside).
    """
    fields = {**headers, "accept-encoding": "identity"}
    extensions: dict[str, str] = {}
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            if public:
                host, url = await _public(url)
                fields |= {"host": host, "connection": "close"}
                extensions["sni_hostname"] = str(urlsplit(f"//{host}").hostname)
            request = http.build_request(
                method, url, headers=fields, content=content, extensions=extensions, timeout=seconds
            )
            answer = await http.send(request, stream=True, follow_redirects=False)
            try:
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise httpx.HTTPError("packed")  # it could be a thousand times as long
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > limit:
                        raise httpx.HTTPError("too long")
            finally:
                await answer.aclose()
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
        text = f"expected an answer of another domain's service, got {type(error).__name__}"
        raise RoomkeyError("service-unavailable", text) from None
    return Answer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, bytes(body))


def json_of(answer: Answer) -> dict[str, Any]:
    """The JSON object of a 200. Errors: "service-unavailable"."""
    if answer.status != 200:
        raise RoomkeyError("service-unavailable", f"expected status 200 of another domain's service: {answer.status}")
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RoomkeyError("service-unavailable", "expected a JSON object of another domain's service")
    return value


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one of the public internet. Of IPv6 only global unicast, and no form that carries an IPv4
    address, which a gateway (6to4, NAT64) might follow inside.
    """
    if address.version == 6 and (address not in _GLOBAL_UNICAST or address.sixtofour is not None):
        return False
    return address.is_global and not address.is_multicast


async def _public(url: str) -> tuple[str, str]:
    """The Host of an https URL and the same URL by address, all of whose addresses are public. Errors: OSError."""
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None:
        raise OSError("expected https")
    resolve = functools.partial(socket.getaddrinfo, parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_RESOLVERS, resolve)
    addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise OSError("expected public addresses only")
    literal = f"[{addresses[0]}]" if addresses[0].version == 6 else str(addresses[0])
    port = "" if parts.port is None else f":{parts.port}"
    return parts.netloc, parts._replace(netloc=literal + port).geturl()
