"""The devices of one identity: who they are, how one comes, how one goes (wire.md sections 5 and 6).

    new device                              older device
    prepare_device -> DeviceRequest  --->   admit: lists it in the next manifest
    create_client(code=None)         <---   (the person says when)

Where the service keeps no log, the older device names the new one to the service alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from roomkey.client import manifests
from roomkey.client.manifests import RECOVERY
from roomkey.client.own_entry import OwnEntry
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.transparency.devices import DeviceRequest, check_device_request, client_id
from roomkey.transparency.manifest import MAX_CLIENTS, Manifest, ManifestClient

# Other devices of ours may change the list at the same time; more often in a row is no accident.
_TRIES: Final = 3


class Device(NamedTuple):
    """One of an identity's clients. own: this one. logged: the log was proved to list it."""

    client_id: bytes
    public_key: bytes
    suites: tuple[int, ...]
    own: bool
    logged: bool


class Devices:
    """See the module."""

    def __init__(self, entry: OwnEntry, home: Callable[[], DeliveryService]) -> None:
        self._entry = entry
        self._home = home

    def known(self) -> list[Device]:
        """Our devices, as the newest manifest lists them that we know of."""
        newest = self._entry.own.newest
        clients = (manifests.own_client(self._entry.account),) if newest is None else newest.clients
        return [self._device(client) for client in clients]

    async def expect(self, publics: Collection[bytes]) -> None:
        """That these credential keys, which come to us under our own name, are of devices of ours: as the log says,
        which is asked again if it did not say so yet.

        Errors: "not-in-manifest"; "log-unproven" and the service's, if it cannot be asked.
        """
        if not self._lists(publics):
            await self._entry.look()
            if not self._lists(publics):
                raise RoomkeyError("not-in-manifest", "client: expected ours under our identity, got another")

    def _lists(self, publics: Collection[bytes]) -> bool:
        manifest = self._entry.manifest
        return manifest is not None and set(publics) <= {client.key.public_key for client in manifest.clients}

    async def admit(self, data: bytes) -> bytes:
        """Lists a new device, by what it gave out (a DeviceRequest); its client id. It enrols itself then.

        Errors: "malformed", "identity-mismatch", "invalid-signature", "bad-argument" for more than MAX_CLIENTS; those
        of a change: "manifest-conflict", `OwnEntry.settled`'s, the service's.
        """
        request = DeviceRequest.decode(data)
        if request.identity != self._entry.account.identity:
            raise RoomkeyError("identity-mismatch", "device request: expected one of our own identity, got another's")
        await check_device_request(self._entry.store.crypto, request)
        if self._entry.stored is None and not self._entry.trusted:
            await self._home().admit(request.client_id)
            return request.client_id

        def more(before: Manifest) -> list[ManifestClient]:
            others = [item for item in before.clients if item.key != request.client.key]
            if len(others) >= MAX_CLIENTS:
                raise RoomkeyError("bad-argument", f"expected at most {MAX_CLIENTS} devices")
            return [*others, request.client]

        await self._change(more)
        return request.client_id

    async def remove(self, client: bytes) -> None:
        """Takes a device of ours (its id, 32 bytes) off the list: its keys are withheld, and nobody takes it for ours.

        Errors: "no-such-device", "bad-argument" for this one; those of a change, as for `admit`.
        """
        if client == self._entry.keys.client_id:
            raise RoomkeyError("bad-argument", "expected another device than this one")

        def fewer(before: Manifest) -> list[ManifestClient]:
            if manifests.listed(before, client) is None:
                raise RoomkeyError("no-such-device", "expected a device that our manifest lists")
            return [item for item in before.clients if client_id(item.key) != client]

        await self._change(fewer)

    async def recovery_key(self) -> bytes:
        """The seed of the recovery key, 32 bytes, for a person to keep: until `forget_recovery_key`, so that one that
        was never seen is not lost.

        Errors: "recovery-key-taken", "storage-failed".
        """
        seed = await manifests.recovery_seed(self._entry.store)
        if seed is None:
            raise RoomkeyError("recovery-key-taken", "expected a recovery key that waits to be taken, got none")
        return seed

    async def forget_recovery_key(self) -> None:
        """The person has it: it is gone from here. One that is gone already is no error. Errors: "storage-failed"."""
        await self._entry.store.write({}, [RECOVERY])

    def _device(self, client: ManifestClient) -> Device:
        logged = self._entry.manifest is not None and self._entry.manifest.has_client(client.key)
        own = client.key == manifests.own_key(self._entry.keys)
        return Device(client_id(client.key), client.key.public_key, client.suites, own, logged)

    async def _change(self, clients: Callable[[Manifest], list[ManifestClient]]) -> None:
        """The next version, handed in; where another device of ours was first, after that one's."""
        entry, overtaken = self._entry, None
        for last in (*[False] * (_TRIES - 1), True):
            before = await entry.settled(overtaken)
            wanted = clients(before)
            if set(wanted) == set(before.clients):
                return
            async with entry.looking:
                if entry.own.newest == before:
                    next_one = manifests.after(before, wanted)
                    try:
                        await entry.submit(await manifests.signed_by_us(entry.store.crypto, entry.keys, next_one))
                        return
                    except RoomkeyError as error:
                        if last or error.code != "manifest-conflict":
                            raise
                        overtaken = before
        raise RoomkeyError("manifest-conflict", f"expected to be first within {_TRIES} tries")
