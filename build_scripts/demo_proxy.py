"""What stands before the real email2.example in the demo: passes everything on, and lies when `Malice` says so.

A request goes on as it is, its `Host` too, because its signature covers that: the service knows this address as one of
its own (`--public-url`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from build_scripts.demo_malicious import Malice

# Inboxes say something every 15 s; a service that is silent for longer has gone.
SILENCE_SECONDS: Final = 60.0
_OF_THE_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
)


class LyingProxy:
    """An ASGI application before the service at `upstream`, http://127.0.0.1:PORT."""

    def __init__(self, upstream: str, malice: Malice) -> None:
        self._upstream = upstream
        self._malice = malice
        self._http = httpx.AsyncClient(timeout=SILENCE_SECONDS, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._http.aclose()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        query = f"?{request.url.query}" if request.url.query else ""
        asked = self._http.build_request(
            request.method, f"{self._upstream}{request.scope['raw_path'].decode()}{query}", content=body,
            headers=[item for item in request.headers.raw if item[0] not in (b"connection", b"content-length")],
        )  # fmt: skip
        try:
            answer = await self._http.send(asked, stream=True)
        except httpx.TransportError:
            return Response(status_code=502)
        change = self._malice.change(request.url.path, request.headers, body) if answer.status_code == 200 else None
        fields = [item for item in answer.headers.raw if item[0].decode().lower() not in _OF_THE_CONNECTION]
        if change is None:
            whole: Response = StreamingResponse(_pieces(answer), answer.status_code)
        else:
            whole = Response(await change(await answer.aread()))
        whole.raw_headers = [*fields, *(item for item in whole.raw_headers if item[0] == b"content-length")]
        return whole


async def _pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(answer):
        with contextlib.suppress(httpx.TransportError):  # whoever reads sees an end, as if the service itself had gone
            async for piece in answer.aiter_raw():
                yield piece
