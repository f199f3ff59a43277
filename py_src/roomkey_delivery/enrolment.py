"""Who may use a name here, and which keys the clients of this domain have.

A one-time code binds a name to its first client's key; a client that is enrolled admits further ones (wire.md section
5). Where the service keeps a log, the manifests in it say who a name's clients are (`manifests`).
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import JSON
from roomkey.federation.identity import check_identity, domain_of
from roomkey.federation.messages import Credential
from roomkey.federation.requests import base64url, client_id
from roomkey.transparency.manifest import ManifestKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from roomkey_delivery.config import ADMISSION_LIFETIME, CODE_LIFETIME, MAX_JSON
from roomkey_delivery.limits import read_body
from roomkey_delivery.manifests import enrol_logged, lists, newest_for
from roomkey_delivery.service import Service, bytes_of, json_body, service_of
from roomkey_delivery.signatures import check_type, digested_body
from roomkey_delivery.store.interface import Client, Store

# Without 0/o and 1/l/i, because people may have to type them. 20 of 31 letters are 99 bits.
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
_GROUPS, _GROUP = 4, 5
MAX_CODE = 64  # characters that we look at


def make_code() -> str:
    """A fresh enrolment code: 4 groups of 5 characters, 99 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def code_hash(code: str) -> bytes:
    """What is kept of a code; case, spaces and hyphens do not count."""
    plain = "".join(code.lower().split()).replace("-", "")
    return hashlib.sha256(b"roomkey enrolment code" + plain.encode("utf-8", "replace")).digest()


async def new_code(store: Store, identity: str, domain: str, now: float, *, reset: bool = False) -> str:
    """A code that lets one client enrol as `identity`.

    Args:
        reset: lets it begin anew under a name that is taken, which all who know the name are shown (wire.md section 6).
    Errors: "already-enrolled", "bad-argument" (not of our domain).
    """
    if domain_of(identity) != domain:
        raise RoomkeyError("bad-argument", f"expected a name at {domain}")
    code = make_code()
    keep = store.new_reset_code if reset else store.new_code
    await keep(identity, code_hash(code), now + CODE_LIFETIME)
    return code


async def enrol(request: Request) -> Response:
    """`POST /v1/clients`: signed with the key that is to be enrolled, which proves its possession. The answer names the
    version of the client's manifest, where there is a log.
    """
    service = service_of(request)
    client, body, code = await _newcomer(service, request)
    answer: dict[str, object] = {"client": base64url(client.id)}
    if service.log is None:
        await service.store.enrol(client, code, service.clock(), unsafe_open=service.config.unsafe_open_enrolment)
    else:
        manifest = bytes_of(body, "manifest") if "manifest" in body else None
        reset = body.get("reset") is True
        answer["version"] = await enrol_logged(service, service.log, client, code, manifest, reset=reset)
    return JSONResponse(answer, 201)


async def recover(request: Request) -> Response:
    """`POST /v1/clients/recovery`: signed with the key that is to be enrolled; the newest manifest for it to follow."""
    service = service_of(request)
    client, body, code = await _newcomer(service, request)
    if service.log is None:
        raise RoomkeyError("manifest-refused", "expected a service that keeps a log")
    recovery = None
    if "recovery" in body:
        recovery = ManifestKey.decode(bytes_of(body, "recovery")), bytes_of(body, "proof")
    newest = await newest_for(service, service.log, client, code, recovery)
    return JSONResponse({"manifest": None if newest is None else base64url(newest.encode())})


async def _newcomer(service: Service, request: Request) -> tuple[Client, dict[str, Any], bytes | None]:
    """A client of this domain that signs with the key it wants enrolled; its body, and the hash of the code in it."""
    service.count_unsigned(request)
    check_type(request, JSON)
    body = json_body(await digested_body(request, MAX_JSON))
    basic = Credential.decode(bytes_of(body, "credential")).require_basic()
    identity = check_identity(basic.identity)
    client = Client(client_id(basic.public_key), identity, basic.algorithm, basic.public_key)
    await service.verifier.self_signed(request, client)
    code = body.get("code")
    if domain_of(identity) != service.config.domain or not (code is None or isinstance(code, str)):
        raise RoomkeyError("enrolment-refused", "expected a name of this domain and a code")
    return client, body, None if code is None else code_hash(code[:MAX_CODE])


async def admit(request: Request) -> Response:
    """`POST /v1/clients/admissions`: a client of this domain lets another key enrol under its own name. Where there is
    a log, manifests do that, and nothing else.
    """
    service = service_of(request)
    sender, body = await service.verifier.signed_body(request, MAX_JSON, JSON)
    if domain_of(sender.identity) != service.config.domain:
        raise RoomkeyError("not-yours", "expected a client of this domain")
    if service.log is not None:
        raise RoomkeyError("manifest-refused", "expected a manifest that lists the further client")
    admitted = bytes_of(json_body(body), "client")
    if len(admitted) != 32:
        raise RoomkeyError("malformed-request", "client: expected 32 bytes", field="client")
    await service.store.admit(sender.identity, admitted, service.clock() + ADMISSION_LIFETIME)
    return JSONResponse({}, 201)


async def lookup(request: Request) -> Response:
    """`POST /v1/clients/lookup`: another service asks which key a client of this domain has. Its id tells who may
    know. For a client that its owner has taken off the list we do not vouch.
    """
    service = service_of(request)
    service.count_unsigned(request)
    check_type(request, JSON)
    client = await current(service, bytes_of(json_body(await read_body(request, MAX_JSON)), "client"))
    if client is None:
        return JSONResponse({})
    credential = Credential.of(client.identity.encode("ascii"), client.algorithm, client.public_key)
    return JSONResponse({"credential": base64url(credential.encode())})


async def current(service: Service, client: bytes) -> Client | None:
    """The client of this domain that has this id, for whom we answer to others: unless a manifest took it off the
    list.
    """
    known = await service.store.client(client)
    newest = None if known is None or service.log is None else await service.log.newest(known.identity)
    return None if known is None or (newest is not None and not lists(newest, known)) else known
