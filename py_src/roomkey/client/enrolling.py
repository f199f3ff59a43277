"""How a client comes to be one of its identity's, at a service that keeps a log or at one that keeps none.

    a code                      version 1: a new name
    a code, and `reset`         a version that follows the newest, signed by us: everybody sees a reset
    a recovery key              a version that follows the newest, signed by that key, with a new one in its place
    nothing                     an older client listed us (`Devices.admit`), or admitted us where there is no log

The first three list us alone. What we send is durable before; if the answer is lost, the same bytes are sent again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from roomkey.client import manifests
from roomkey.client.account import ACCOUNT, ENROLLED, AccountRecord
from roomkey.client.manifests import NOTHING, OWN, RECOVERY, OwnManifests, RecoverySeed
from roomkey.conference.changes import Changes
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery import DeliveryService
from roomkey.host.interface import Store
from roomkey.transparency.devices import RECOVERY_SEED_SIZE, prove_recovery, recovery_key, recovery_pair
from roomkey.transparency.manifest import Manifest, SignedManifest, check_chain, sign_manifest

# Somebody else's change may come between asking for the newest manifest and following it; more is no accident.
_TRIES: Final = 3
# Answers to what we sent before, by which we know that it was not taken.
_NOT_TAKEN: Final = frozenset({"manifest-conflict", "manifest-refused", "identity-taken"})


class Enrolled(NamedTuple):
    """The records of a client that is one of its identity's now; `own` is None where the service keeps no log."""

    record: AccountRecord
    own: OwnManifests | None

    def changes(self) -> Changes:
        changes = Changes()
        changes.put(ACCOUNT, self.record)
        if self.own is None:
            changes.delete([OWN, RECOVERY])
        else:
            changes.put(OWN, self.own)
        return changes


class Enrolment:
    """One enrolment of the client whose keys are in `record`, at `home`."""

    def __init__(self, store: Store, record: AccountRecord, home: DeliveryService) -> None:
        self._store = store
        self._record = record
        self._home = home
        self._keys = record.client_keys()

    async def run(self, code: str | None, *, reset: bool, recovery: bytes | None) -> Enrolled:
        """Enrols; what is to be stored now, as the service took it.

        Args:
            recovery: the recovery key's seed, 32 bytes.
        Errors: "bad-argument", the service's.
        """
        if recovery is not None and (code is not None or reset):
            raise RoomkeyError("bad-argument", "expected a code or a recovery key, got both")
        if reset and code is None:
            raise RoomkeyError("bad-argument", "expected a code with a reset, got none")
        own = await manifests.load(self._store) or NOTHING
        if reset or recovery is not None:
            return await self._anew(own, code, recovery)
        if code is None:
            return await self._send(None, own.pending[-1] if own.pending else None)
        return await self._first(own, code)

    async def _first(self, own: OwnManifests, code: str) -> Enrolled:
        """A new name. An enrolment that was cut off may have been taken with other suites than are wanted now: then
        those are ours.
        """
        tried = [item for item in own.pending if item.manifest.clients[0].suites != self._record.suites]
        same = [item for item in own.pending if item not in tried]
        wanted = same or [await self._signed(manifests.first(self._store.crypto, self._record, await self._seed()))]
        await self._keep(NOTHING.replace(pending=(*tried, *wanted)))
        for item in reversed([*tried, *wanted]):
            try:
                return await self._send(code, item)
            except RoomkeyError as error:
                if error.code != "identity-taken":
                    raise
                refusal = error
        raise refusal

    async def _anew(self, own: OwnManifests, code: str | None, recovery: bytes | None) -> Enrolled:
        """A recovery or a reset. The newest manifest is not proved by being told: if it is not the logged one, nor will
        ours be, and we are told so when we ask the log for our own entry.
        """
        if own.pending:
            try:
                return await self._send(code, own.pending[-1], reset=recovery is None)
            except RoomkeyError as error:
                if error.code not in _NOT_TAKEN:
                    raise
        for last in (*[False] * (_TRIES - 1), True):
            item = await self._after(await self._newest(code, recovery), recovery)
            await self._keep(NOTHING.replace(pending=(item,)))
            try:
                return await self._send(code, item, reset=recovery is None)
            except RoomkeyError as error:
                if last or error.code != "manifest-conflict":
                    raise
        raise AssertionError

    async def _newest(self, code: str | None, recovery: bytes | None) -> Manifest | None:
        """The newest manifest of our name, as the service tells it to who may follow it."""
        crypto = self._store.crypto
        proof = None
        if recovery is not None:
            pair = recovery_pair(crypto, recovery)
            proof = recovery_key(pair).encode(), await prove_recovery(crypto, pair, self._keys.client_id)
        data = await self._home.newest_manifest(self._keys.credential, code=code, recovery=proof)
        if data is None:
            return None
        signed = SignedManifest.decode(data)
        return (await check_chain(crypto, self._record.identity, None, [signed])).manifest

    async def _after(self, before: Manifest | None, recovery: bytes | None) -> SignedManifest:
        crypto = self._store.crypto
        manifest = manifests.anew(crypto, self._record, await self._seed(), before)
        if recovery is None:
            return await self._signed(manifest)
        pair = recovery_pair(crypto, recovery)
        return await sign_manifest(crypto, manifest, recovery_key(pair), pair)

    async def _send(self, code: str | None, item: SignedManifest | None, *, reset: bool = False) -> Enrolled:
        manifest = None if item is None else item.encode()
        version = await self._home.enrol(self._keys.credential, code, manifest=manifest, reset=reset)
        record = self._record.replace(status=ENROLLED)
        if version is None:
            return Enrolled(record, None)
        if item is None:
            return Enrolled(record, NOTHING.replace(since=version))
        ours = manifests.listed(item.manifest, self._keys.client_id)
        suites = record.suites if ours is None else ours.suites
        return Enrolled(record.replace(suites=suites), NOTHING.replace(pending=(item,)))

    async def _signed(self, manifest: Manifest) -> SignedManifest:
        return await manifests.signed_by_us(self._store.crypto, self._keys, manifest)

    async def _seed(self) -> bytes:
        """The new recovery key: the one that an earlier try made, if there was one."""
        seed = await manifests.recovery_seed(self._store)
        if seed is None:
            seed = self._store.crypto.random(RECOVERY_SEED_SIZE)
            await self._store.write({RECOVERY: RecoverySeed(seed).encode()})
        return seed

    async def _keep(self, own: OwnManifests) -> None:
        await self._store.write({OWN: own.encode(), ACCOUNT: self._record.encode()})
