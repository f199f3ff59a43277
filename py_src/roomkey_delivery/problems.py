"""Errors as clients see them: `{"code": ..., "text": ...}` with a status. No text holds an identity, a key or a
message.
"""

from __future__ import annotations

import logging
import traceback
from http import HTTPStatus
from pathlib import Path

from roomkey.errors import RoomkeyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("roomkey_delivery")

STATUS = {
    "malformed-request": HTTPStatus.BAD_REQUEST,
    "clock-skew": HTTPStatus.UNAUTHORIZED,
    "request-refused": HTTPStatus.UNAUTHORIZED,
    "request-replayed": HTTPStatus.UNAUTHORIZED,
    "unknown-client": HTTPStatus.UNAUTHORIZED,
    "enrolment-refused": HTTPStatus.FORBIDDEN,
    "not-yours": HTTPStatus.FORBIDDEN,
    "wrong-token": HTTPStatus.FORBIDDEN,
    "origin-not-allowed": HTTPStatus.FORBIDDEN,
    "already-enrolled": HTTPStatus.CONFLICT,
    "set-conflict": HTTPStatus.CONFLICT,
    "stock-full": HTTPStatus.CONFLICT,
    "group-exists": HTTPStatus.CONFLICT,
    "identity-taken": HTTPStatus.CONFLICT,
    "manifest-conflict": HTTPStatus.CONFLICT,
    "manifest-unproven": HTTPStatus.CONFLICT,
    "manifest-refused": HTTPStatus.FORBIDDEN,
    "not-in-manifest": HTTPStatus.FORBIDDEN,
    "request-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "invalid-set": HTTPStatus.UNPROCESSABLE_ENTITY,
    "set-expired": HTTPStatus.UNPROCESSABLE_ENTITY,
    "too-many-requests": HTTPStatus.TOO_MANY_REQUESTS,
    "service-unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "inbox-full": HTTPStatus.INSUFFICIENT_STORAGE,
    "queue-full": HTTPStatus.INSUFFICIENT_STORAGE,
}


def problem(error: RoomkeyError, status: int | None = None) -> JSONResponse:
    """The answer to a request that failed. What our parsers and checks refuse is "malformed-request"."""
    code = error.code
    if code not in STATUS:
        code = "malformed-request" if error.fault in ("peer", "caller") else "service-unavailable"
    body: dict[str, object] = {"code": code, "text": error.text}
    body |= {name: value for name, value in error.details.items() if name in ("time", "field", "domain")}
    headers = {} if error.retry_after is None else {"Retry-After": str(int(error.retry_after))}
    return JSONResponse(body, status or STATUS[code], headers)


async def on_roomkey_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RoomkeyError)
    if error.code == "service-unavailable":
        log.warning("unavailable: %s", error.text)
    return problem(error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's own: unknown path, wrong method."""
    assert isinstance(error, HTTPException)
    return problem(RoomkeyError("malformed-request", HTTPStatus(error.status_code).phrase.lower()), error.status_code)


class Bugs:
    """Middleware: answers faults of ours. Their texts may hold data of people: only kind and place are logged."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if scope["type"] != "http":
                raise
            frames = traceback.extract_tb(error.__traceback__)
            place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
            log.error("bug: %s at %s", type(error).__name__, place)
            if not started:  # else the server closes the connection, because the answer is cut off
                answer = problem(RoomkeyError("service-unavailable", "a fault of the service"), 500)
                await answer(scope, receive, send)
