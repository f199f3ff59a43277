"""`roomkey-delivery`: run a service, let people enrol."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from roomkey.errors import RoomkeyError
from roomkey.federation.calls import is_loopback, service_origin
from roomkey.federation.identity import canonicalise, check_domain, domain_of
from roomkey.federation.requests import authority

from roomkey_delivery.app import make_app
from roomkey_delivery.audit import commands as audit
from roomkey_delivery.config import CODE_LIFETIME, ServiceConfig
from roomkey_delivery.enrolment import new_code
from roomkey_delivery.hub import Hub
from roomkey_delivery.log import commands as log
from roomkey_delivery.log.parts import make_auditor, make_log
from roomkey_delivery.peers import commands as peers
from roomkey_delivery.peers.queue import RelayQueue
from roomkey_delivery.service import Service, outgoing
from roomkey_delivery.store.sqlite import SqliteStore

BACKLOG = 2048  # connections that wait to be accepted
GRACE = 10  # seconds that running requests get when the service stops
# Seconds for which an idle connection stays: longer than clients reuse one, or a request sent as it closes is lost.
KEEP_ALIVE = 75
DATABASE = Path("roomkey-delivery.db")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses of other services, and at every request
    try:
        return int(options.run(options))
    except RoomkeyError as error:
        print(f"{error.code}: {error.text}" if error.text else error.code, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("roomkey-delivery", description="A delivery service for Roomkey.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run a service")
    serve.add_argument("--domain", required=True, help="whose people it serves, such as email1.example")
    serve.add_argument("--db", type=Path, default=DATABASE, help=f"the database file (default {DATABASE})")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8443, help="0 picks a free one")
    serve.add_argument(
        "--public-url", metavar="URL", help="the address clients use behind a proxy: https://ds.email1.example"
    )
    serve.add_argument(
        "--allow-origin", action="append", metavar="ORIGIN", help="a website that may use it, repeatable; default: all"
    )
    serve.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="DOMAIN=URL",
        help="where another domain's service is, repeatable",
    )
    peers.add_options(serve)
    log.add_options(serve)
    serve.add_argument("--unsafe-open-enrolment", action="store_true", help="names go to who comes first")
    serve.set_defaults(run=_serve)
    enrol = commands.add_parser("enrol", help="print a one-time code that binds a name to a key")
    enrol.add_argument("identity", help="such as alice@email1.example")
    enrol.add_argument(
        "--reset",
        action="store_true",
        help="let its owner, who lost every device and the recovery key, begin anew; everybody who knows the name is "
        "shown it",
    )
    enrol.add_argument("--db", type=Path, default=DATABASE, help=f"the service's database file (default {DATABASE})")
    enrol.set_defaults(run=_enrol)
    peers.add(commands, DATABASE)
    audit.add(commands, DATABASE)
    log.add(commands)
    return parser


def _enrol(options: argparse.Namespace) -> int:
    identity = canonicalise(options.identity)
    if not options.db.exists():  # or the code would be good at no service
        raise RoomkeyError("bad-argument", "expected --db of a service that was started before: no such file")

    async def run() -> str:
        store = SqliteStore(options.db, domain_of(identity))
        try:
            return await new_code(store, identity, domain_of(identity), time.time(), reset=options.reset)
        finally:
            await store.close()

    print(asyncio.run(run()))
    print(f"good once, for {CODE_LIFETIME // 86400} days, at the service of {domain_of(identity)}", file=sys.stderr)
    return 0


def _serve(options: argparse.Namespace) -> int:
    if options.public_url is None and not is_loopback(options.host):
        raise RoomkeyError(
            "bad-argument", "expected --public-url, which clients sign for, with a host that is not loopback"
        )
    listening = _listen(options.host, options.port)
    port = listening.getsockname()[1]
    config = ServiceConfig(
        domain=check_domain(options.domain),
        authorities=_authorities(options.host, port, options.public_url),
        loopback_port=port if is_loopback(options.host) else None,
        allow_origins=None if options.allow_origin is None else frozenset(map(_website, options.allow_origin)),
        public_url=None if options.public_url is None else service_origin(options.public_url),
        peers=dict(_peer(text) for text in options.peer),
        peer_keys=peers.peer_keys(options.peer_key),
        unsafe_open_enrolment=options.unsafe_open_enrolment,
    )
    keeps = log.log_config(options)
    http = outgoing()
    service = Service(
        config,
        SqliteStore(options.db, config.domain),
        http=http,
        domain_keys=peers.domain_keys(options),
        queue=RelayQueue(options.db),
        log=make_log(keeps, options.db, http, time.time),
        auditor=make_auditor(keeps, options.db, http, time.time),
    )
    settings = uvicorn.Config(
        make_app(service), log_config=None, log_level="warning", access_log=False, server_header=False,
        timeout_graceful_shutdown=GRACE, timeout_keep_alive=KEEP_ALIVE,
    )  # fmt: skip
    if config.unsafe_open_enrolment:
        print("unsafe: anybody may take any free name here", file=sys.stderr)
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"{config.domain} at {config.public_url or f'http://{host}:{port}'}", flush=True)
    for stop in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when it has shut down
        signal.signal(stop, lambda *_: sys.exit(0))
    _Server(settings, service.hub).run(sockets=[listening])
    return 0


class _Server(uvicorn.Server):
    """Ends inbox streams as soon as it is told to stop: they would otherwise hold up the shutdown until its grace
    ends.
    """

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Only with the protocol's number does asyncio turn off Nagle's algorithm, which holds answers up for 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)  # from here on connections wait, so the address may be told
    except OSError as error:
        raise RoomkeyError("bad-argument", f"expected an address to listen at: {error.strerror}") from error
    return listening


def _authorities(host: str, port: int, public_url: str | None) -> frozenset[str]:
    own = {f"{host.lower()}:{port}"}
    if public_url is not None:
        parts = urlsplit(service_origin(public_url))
        own.add(authority(parts.netloc, parts.scheme))
    return frozenset(own)


def _website(text: str) -> str:
    """A website's origin as browsers send it: lower case, no slash at its end, no default port."""
    try:
        return service_origin(text)
    except RoomkeyError as error:
        raise RoomkeyError("invalid-address", "expected --allow-origin https://HOST[:PORT]") from error


def _peer(text: str) -> tuple[str, str]:
    domain, found, url = text.partition("=")
    if not found:
        raise RoomkeyError("bad-argument", "expected --peer DOMAIN=URL")
    return check_domain(domain), service_origin(url)
