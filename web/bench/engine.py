"""Roomkey's MLS engine under the benchmark's steps: what web/bench/scenario.ts describes, bytes in and out.

One Python plays all members, so caches of pure functions are emptied where another member takes over: nobody starts
with what somebody else has worked out.
"""

import functools
import gc
import time

from bench_admission import Admission
from bench_proving import Proving
from roomkey.crypto.suites import SUITES
from roomkey.host.browser import BrowserCrypto
from roomkey.mls.committing import commit
from roomkey.mls.creation import create_group
from roomkey.mls.credential import Credential
from roomkey.mls.group import JoinKeys, OwnKeys
from roomkey.mls.joining import join
from roomkey.mls.key_package import KeyPackage, PackageKeys, make_key_packages
from roomkey.mls.leaf_node import Lifetime, own_capabilities
from roomkey.mls.processing import process
from roomkey.mls.proposals import Add, Remove, proposal

HOUR = 3600


def lifetime():
    now = int(time.time())
    return Lifetime(now - HOUR, now + 24 * HOUR)


async def client(crypto, suite, name):
    """A fresh client with one key package."""
    (signature,) = await crypto.generate_keys(suite.scheme, 1)
    init, encryption = await crypto.generate_keys(suite.group, 2)
    (package,) = await make_key_packages(
        crypto, suite, Credential.basic(name.encode()), signature, [PackageKeys(init, encryption)], lifetime(),
        own_capabilities(SUITES),
    )  # fmt: skip
    return JoinKeys(package, init, OwnKeys(signature, encryption))


def caches():
    """All caches of functions of ours."""
    return [
        found
        for found in gc.get_objects()
        if isinstance(found, functools._lru_cache_wrapper) and found.__module__.startswith("roomkey.")
    ]


CACHES = caches()


def another_member():
    for cache in CACHES:
        cache.cache_clear()


class Bench:
    def __init__(self, crypto, suite):
        self.crypto, self.suite = crypto, suite
        self.admission = Admission(crypto)
        self.proving = Proving(crypto)

    async def prepare(self, members):
        clients = [await client(self.crypto, self.suite, f"member-{member}") for member in range(members)]
        another_member()
        return Group(self.crypto, clients)

    async def make_key_packages(self, count):
        (signature,) = await self.crypto.generate_keys(self.suite.scheme, 1)
        keys = await self.crypto.generate_keys(self.suite.group, 2 * count)
        pairs = [PackageKeys(init, encryption) for init, encryption in zip(keys[::2], keys[1::2], strict=True)]
        packages = await make_key_packages(
            self.crypto,
            self.suite,
            Credential.basic(b"member-0"),
            signature,
            pairs,
            lifetime(),
            own_capabilities(SUITES),
        )
        for package in packages:
            package.encode()


class Group:
    """One group: the creator's view (`ours`) and member 1's (`theirs`)."""

    def __init__(self, crypto, clients):
        self.crypto = crypto
        self.creator, self.joiner = clients[0], clients[1]
        self.members = len(clients)
        self.published = [keys.key_package.encode() for keys in clients[1:]]

    async def add(self):
        group = await create_group(self.crypto, self.creator, b"bench", time.time())
        adds = [proposal(Add(KeyPackage.decode(encoded))) for encoded in self.published]
        pending = await commit(self.crypto, group, time.time(), proposals=adds)
        self.ours, self.welcome = pending.group, pending.welcome

    async def join(self):
        another_member()
        self.theirs = (await join(self.crypto, self.welcome, [self.joiner])).group

    async def commit(self):
        pending = await commit(self.crypto, self.ours, time.time(), path=True)
        self.ours, self.message = pending.group, pending.message

    async def process(self):
        self.theirs = (await process(self.crypto, self.theirs, self.message)).group

    def exports(self, count, label, length):
        for number in range(count):
            self.ours.export(label.encode(), number.to_bytes(4, "big"), length)

    async def remove(self):
        pending = await commit(self.crypto, self.ours, time.time(), proposals=[proposal(Remove(self.members - 1))])
        self.ours = pending.group

    def agreed(self, label, length):
        ours, theirs = (group.export(label.encode(), b"\0\0\0\0", length) for group in (self.ours, self.theirs))
        return ours == theirs


def create(host, algorithms, suite):
    return Bench(BrowserCrypto(host, algorithms), SUITES[suite])
