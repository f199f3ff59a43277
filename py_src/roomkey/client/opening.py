"""Making a new identity's client, and opening one that is stored.

    (nothing) --store made--> empty --keys written--> ENROLLING --the home service agrees--> ENROLLED
    ENROLLING --refused for good--> (nothing)

An enrolment that was cut off is taken up by creating the identity again: the same keys, so the service takes it for the
same client. `prepare_device` goes as far as ENROLLING; the rest follows when an older device has listed this one.
"""

from __future__ import annotations

from collections.abc import Mapping

from roomkey.client import account
from roomkey.client.account import ACCOUNT, ENROLLED, ROUTES, AccountRecord, RouteRecord
from roomkey.client.client import Client
from roomkey.client.enrolling import Enrolment
from roomkey.client.events import Listener
from roomkey.client.living import NO_TRUSTS
from roomkey.client.manifests import own_client
from roomkey.client.traffic import MeteredHost
from roomkey.crypto.suites import Scheme
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.federation.identity import domain_of
from roomkey.federation.init_keys import make_client_keys, supported_suites
from roomkey.federation.negotiation import CHOICES, Choice
from roomkey.federation.trust import TrustPolicy
from roomkey.host.interface import Host, Store
from roomkey.transparency.devices import make_device_request
from roomkey.transparency.verifier import Trust as LogTrust

# Answers to an enrolment after which these keys will never be ours under that name.
_REFUSED = frozenset({"enrolment-refused", "already-enrolled", "identity-taken", "manifest-refused"})
CREDENTIAL_SCHEME: Scheme = "ed25519"


async def create_client(
    host: Host,
    identity: str,
    code: str | None,
    services: Mapping[str, str],
    policy: TrustPolicy,
    listener: Listener,
    *,
    choice: Choice = "standard",
    trusts: Mapping[str, LogTrust] = NO_TRUSTS,
    reset: bool = False,
    recovery: bytes | None = None,
) -> Client:
    """A new identity (canonical), enrolled at its home service, open and at work. Where that keeps a log, the client is
    listed there once its auditors have seen it, and publishes then.

    Args:
        code: the one-time code; None for a further device that an older one admitted, and for a recovery.
        services: domain -> origin, the home service's among them.
        choice: which suites it offers for good; those that the host lacks are left out. What a device was prepared
            with stays.
        trusts: domain -> whom we believe about the log of its service.
        reset: begins anew under a name that has keys, by a code for that: all others are shown it.
        recovery: the recovery key (32 bytes), in place of a code: all older devices are taken off the list.
    Errors: "identity-exists", "no-route", "bad-argument", "enrolment-refused", "already-enrolled", "identity-taken",
    "manifest-refused", "manifest-conflict", the service's, "in-use-in-another-tab".
    """
    origin = services.get(domain_of(identity))
    no_route = RoomkeyError("no-route", "expected a delivery service for the identity's domain")
    if origin is None and identity not in await host.identities():
        raise no_route
    store = await _store_for(host, identity)
    try:
        record = await _record_for(store, identity, choice, chosen=code is None and recovery is None)
        if record.status == ENROLLED:
            raise RoomkeyError("identity-exists", "expected an identity that is new here")
        if origin is None:
            raise no_route
        home = DeliveryService(MeteredHost(host, listener), origin, account.request_key(store, record.client_keys()))
        enrolled = await Enrolment(store, record, home).run(code, reset=reset, recovery=recovery)
        changes = enrolled.changes()
        for domain, url in services.items():
            changes.put(ROUTES + domain, RouteRecord(url.encode("ascii")))
        await changes.write(store)
        return await _begin(host, store, enrolled.record, services, policy, listener, trusts)
    except BaseException as error:
        await store.close()
        waits = code is None and recovery is None  # for an older device, which may be slower than a person
        if isinstance(error, RoomkeyError) and error.code in _REFUSED and not waits:
            await host.delete_store(identity)
        raise


async def prepare_device(host: Host, identity: str, choice: Choice = "standard") -> bytes:
    """The keys of a further device of an identity (canonical) that has others: a DeviceRequest, for
    `Client.admit_device` on one of those; `create_client` without a code takes it up then. The same again gives the
    same keys.

    Errors: "identity-exists" if it is enrolled here, "in-use-in-another-tab", "storage-failed".
    """
    store = await _store_for(host, identity)
    try:
        record = await _record_for(store, identity, choice, chosen=True)
        if record.status == ENROLLED:
            raise RoomkeyError("identity-exists", "expected an identity that is new here")
        keys = record.client_keys()
        pair = keys.pairs[keys.scheme]
        return (await make_device_request(store.crypto, record.identity, own_client(record), pair)).encode()
    finally:
        await store.close()


async def open_client(
    host: Host,
    identity: str,
    services: Mapping[str, str],
    policy: TrustPolicy,
    listener: Listener,
    *,
    trusts: Mapping[str, LogTrust] = NO_TRUSTS,
) -> Client:
    """A stored identity (canonical), open and at work.

    Args:
        services: domain -> origin, in place of and beside those that the identity remembers.
        trusts: domain -> whom we believe about the log of its service.
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
        return await _begin(host, store, record, await account.stored_routes(store), policy, listener, trusts)
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
    trusts: Mapping[str, LogTrust],
) -> Client:
    client = Client(host, store, record, services, policy, listener, trusts)
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


async def _record_for(store: Store, identity: str, choice: Choice, *, chosen: bool) -> AccountRecord:
    """The record of our keys, made where there is none. chosen: what a record offers stays, because others know it."""
    data = await store.get(ACCOUNT)
    suites = supported_suites(store.crypto, CHOICES[choice])
    if data is not None:
        record = AccountRecord.decode(data)
        # an enrolment that was cut off has published nothing yet: the suites are those that are wanted now
        return record if chosen or record.status == ENROLLED else record.replace(suites=suites)
    keys = await make_client_keys(store.crypto, identity, CREDENTIAL_SCHEME, suites)
    record = account.new_account(keys, suites)
    handles = [item.pair.pair().private for item in record.pairs]
    await store.write(
        {ACCOUNT: record.encode()}, keep_keys=[handle for handle in handles if not isinstance(handle, bytes)]
    )
    return record
