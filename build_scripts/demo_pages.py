"""The demo's pages: one small static server; the stage and each person have an origin of their own, by host name."""

from __future__ import annotations

import contextlib
import json
import mimetypes
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from build_scripts import headers, paths
from build_scripts.demo_malicious import ATTACKS, Malice

STAGE = "stage.html"
STAGE_HOST = "demo.localhost"  # browsers resolve every name under localhost to this machine and count it as secure

MAX_PACKETS = 65_536  # bytes in a request of packets: more than a page sends in one
PACKET_LENGTH = 2  # bytes that say a packet's length
RTCP_TYPES = range(192, 224)  # RFC 5761 section 4: these go to the next port

# A machine's own table may say otherwise; browsers refuse modules and streamed wasm of another type.
mimetypes.add_type("text/javascript", ".mjs")
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("application/wasm", ".wasm")


@dataclass(frozen=True)
class Person:
    name: str  # "alice"
    identity: str  # "alice@email1.example"

    @property
    def domain(self) -> str:
        return self.identity.partition("@")[2]


class Transparency(TypedDict):
    """Whom pages believe about one log: the settings of `setDeliveryService`."""

    log: str
    vrfKey: str
    auditors: list[str]


@dataclass(frozen=True)
class Service:
    domain: str  # "email1.example"
    url: str  # "http://127.0.0.1:PORT"
    transparency: Transparency = field(compare=False)


PEOPLE = (
    Person("alice", "alice@email1.example"),
    Person("bob", "bob@email2.example"),
    Person("carol", "carol@email1.example"),
)
DOMAINS = ("email1.example", "email2.example")


def stage_origin(port: int) -> str:
    return f"http://{STAGE_HOST}:{port}"


def person_origin(person: Person, port: int) -> str:
    return f"http://{person.name}.{STAGE_HOST}:{port}"


class Pages:
    """An ASGI application. The host name says whose page it is; any other name gets nothing (so no rebinding).

    The stage alone may turn the switch: `POST /malice {"attack": one of ATTACKS, or null}`. With a player's UDP port,
    pages of people may send packets to it: `POST /player`, each after its length in two bytes.
    """

    def __init__(
        self,
        port: int,
        services: tuple[Service, ...],
        malice: Malice,
        built: Path = paths.DIST,
        player: int | None = None,
    ) -> None:
        self._stage = stage = stage_origin(port)
        self._malice = malice
        self._player = player
        origins = [person_origin(person, port) for person in PEOPLE]
        connect = [service.url for service in services]
        self._assets = headers.asset_headers(connect)
        person = headers.page_headers(connect, frame_ancestors=stage)
        self._pages = {
            f"{STAGE_HOST}:{port}": (STAGE, headers.page_headers([], frames=origins)),
            **{origin.removeprefix("http://"): ("person.html", person) for origin in origins},
        }
        self._config: dict[str, Any] = {
            "stage": stage,
            "people": [
                {"name": one.name, "identity": one.identity, "origin": origin}
                for one, origin in zip(PEOPLE, origins, strict=True)
            ],
            "services": [
                {"domain": service.domain, "url": service.url, "transparency": service.transparency}
                for service in services
            ],
            "player": player,
        }
        self._library = StaticFiles(directory=built / paths.ASSETS.name)
        self._demo = StaticFiles(directory=built / paths.DEMO_DIST.name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _turn(self, request: Request) -> Response:
        """Turns the switch. Pages of other origins may not send JSON here, nor hide where they come from."""
        if request.headers.get("origin") != self._stage or request.headers.get("content-type") != "application/json":
            return PlainTextResponse("the stage alone may turn this switch\n", status_code=403)
        try:
            wanted = json.loads(await request.body())["attack"]
        except (ValueError, KeyError, TypeError):
            wanted = ""
        if wanted is not None and not (isinstance(wanted, str) and wanted in ATTACKS):
            return PlainTextResponse("expected one of the attacks, or null\n", status_code=400)
        self._malice.attack = wanted
        return JSONResponse({"attack": wanted})

    async def _play(self, request: Request) -> Response:
        """Sends a page's packets on, as they are."""
        host, kind = request.headers.get("host", ""), request.headers.get("content-type")
        if request.headers.get("origin") != f"http://{host}" or kind != "application/octet-stream":
            return PlainTextResponse("a person's own page alone may send packets\n", status_code=403)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_PACKETS:
                return PlainTextResponse("too many packets at once\n", status_code=413)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while len(body) >= PACKET_LENGTH:
                end = PACKET_LENGTH + int.from_bytes(body[:PACKET_LENGTH], "big")
                packet, body = body[PACKET_LENGTH:end], body[end:]
                is_report = len(packet) > 1 and packet[1] in RTCP_TYPES
                with contextlib.suppress(OSError):  # nobody is there, or the queue is full: packets may be lost
                    out.sendto(packet, ("127.0.0.1", (self._player or 0) + is_report))
        return Response(status_code=204)

    async def _answer(self, request: Request) -> Response:
        page = self._pages.get(request.headers.get("host", ""))
        if page is None:
            return PlainTextResponse("no page of the demo lives at this address\n", status_code=421)
        if (request.method, request.url.path, page[0]) == ("POST", "/malice", STAGE):
            return await self._turn(request)
        if (request.method, request.url.path) == ("POST", "/player") and self._player is not None and page[0] != STAGE:
            return await self._play(request)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("this server only reads\n", status_code=405)
        document, fields = page
        path = request.url.path
        if path == "/config.json":
            response: Response = JSONResponse(self._config)
        elif path.startswith("/roomkey/"):
            name = path.removeprefix("/roomkey/")
            fields = {**self._assets["*"], **self._assets.get(name, {})}
            response = await _file(self._library, name, request.scope)
        else:
            response = await _file(self._demo, document if path == "/" else path.removeprefix("/"), request.scope)
        response.headers.update(fields)
        return response


async def _file(folder: StaticFiles, name: str, scope: Scope) -> Response:
    try:
        return await folder.get_response(name, scope)
    except HTTPException as error:  # how StaticFiles says "not found"
        return PlainTextResponse("not found\n", status_code=error.status_code)
