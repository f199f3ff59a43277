"""Who may use a name here, and which keys the clients of this domain have.

A one-time code binds a name to its first client's key; a client that is enrolled admits further ones (wire.md section
5).
"""

from __future__ import annotations

import hashlib
import secrets

from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import JSON
from roomkey.federation.identity import check_identity, domain_of
from roomkey.federation.messages import Credential
from roomkey.federation.requests import base64url, client_id
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from roomkey_delivery.config import ADMISSION_LIFETIME, CODE_LIFETIME, MAX_JSON
from roomkey_delivery.limits import read_body
from roomkey_delivery.service import bytes_of, json_body, service_of
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


async def new_code(store: Store, identity: str, domain: str, now: float) -> str:
    """A code that lets one client enrol as `identity`. Errors: "already-enrolled", "bad-argument" (not of our
    domain).
    """
    if domain_of(identity) != domain:
        raise RoomkeyError("bad-argument", f"expected a name at {domain}")
    code = make_code()
    await store.new_code(identity, code_hash(code), now + CODE_LIFETIME)
    return code


async def enrol(request: Request) -> Response:
    """`POST /v1/clients`: signed with the key that is to be enrolled, which proves its possession."""
    service = service_of(request)
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
    hashed = None if code is None else code_hash(code[:MAX_CODE])
    now = service.clock()
    await service.store.enrol(client, hashed, now, unsafe_open=service.config.unsafe_open_enrolment)
    return JSONResponse({"client": base64url(client.id)}, 201)


async def admit(request: Request) -> Response:
    """`POST /v1/clients/admissions`: a client of this domain lets another key enrol under its own name."""
    service = service_of(request)
    sender, body = await service.verifier.signed_body(request, MAX_JSON, JSON)
    if domain_of(sender.identity) != service.config.domain:
        raise RoomkeyError("not-yours", "expected a client of this domain")
    admitted = bytes_of(json_body(body), "client")
    if len(admitted) != 32:
        raise RoomkeyError("malformed-request", "client: expected 32 bytes", field="client")
    await service.store.admit(sender.identity, admitted, service.clock() + ADMISSION_LIFETIME)
    return JSONResponse({}, 201)


async def lookup(request: Request) -> Response:
    """`POST /v1/clients/lookup`: another service asks which key a client of this domain has. Its id tells who may
    know.
    """
    service = service_of(request)
    service.count_unsigned(request)
    check_type(request, JSON)
    client = await service.store.client(bytes_of(json_body(await read_body(request, MAX_JSON)), "client"))
    if client is None:
        return JSONResponse({})
    credential = Credential.of(client.identity.encode("ascii"), client.algorithm, client.public_key)
    return JSONResponse({"credential": base64url(credential.encode())})
