"""Members of a group who talk through memory: the MLS engine alone, without services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from roomkey.crypto.provider import CryptoProvider
from roomkey.crypto.suites import SUITES, CipherSuite
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.commit_processing import CommitProcessed
from roomkey.mls.committing import PendingCommit, commit
from roomkey.mls.creation import create_group
from roomkey.mls.credential import Credential
from roomkey.mls.extensions import Extension
from roomkey.mls.group import Group, JoinKeys, OwnKeys
from roomkey.mls.joining import join
from roomkey.mls.key_package import PackageKeys, make_key_packages
from roomkey.mls.leaf_node import Capabilities, Lifetime, own_capabilities
from roomkey.mls.processing import Processed, process, protect
from roomkey.mls.proposals import Add, Proposal, Remove, proposal

NOW = 1_800_000_000.0
LIFETIME = Lifetime(int(NOW) - 3600, int(NOW) + 86400)
CAPABILITIES = own_capabilities(SUITES)


async def join_keys(
    crypto: CryptoProvider, suite: CipherSuite, identity: bytes, capabilities: Capabilities = CAPABILITIES
) -> JoinKeys:
    """A fresh client with one key package."""
    (signature,) = await crypto.generate_keys(suite.scheme, 1)
    init, encryption = await crypto.generate_keys(suite.group, 2)
    (package,) = await make_key_packages(
        crypto, suite, Credential.basic(identity), signature, [PackageKeys(init, encryption)], LIFETIME,
        capabilities,
    )  # fmt: skip
    return JoinKeys(package, init, OwnKeys(signature, encryption))


@dataclass
class World:
    """One group and its members' views, by name. A member's crypto is their own: no handle works in another's."""

    suite: CipherSuite
    groups: dict[str, Group] = field(default_factory=dict)
    cryptos: dict[str, CryptoProvider] = field(default_factory=dict)
    keys: dict[str, JoinKeys] = field(default_factory=dict)
    capabilities: Capabilities = CAPABILITIES

    @classmethod
    async def create(
        cls,
        suite: CipherSuite,
        creator: str = "alice",
        *others: str,
        extensions: Sequence[Extension] = (),
        capabilities: Capabilities = CAPABILITIES,
    ) -> World:
        world = cls(suite, capabilities=capabilities)
        keys = await world.client(creator)
        world.groups[creator] = await create_group(world.cryptos[creator], keys, b"group", NOW, extensions=extensions)
        if others:
            await world.add(creator, *others)
        return world

    async def client(self, name: str) -> JoinKeys:
        self.cryptos[name] = NativeCrypto()
        self.keys[name] = await join_keys(self.cryptos[name], self.suite, name.encode(), self.capabilities)
        return self.keys[name]

    async def add(
        self, committer: str, *names: str, path: bool | None = None, referenced: bool = True
    ) -> PendingCommit:
        adds = [proposal(Add((await self.client(name)).key_package)) for name in names]
        pending = await self.commit(committer, *adds, path=path, referenced=referenced)
        assert pending.welcome is not None
        for name in names:
            self.groups[name] = (await join(self.cryptos[name], pending.welcome, [self.keys[name]])).group
        return pending

    async def commit(
        self, committer: str, *proposals: Proposal, path: bool | None = None, referenced: bool = True
    ) -> PendingCommit:
        """A commit that everybody processes."""
        before = self.groups[committer]
        pending = await commit(
            self.cryptos[committer], before, NOW, proposals=proposals, path=path, referenced=referenced
        )
        await self.everybody(committer, pending.message)
        self.groups[committer] = pending.group
        return pending

    async def remove(self, committer: str, name: str) -> PendingCommit:
        pending = await self.commit(committer, proposal(Remove(self.groups[name].own_leaf)))
        del self.groups[name]
        return pending

    async def everybody(self, sender: str, message: bytes) -> dict[str, Processed]:
        """Everybody but the sender processes a message."""
        done: dict[str, Processed] = {}
        for name, group in list(self.groups.items()):
            if name != sender:
                done[name] = await process(self.cryptos[name], group, message)
                event = done[name].event
                if not (isinstance(event, CommitProcessed) and event.self_removed):
                    self.groups[name] = done[name].group
        return done

    async def say(self, sender: str, text: bytes) -> dict[str, Processed]:
        self.groups[sender], message = await protect(self.cryptos[sender], self.groups[sender], text)
        return await self.everybody(sender, message)

    def agree(self) -> None:
        """All members hold the same epoch, tree and exported keys."""
        views = {
            (g.epoch, g.epoch_authenticator, g.tree.encode(), g.context, g.export(b"test", b"", 32))
            for g in self.groups.values()
        }
        assert len(views) == 1
