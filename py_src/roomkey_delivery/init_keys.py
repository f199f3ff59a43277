"""Init-key sets: published, counted, claimed (wire.md sections 1 and 2).

What is stored has been checked as far as the publisher answers for it:

1. The body parses as `InitKeySet sets<V>`; every set is whole.
2. Its credential is the sender's: same identity, same key.
3. The UserInitKey is the index of its KeyPackages (`roomkey.federation.index`).
4. The UserInitKey's signature is right.
5. Its KeyPackages are valid now, and no longer than clients take.
6. Where there is a log: the client stands in it, with the set's suites (`manifests`).

Claimers prove all of it again (`roomkey.federation.proof`): a service is not trusted.
"""

from __future__ import annotations

from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import (
    FEDERATION,
    INIT_KEY_SETS,
    init_key_bundles,
    init_key_requests,
    init_key_sets,
)
from roomkey.federation.identity import check_identity, domain_of
from roomkey.federation.index import check_index
from roomkey.federation.init_keys import InitKeySet, InitKeySetBundle
from roomkey.federation.messages import GetUserInitKeyRequest, GetUserInitKeyResponse, UserInitKeyBundle, verify
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.leaf_node import MAX_LIFETIME
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from roomkey_delivery.config import MAX_CLAIM, MAX_STOCK, MAX_UPLOAD
from roomkey_delivery.enrolment import current
from roomkey_delivery.manifests import check_publishable, claimable
from roomkey_delivery.service import Service, service_of
from roomkey_delivery.signatures import Sender
from roomkey_delivery.store.interface import Client, NewSet, StockCount

MAX_SETS = 200  # in one upload: checking one takes about 1 ms
MAX_REQUESTS = 50  # identities in one claim: an answer stays near 1 MB

_crypto = NativeCrypto()


async def publish(request: Request) -> Response:
    """`POST /v1/user-init-keys`."""
    service = service_of(request)
    sender, body = await service.verifier.signed_body(request, MAX_UPLOAD, INIT_KEY_SETS)
    if domain_of(sender.identity) != service.config.domain:
        raise RoomkeyError("not-yours", "expected a client of this domain")
    sets = init_key_sets.decode(body)  # 1
    if len(sets) > MAX_SETS:
        raise RoomkeyError("request-too-large", f"expected at most {MAX_SETS} sets")
    now = service.clock()
    checked = [_checked(item, sender, now) for item in sets]
    if not all(await verify(_crypto, [item.user_init_key for item in sets])):  # 4
        raise RoomkeyError("invalid-set", "signature: expected one by the credential's key", field="signature")
    if service.log is not None:
        await check_publishable(service.log, sender, sets)  # 6
    await service.store.publish(sender.id, checked, now, MAX_STOCK)
    return _stock(await service.store.stock(sender.id, now))


async def stock(request: Request) -> Response:
    """`GET /v1/user-init-keys`."""
    service = service_of(request)
    sender = await service.verifier.sender(request)
    return _stock(await service.store.stock(sender.id, service.clock()))


async def claim(request: Request) -> Response:
    """`POST /v1/user-init-keys/claim`: our media type takes many requests, the draft's takes one and gives the
    draft's view. A client of ours may ask in the draft's for somebody of another domain: we ask there for it, as the
    draft's server fanout has it (section 4.1.2).
    """
    service = service_of(request)
    sender, body = await service.verifier.passed_body(request, MAX_CLAIM, INIT_KEY_SETS, FEDERATION)
    if request.headers["content-type"].strip().lower() == FEDERATION:
        asked = GetUserInitKeyRequest.decode(body)
        domain = domain_of(check_identity(asked.identity))
        ours = not sender.vouched and await current(service, sender.id) is not None
        if service.relay is not None and ours and domain != service.config.domain:
            path = request.url.path
            return await service.relay.ask(domain, sender.id, sender.identity, path, FEDERATION, FEDERATION, body)
        bundles = [
            UserInitKeyBundle(item.identity, item.set.user_init_key) for item in await _claim(service, sender, (asked,))
        ]
        return Response(GetUserInitKeyResponse(tuple(bundles)).encode(), media_type=FEDERATION)
    answer = await _claim(service, sender, init_key_requests.decode(body))
    return Response(init_key_bundles.encode(tuple(answer)), media_type=INIT_KEY_SETS)


async def _claim(service: Service, sender: Sender, asked: tuple[GetUserInitKeyRequest, ...]) -> list[InitKeySetBundle]:
    """One set of each client of each identity. Unknown ones and those without keys answer alike, and count alike."""
    identities = [check_identity(item.identity) for item in asked]
    if not 0 < len(asked) <= MAX_REQUESTS or len(set(identities)) != len(identities):
        raise RoomkeyError("malformed-request", f"expected 1 to {MAX_REQUESTS} requests for different identities")
    now = service.clock()
    home = domain_of(sender.identity)
    service.claimed.take(sender.counted, now, len(asked))
    if home != service.config.domain:
        service.domains.take(home, now, len(asked))
    for identity in identities:
        service.targets.take(identity, now)
    bundles: list[InitKeySetBundle] = []
    for item, identity in zip(asked, identities, strict=True):
        only = None if service.log is None else await claimable(service.log, identity)
        for body in await service.store.claim(identity, item.supported_suites, now, only):
            bundles.append(InitKeySetBundle(item.identity, InitKeySet.decode(body)))
    return bundles


def _checked(item: InitKeySet, sender: Client, now: float) -> NewSet:
    index = item.user_init_key
    basic = index.credential.require_basic()
    if basic.identity != sender.identity.encode("ascii") or basic.public_key != sender.public_key:  # 2
        raise RoomkeyError("not-yours", "credential: expected the sender's own", field="credential")
    try:
        check_index(item)  # 3
    except RoomkeyError as error:
        raise RoomkeyError("invalid-set", error.text, field=error.details.get("field")) from error
    lifetimes = [package.leaf_node.lifetime for package in item.key_packages]
    if not all(
        life is not None and life.not_before <= now < life.not_after <= now + MAX_LIFETIME for life in lifetimes
    ):  # 5
        raise RoomkeyError("set-expired", "lifetime: expected key packages that are valid now", field="lifetime")
    return NewSet(item.set_id, item.encode(), index.cipher_suites, item.last_resort, item.expires)


def _stock(count: StockCount) -> Response:
    return JSONResponse({"sets": count.sets, "lastResort": count.last_resort, "expires": count.expires})
