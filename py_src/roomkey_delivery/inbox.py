"""Messages: one MLSMessage into the inboxes of the clients named, and the stream that hands them on (wire.md section
5).

The service does not look into messages and keeps no groups. Bytes stay as they came; the same bytes come once to each
inbox.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import DELIVERY, INBOX, JSON, InboxItem, MessageDelivery
from roomkey.federation.requests import base64url
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from roomkey_delivery.config import INBOX_BYTES, INBOX_MESSAGES, MAX_JSON, MAX_MESSAGE, MAX_RECIPIENTS
from roomkey_delivery.service import Service, json_body, service_of
from roomkey_delivery.store.interface import InboxLimits

HEARTBEAT = 15.0  # seconds (wire.md section 5)
READ = 100  # messages at a time

_heartbeat = InboxItem(0, b"").encode()
# A request names up to MAX_RECIPIENTS clients of 32 bytes beside the message.
_MAX_DELIVERY = MAX_MESSAGE + 32 * MAX_RECIPIENTS + 16


async def send(request: Request) -> Response:
    """`POST /v1/messages`, by any client that the service can name, of its own domain or another."""
    service = service_of(request)
    _, body = await service.verifier.passed_body(request, _MAX_DELIVERY, DELIVERY)
    delivery = MessageDelivery.decode(body)
    clients = list(dict.fromkeys(delivery.clients))
    if not 0 < len(clients) <= MAX_RECIPIENTS or not delivery.message:
        raise RoomkeyError("malformed-request", f"expected a message for 1 to {MAX_RECIPIENTS} clients")
    limits = InboxLimits(INBOX_MESSAGES, INBOX_BYTES)
    try:
        unknown = await service.store.deliver(delivery.message, clients, service.clock(), limits)
    finally:  # one full inbox is its owner's alone
        service.hub.wake(clients)
    return JSONResponse({"unknown": [base64url(client) for client in unknown]})


async def acknowledge(request: Request) -> Response:
    """`POST /v1/inbox/acknowledgements`."""
    service = service_of(request)
    sender, body = await service.verifier.signed_body(request, MAX_JSON, JSON)
    through = json_body(body).get("through")
    if not isinstance(through, int) or isinstance(through, bool) or not 0 <= through < 1 << 63:
        raise RoomkeyError("malformed-request", "through: expected a sequence number", field="through")
    await service.store.acknowledge(sender.id, through)
    return JSONResponse({})


async def stream(request: Request) -> Response:
    """`GET /v1/inbox`: every message not acknowledged, then those that come; a heartbeat at once, one when all that
    waited has been sent, and one every 15 s.
    """
    service = service_of(request)
    sender = await service.verifier.sender(request)
    if await service.store.client(sender.id) is None:
        raise RoomkeyError("not-yours", "expected a client of this domain")
    return StreamingResponse(_items(service, sender.id), media_type=INBOX)


async def _items(service: Service, client: bytes) -> AsyncIterator[bytes]:
    listener = service.hub.open(client)
    try:
        yield _heartbeat
        after = 0
        current = False
        while not listener.ended:
            found = await service.store.messages(client, after, READ)
            for message in found:
                after = message.sequence
                yield InboxItem(message.sequence, message.body).encode()
            if found:
                continue
            if not current or not await listener.wait(HEARTBEAT):
                current = True
                yield _heartbeat
    finally:
        service.hub.drop(client, listener)
