"""A relay at work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, NamedTuple

from aioquic.asyncio.server import serve
from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import QuicConfiguration

from roomkey_relay.certificate import OwnCertificate
from roomkey_relay.rooms import Rooms
from roomkey_relay.sessions import MAX_CONNECTIONS, MAX_STREAM_BYTES, Connections, SessionProtocol

# Seconds without a packet after which a connection is given up.
IDLE: Final = 30.0
# Bytes of a datagram frame that we take: more than any packet.
MAX_FRAME: Final = 2_048


class CertificateFiles(NamedTuple):
    """PEM files of a certificate chain and its key."""

    chain: str
    key: str


@asynccontextmanager
async def relaying(
    host: str,
    port: int,
    certificate: OwnCertificate | CertificateFiles,
    *,
    origins: Collection[str] | None = None,
    rooms: Rooms | None = None,
    connections: int = MAX_CONNECTIONS,
) -> AsyncIterator[int]:
    """Serves until the context ends; the UDP port, also where 0 let the system choose.

    Args:
        origins: websites that may come; None for all.
        connections: at once; more are refused.
    Errors: OSError where the port cannot be had, or a file not be read.
    """
    configuration = QuicConfiguration(
        is_client=False,
        alpn_protocols=H3_ALPN,
        max_datagram_frame_size=MAX_FRAME,
        idle_timeout=IDLE,
        max_data=2 * MAX_STREAM_BYTES,  # aioquic raises it from the half on
        max_stream_data=2 * MAX_STREAM_BYTES,
    )
    if isinstance(certificate, CertificateFiles):
        configuration.load_cert_chain(certificate.chain, certificate.key)
    else:
        configuration.certificate, configuration.private_key = certificate.certificate, certificate.key
    shared = Connections(connections), Rooms() if rooms is None else rooms
    make = partial(SessionProtocol, connections=shared[0], rooms=shared[1], origins=origins)
    # With `retry` nothing is kept of an address before it has answered: else one packet from a forged address costs
    # some 100 kB until IDLE, and brings thrice its size to whose address it was (RFC 9000 section 8.1).
    server = await serve(
        host, port, configuration=configuration, create_protocol=lambda quic, *_, **__: make(quic), retry=True
    )
    try:
        assert server._transport is not None
        yield int(server._transport.get_extra_info("sockname")[1])
    finally:
        server.close()
