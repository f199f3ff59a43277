"""What browsers ask before they let a page use this service (Fetch standard, section 3.3).

Paths are fixed, so a page asks once per path and 7200 s. An origin that is not allowed is told so, in a body that its
page can read at `DESCRIPTION_PATH` only: there it learns that this is a delivery service, and that it is refused. From
all other paths a `no-cors` retry tells it that the service itself runs.
"""

from __future__ import annotations

from roomkey.errors import RoomkeyError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roomkey_delivery.problems import problem

EXPOSED = "Date, Retry-After, Signature, Signature-Input, Content-Digest"
ASKED = "Content-Type, Content-Digest, Signature, Signature-Input, Roomkey-Home"
MAX_AGE = "7200"  # seconds, the longest that Chromium takes
DESCRIPTION_PATH = "/v1/service"  # needs no preflight, tells no more than anybody without a browser can ask for


class Cors:
    """Middleware: answers preflights, marks answers, refuses origins that are not allowed."""

    def __init__(self, app: ASGIApp, allow_origins: frozenset[str] | None) -> None:
        self.app = app
        self.allow_origins = allow_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed = origin is None or self.allow_origins is None or origin in self.allow_origins
        readable = allowed or scope["path"] == DESCRIPTION_PATH

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._mark(MutableHeaders(scope=message), origin if readable else None)
            await send(message)

        if not allowed:
            answer: ASGIApp = problem(RoomkeyError("origin-not-allowed", "expected an origin that the operator allows"))
        elif scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            answer = Response(
                status_code=204,
                headers={
                    "Access-Control-Allow-Methods": "GET, POST",
                    "Access-Control-Allow-Headers": ASKED,
                    "Access-Control-Max-Age": MAX_AGE,
                },
            )
        else:
            answer = self.app
        await answer(scope, receive, marked)

    def _mark(self, headers: MutableHeaders, origin: str | None) -> None:
        # or an isolated page could not tell refusal from silence
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("Cache-Control", "no-store")  # the log's tiles may be kept
        if self.allow_origins is not None:
            headers.add_vary_header("Origin")
        if origin is not None:
            headers["Access-Control-Allow-Origin"] = "*" if self.allow_origins is None else origin
            headers["Access-Control-Expose-Headers"] = EXPOSED
