"""The log over HTTP (wire.md section 6): signed questions and manifests, and what anybody may read.

Signed, counted as claims are:

    POST /v1/log/answers        AnswersRequest, answered by Answers
    POST /v1/log/manifests      SignedManifest, answered by JSON {"version"}

For everybody (c2sp.org/tlog-tiles); no identity and no manifest is in any of it:

    GET /v1/log/checkpoint, /v1/log/tile/L/N[.p/W], /v1/log/tile/entries/N[.p/W], /v1/log/updates/N
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from roomkey.errors import RoomkeyError
from roomkey.federation.identity import check_identity, domain_of
from roomkey.transparency.exchange import (
    ANSWERS_PATH,
    LOG_ANSWERS,
    LOG_PREFIX,
    MANIFEST,
    MANIFESTS_PATH,
    MAP_UPDATES,
    AnswersRequest,
)
from roomkey.transparency.manifest import SignedManifest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roomkey_delivery.log.log import Log
from roomkey_delivery.log.tiles import TilePath
from roomkey_delivery.service import service_of

MAX_QUESTIONS: Final = 32 << 10  # 50 identities
MAX_MANIFEST: Final = 1 << 17
# Of what never changes; checkpoints are never kept (c2sp.org/tlog-tiles).
FOR_GOOD: Final = {"Cache-Control": "public, max-age=31536000, immutable"}

_NUMBER: Final = re.compile("0|[1-9][0-9]{0,17}", re.ASCII)


async def answer(request: Request) -> Response:
    """`POST /v1/log/answers`. One's own name counts for oneself alone, so that nobody can keep its owner out."""
    service, log = service_of(request), _log_of(request)
    sender, body = await service.verifier.passed_body(request, MAX_QUESTIONS, LOG_ANSWERS)
    asked = AnswersRequest.decode(body)
    identities = [check_identity(item.identity) for item in asked.requests]
    now, home = service.clock(), domain_of(sender.identity)
    service.asked.take(sender.counted, now, len(identities))
    if home != service.config.domain:
        service.domains_asked.take(home, now, len(identities))
    for identity in identities:
        if identity != sender.identity:
            service.targets_asked.take(identity, now)
    found = await log.answers(asked, sender.identity if home == service.config.domain else None)
    return Response(found.encode(), media_type=LOG_ANSWERS)


async def submit(request: Request) -> Response:
    """`POST /v1/log/manifests`: the next manifest of the sender's own name, by a client that is enrolled here."""
    service, log = service_of(request), _log_of(request)
    sender, body = await service.verifier.signed_body(request, MAX_MANIFEST, MANIFEST)
    signed = SignedManifest.decode(body)
    if domain_of(sender.identity) != service.config.domain:
        raise RoomkeyError("not-yours", "expected a client of this domain")
    if signed.manifest.identity != sender.identity.encode("ascii"):
        raise RoomkeyError("not-yours", "identity: expected the sender's own", field="identity")
    return JSONResponse({"version": await log.submit(signed, service.clock())})


async def checkpoint(request: Request) -> Response:
    """`GET /v1/log/checkpoint`: the newest that is published; none before a quorum has cosigned the first."""
    found = await _public(request).checkpoint()
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(found, media_type="text/plain; charset=utf-8")


async def tile(request: Request) -> Response:
    """`GET /v1/log/tile/L/N[.p/W]` and `GET /v1/log/tile/entries/N[.p/W]`."""
    log = _public(request)
    path = TilePath.decode(request.path_params["level"], request.path_params["place"])
    found = None if path is None else await log.tile(path)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(found, headers=FOR_GOOD, media_type="application/octet-stream")


async def updates(request: Request) -> Response:
    """`GET /v1/log/updates/N`."""
    log, number = _public(request), request.path_params["number"]
    found = await log.updates(int(number)) if _NUMBER.fullmatch(number) else None
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(found, headers=FOR_GOOD, media_type=MAP_UPDATES)


def _log_of(request: Request) -> Log:
    log = service_of(request).log
    if log is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return log


def _public(request: Request) -> Log:
    service_of(request).count_log_file(request)
    return _log_of(request)


ROUTES = [
    Route(ANSWERS_PATH, answer, methods=["POST"]),
    Route(MANIFESTS_PATH, submit, methods=["POST"]),
    Route(LOG_PREFIX + "/checkpoint", checkpoint, methods=["GET"]),
    Route(LOG_PREFIX + "/tile/{level}/{place:path}", tile, methods=["GET"]),
    Route(LOG_PREFIX + "/updates/{number}", updates, methods=["GET"]),
]
