"""Attacks on how services find each other, by whoever answers for names (DNS) and has one name of their own.

Eve's name has a certificate, the victim's has another one. She answers for both names with the address of her server.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from roomkey.crypto.provider import KeyPair
from roomkey.federation.requests import base64url
from roomkey.host.native_crypto import NativeCrypto
from roomkey_delivery.service import outgoing

from tests.delivery.federated import Federated
from tests.delivery.test_domain_keys import send, vouch

EVIL, VICTIM = "evil.example", "victim.example"
ADDRESS = "93.184.216.34"  # a public one; no packet goes there


def certificate_for(name: str, folder: Path) -> tuple[Path, Path]:
    """A certificate of this name that vouches for itself, and its key."""
    key, today = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "certificate.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(kind, form, serialization.NoEncryption()))
    return chain, secret


class Redirected(httpcore.AsyncNetworkBackend):
    """The network: whatever address is wanted, Eve's server is reached."""

    def __init__(self, port: int) -> None:
        self._port, self._true = port, httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        assert host == ADDRESS
        return await self._true.connect_tcp("127.0.0.1", self._port, *arguments, **options)

    async def sleep(self, seconds: float) -> None:
        await self._true.sleep(seconds)


class Eve:
    """A server with a certificate for Eve's name alone, which says that Eve's key is the key of every domain."""

    def __init__(self, crypto: NativeCrypto, key: KeyPair) -> None:
        self.crypto, self.key = crypto, key
        self.asked: list[str] = []  # hosts

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
                self.asked.append({name.lower(): value for name, value in fields.items()}["host"])
                body = json.dumps({"keys": [base64url(self.key.public)]}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def eve_at_the_name_server(federated: Federated, folder: Path) -> AsyncIterator[Eve]:
    """From now on public names lead email2.example to Eve, over TLS and with the connections that it really uses."""
    crypto = NativeCrypto()
    (key,) = await crypto.generate_keys("ed25519", 1)
    eve, (chain, secret) = Eve(crypto, key), certificate_for(EVIL, folder)
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(chain, secret)
    server = await asyncio.start_server(eve.serve, "127.0.0.1", 0, ssl=shown)
    used = outgoing()
    pool = used._transport._pool  # type: ignore[attr-defined]
    pool._ssl_context = ssl.create_default_context(cafile=str(chain))
    pool._network_backend = Redirected(server.sockets[0].getsockname()[1])
    honest = federated.between.handle_async_request

    async def reach(request: httpx.Request) -> httpx.Response:
        return await (used._transport.handle_async_request if request.url.host == ADDRESS else honest)(request)

    federated.between.handle_async_request = reach  # type: ignore[method-assign]
    try:
        yield eve
    finally:
        await used.aclose()
        server.close()


async def test_a_connection_is_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eve vouches for her own name, which is hers to do; the connection by which her key was fetched says nothing of
    another name that leads to the same address.
    """

    def getaddrinfo(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(0, 0, 0, "", (ADDRESS, 443))]

    federated = Federated(tmp_path, peers={"email1.example": "https://ds.email1.example"})
    try:
        async with eve_at_the_name_server(federated, tmp_path) as eve:
            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
            own = await vouch(federated, domain=EVIL, identity=f"eve@{EVIL}", key=eve.key, crypto=eve.crypto)
            assert await send(federated, own) == (200, "")
            assert eve.asked == [EVIL]
            forged = await vouch(federated, domain=VICTIM, identity=f"alice@{VICTIM}", key=eve.key, crypto=eve.crypto)
            assert await send(federated, forged) == (503, "service-unavailable")
            assert eve.asked == [EVIL]
    finally:
        await federated.close()
