"""Errors as clients see them: `{"code": ..., "text": ...}` with a status. No text holds an identity, a key or a
message.
"""

from __future__ import annotations

import logging
import traceback
from http import HTTPStatus

from roomkey.errors import RoomkeyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

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
    "request-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "invalid-set": HTTPStatus.UNPROCESSABLE_ENTITY,
    "set-expired": HTTPStatus.UNPROCESSABLE_ENTITY,
    "too-many-requests": HTTPStatus.TOO_MANY_REQUESTS,
    "service-unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "inbox-full": HTTPStatus.INSUFFICIENT_STORAGE,
}


def problem(error: RoomkeyError, status: int | None = None) -> JSONResponse:
    """The answer to a request that failed. Bytes that do not parse are the requester's: "malformed-request"."""
    code = "malformed-request" if error.code in ("malformed", "too-large", "invalid-identity") else error.code
    body: dict[str, object] = {"code": code, "text": error.text}
    body |= {name: value for name, value in error.details.items() if name in ("time", "field")}
    headers = {} if error.retry_after is None else {"Retry-After": str(int(error.retry_after))}
    return JSONResponse(body, status or STATUS.get(code, HTTPStatus.INTERNAL_SERVER_ERROR), headers)


async def on_roomkey_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RoomkeyError)
    if error.code == "service-unavailable":
        log.warning("unavailable: %s", error.text)
    return problem(error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's own: unknown path, wrong method."""
    assert isinstance(error, HTTPException)
    return problem(RoomkeyError("malformed-request", HTTPStatus(error.status_code).phrase.lower()), error.status_code)


async def on_bug(request: Request, error: Exception) -> Response:
    """Anything else is a bug of ours. Its text may hold data of people, so only its kind and place are logged."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "unknown place"
    log.error("bug: %s at %s", type(error).__name__, place)
    return problem(RoomkeyError("service-unavailable", "a fault of the service"), HTTPStatus.INTERNAL_SERVER_ERROR)
