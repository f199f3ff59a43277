"""The delivery service as an ASGI application. Routes are a table; what they do stands in the modules they name."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version

from roomkey.errors import RoomkeyError
from roomkey.federation.description import PROTOCOL
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roomkey_delivery import enrolment, inbox, init_keys, ordering
from roomkey_delivery.audit import routes as audit
from roomkey_delivery.config import MAX_MESSAGE, MAX_UPLOAD
from roomkey_delivery.cors import DESCRIPTION_PATH, Cors
from roomkey_delivery.directory import LOOKUP_PATH
from roomkey_delivery.log import routes as log
from roomkey_delivery.peers import routes as peers
from roomkey_delivery.problems import Bugs, on_http_error, on_roomkey_error
from roomkey_delivery.service import Service, service_of


def _version() -> str:
    try:
        return version("roomkey")
    except PackageNotFoundError:  # run from its sources
        return "0"


async def describe(request: Request) -> Response:
    """`GET /v1/service`: proves to a page that a delivery service is here."""
    service = service_of(request)
    service.count_unsigned(request)
    return JSONResponse(
        {
            "protocol": PROTOCOL,
            "name": "roomkey-delivery",
            "version": _version(),
            "domain": service.config.domain,
            "time": int(service.clock()),
            "limits": {"maxMessage": MAX_MESSAGE, "maxUpload": MAX_UPLOAD},
            **({} if service.log is None else {"log": service.log.description}),
        }
    )


ROUTES = [
    Route(DESCRIPTION_PATH, describe, methods=["GET"]),
    Route("/v1/clients", enrolment.enrol, methods=["POST"]),
    Route("/v1/clients/recovery", enrolment.recover, methods=["POST"]),
    Route("/v1/clients/admissions", enrolment.admit, methods=["POST"]),
    Route(LOOKUP_PATH, enrolment.lookup, methods=["POST"]),
    Route("/v1/user-init-keys", init_keys.publish, methods=["POST"]),
    Route("/v1/user-init-keys", init_keys.stock, methods=["GET"]),
    Route("/v1/user-init-keys/claim", init_keys.claim, methods=["POST"]),
    Route("/v1/messages", inbox.send, methods=["POST"]),
    Route("/v1/inbox", inbox.stream, methods=["GET"]),
    Route("/v1/inbox/acknowledgements", inbox.acknowledge, methods=["POST"]),
    Route("/v1/groups", ordering.register, methods=["POST"]),
    Route("/v1/commits", ordering.submit, methods=["POST"]),
    Route("/v1/commits/read", ordering.read, methods=["POST"]),
    *audit.ROUTES,
    *log.ROUTES,
    *peers.ROUTES,
]


def make_app(service: Service) -> Starlette:
    """The application of one service, which it starts and stops."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(Cors, service.config.allow_origins), Middleware(Bugs)],
        exception_handlers={RoomkeyError: on_roomkey_error, HTTPException: on_http_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app
