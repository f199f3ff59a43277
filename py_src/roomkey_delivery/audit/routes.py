"""`POST /v1/witness/add-checkpoint` and `GET /v1/witness/ORIGIN HASH/checkpoint` (c2sp.org/tlog-witness); and
`GET /v1/witness/ORIGIN HASH/head`, by which a log that lost its newest epochs sees that it did (attack T16).
"""

from __future__ import annotations

from http import HTTPStatus

from roomkey.errors import RoomkeyError
from roomkey.transparency.exchange import WITNESS_PREFIX
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roomkey_delivery.audit.auditor import RETRY_AFTER, Auditor, Conflict
from roomkey_delivery.audit.protocol import MAX_REQUEST, PATH, SIZE_TYPE, TEXT_TYPE, AddCheckpoint
from roomkey_delivery.limits import read_body
from roomkey_delivery.service import service_of

# What the specification says; the body of an error is a line for the log's operator.
STATUS = {
    "malformed": HTTPStatus.BAD_REQUEST,
    "malformed-request": HTTPStatus.BAD_REQUEST,
    "wrong-log": HTTPStatus.NOT_FOUND,
    "invalid-signature": HTTPStatus.FORBIDDEN,
    "too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "request-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "log-proof-invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
    "log-fork": HTTPStatus.UNPROCESSABLE_ENTITY,
    "too-many-requests": HTTPStatus.TOO_MANY_REQUESTS,
}


async def add_checkpoint(request: Request) -> Response:
    """A log asks us to cosign its checkpoint."""
    auditor = _auditor_of(request)
    try:
        answer = await auditor.add_checkpoint(AddCheckpoint.decode(await read_body(request, MAX_REQUEST)))
    except RoomkeyError as error:
        status = STATUS.get(error.code, HTTPStatus.SERVICE_UNAVAILABLE)
        again = RETRY_AFTER if error.retry_after is None else error.retry_after
        headers = {"Retry-After": str(int(again))} if status in (429, 503) else {}
        return Response(f"{error.code}: {error.text}\n", status, headers, TEXT_TYPE)
    if isinstance(answer, Conflict):
        return Response(f"{answer.size}\n", HTTPStatus.CONFLICT, {"Content-Type": SIZE_TYPE})
    return Response(answer.encode(), HTTPStatus.OK, media_type=TEXT_TYPE)


async def newest(request: Request) -> Response:
    """The newest checkpoint of a log that we cosigned, for whoever watches it."""
    note = await _auditor_of(request).cosigned(request.path_params["origin"])
    if note is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(note.encode(), media_type=TEXT_TYPE)


async def head(request: Request) -> Response:
    """The newest checkpoint of a log that we know, cosigned or not, with the log's own signature alone."""
    note = await _auditor_of(request).head(request.path_params["origin"])
    if note is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(note, media_type=TEXT_TYPE)


def _auditor_of(request: Request) -> Auditor:
    service = service_of(request)
    service.count_unsigned(request)
    if service.auditor is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return service.auditor


ROUTES = [
    Route(WITNESS_PREFIX + PATH, add_checkpoint, methods=["POST"]),
    Route(WITNESS_PREFIX + "/{origin}/checkpoint", newest, methods=["GET"]),
    Route(WITNESS_PREFIX + "/{origin}/head", head, methods=["GET"]),
]
