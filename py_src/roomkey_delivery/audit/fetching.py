"""Requests to addresses that the operator configured: no redirects, nothing packed, bytes and seconds limited."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
from roomkey.errors import RoomkeyError


async def exchange(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    limit: int,
    seconds: float,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """The status and the body of the answer, never holding more than about `limit` bytes, within `seconds`.

    Errors: "service-unavailable" (no answer, or one that is packed, cut off, too long or too slow).
    """
    asked = {"Accept-Encoding": "identity", **(headers or {})}
    body = bytearray()
    try:
        async with (
            asyncio.timeout(seconds),
            http.stream(method, url, content=content, headers=asked, timeout=seconds, follow_redirects=False) as answer,
        ):
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise RoomkeyError("service-unavailable", "expected an answer that is not packed")
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > limit:
                    raise RoomkeyError("service-unavailable", f"expected an answer of at most {limit} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
        raise RoomkeyError("service-unavailable", f"expected an answer, got {type(error).__name__}") from None
    return answer.status_code, bytes(body)


async def fetch(http: httpx.AsyncClient, url: str, *, limit: int, seconds: float) -> bytes:
    """The body that GET gives with status 200. Errors: "service-unavailable"."""
    status, body = await exchange(http, "GET", url, limit=limit, seconds=seconds)
    if status != 200:
        raise RoomkeyError("service-unavailable", f"expected status 200, got {status}")
    return body
