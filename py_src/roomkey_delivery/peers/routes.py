"""`POST /v1/relay` and `GET /.well-known/roomkey`."""

from __future__ import annotations

from typing import Final

from roomkey.errors import RoomkeyError
from roomkey.federation.relaying import RELAY, RELAY_PATH, Relayed
from roomkey.federation.requests import base64url
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roomkey_delivery.enrolment import current
from roomkey_delivery.peers.peers import WELL_KNOWN
from roomkey_delivery.peers.relay import MAX_DELIVERY
from roomkey_delivery.service import service_of

MAX_RELAY: Final = MAX_DELIVERY + 1024  # what stands around the body has under 500 bytes


async def relay(request: Request) -> Response:
    """A client of ours asks another domain's service something through us."""
    service = service_of(request)
    sender, body = await service.verifier.signed_body(request, MAX_RELAY, RELAY)
    if await current(service, sender.id) is None:
        raise RoomkeyError("not-yours", "expected a client of this domain")
    if service.relay is None:
        raise RoomkeyError("service-unavailable", "expected a service that passes requests on")
    return await service.relay.take(sender.id, sender.identity, Relayed.decode(body))


async def well_known(request: Request) -> Response:
    """Where the service of this domain is, and which keys it signs with, for other services."""
    service = service_of(request)
    service.count_unsigned(request)
    url, keys = service.config.public_url, () if service.relay is None else service.relay.keys.public
    if url is None and not keys:
        raise HTTPException(404)
    return JSONResponse(
        ({} if url is None else {"service": url}) | ({"keys": [base64url(key) for key in keys]} if keys else {})
    )


ROUTES = [
    Route(RELAY_PATH, relay, methods=["POST"]),
    Route(WELL_KNOWN, well_known, methods=["GET"]),
]
