"""Making a new identity's client, and opening one that is stored.

    (nothing) --store made--> empty --keys written--> ENROLLING --the home service agrees--> ENROLLED
    ENROLLING --refused for good--> (nothing)

An enrolment that was cut off is taken up by creating the identity again: the same keys, so the service takes it for the
same client.
"""

from __future__ import annotations

from collections.abc import Mapping

from roomkey.client import account
from roomkey.client.account import ACCOUNT, ENROLLED, ROUTES, AccountRecord, RouteRecord
from roomkey.client.client import Client
from roomkey.client.events import Listener
from roomkey.client.traffic import MeteredHost
from roomkey.crypto.suites import Scheme
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.identity import domain_of
from roomkey.federation.init_keys import make_client_keys, supported_suites
from roomkey.federation.negotiation import CHOICES, Choice
from roomkey.federation.trust import TrustPolicy
from roomkey.host.interface import Host, Store

# Answers to an enrolment after which these keys will never be ours under that name.
_REFUSED = frozenset({"enrolment-refused", "already-enrolled"})
CREDENTIAL_SCHEME: Scheme = "ed25519"


async def create_client(
    host: Host,
    identity: str,
    code: str,
    services: Mapping[str, str],
    policy: TrustPolicy,
    listener: Listener,
    *,
    choice: Choice = "standard",
) -> Client:
    """A new identity (canonical), enrolled at its home service by a one-time code, open and at work.

    Args:
        services: domain -> origin, the home service's among them.
        choice: which suites it offers for good; those that the host lacks are left out.
    Errors: "identity-exists", "no-route", "enrolment-refused", "already-enrolled", the service's, "in-use-in-another-
    tab".
    """
    origin = services.get(domain_of(identity))
    no_route = RoomkeyError("no-route", "expected a delivery service for the identity's domain")
    if origin is None and identity not in await host.identities():
        raise no_route
    store = await _store_for(host, identity)
    try:
        record = await _record_for(store, identity, choice)
        if record.status == ENROLLED:
            raise RoomkeyError("identity-exists", "expected an identity that is new here")
        if origin is None:
            raise no_route
        keys = record.client_keys()
        home = DeliveryService(MeteredHost(host, listener), origin, account.request_key(store, keys))
        await home.enrol(keys.credential, code)
        record = record.replace(status=ENROLLED)
        routes = {ROUTES + domain: RouteRecord(url.encode("ascii")).encode() for domain, url in services.items()}
        await store.write({ACCOUNT: record.encode(), **routes})
        return await _begin(host, store, record, services, policy, listener)
    except BaseException as error:
        await store.close()
        if isinstance(error, RoomkeyError) and error.code in _REFUSED:
            await host.delete_store(identity)
        raise


async def open_client(
    host: Host, identity: str, services: Mapping[str, str], policy: TrustPolicy, listener: Listener
) -> Client:
    """A stored identity (canonical), open and at work.

    Args:
        services: domain -> origin, in place of and beside those that the identity remembers.
    Errors: "no-such-identity" (also if its enrolment never ended), "in-use-in-another-tab".
    """
    store = await host.open_store(identity)
    try:
        data = await store.get(ACCOUNT)
        record = None if data is None else AccountRecord.decode(data)
        if record is None or record.status != ENROLLED:
            raise RoomkeyError(
                "no-such-identity", "expected an identity whose enrolment came to its end; create it again"
            )
        await store.write(
            {ROUTES + domain: RouteRecord(url.encode("ascii")).encode() for domain, url in services.items()}
        )
        return await _begin(host, store, record, await account.stored_routes(store), policy, listener)
    except BaseException:
        await store.close()
        raise


async def _begin(
    host: Host,
    store: Store,
    record: AccountRecord,
    services: Mapping[str, str],
    policy: TrustPolicy,
    listener: Listener,
) -> Client:
    client = Client(host, store, record, services, policy, listener)
    try:
        await client.start()
    except BaseException:
        await client.close()
        raise
    return client


async def _store_for(host: Host, identity: str) -> Store:
    """A new store, or the one of an enrolment that did not come to its end."""
    try:
        return await host.open_store(identity, create=True)
    except RoomkeyError as error:
        if error.code != "identity-exists":
            raise
    try:
        return await host.open_store(identity)
    except RoomkeyError as error:
        if error.code == "in-use-in-another-tab":  # by whom it was made
            raise RoomkeyError("identity-exists", "expected an identity that is new here") from error
        raise


async def _record_for(store: Store, identity: str, choice: Choice) -> AccountRecord:
    data = await store.get(ACCOUNT)
    suites = supported_suites(store.crypto, CHOICES[choice])
    if data is not None:
        record = AccountRecord.decode(data)
        # an enrolment that was cut off has published nothing yet: the suites are those that are wanted now
        return record if record.status == ENROLLED else record.replace(suites=suites)
    keys = await make_client_keys(store.crypto, identity, CREDENTIAL_SCHEME, suites)
    record = account.new_account(keys, suites)
    handles = [item.pair.pair().private for item in record.pairs]
    await store.write(
        {ACCOUNT: record.encode()}, keep_keys=[handle for handle in handles if not isinstance(handle, bytes)]
    )
    return record
