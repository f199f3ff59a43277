"""Members and trees for tests: real keys and signatures, no messages."""

from __future__ import annotations

from roomkey.crypto.provider import CryptoProvider, KeyPair
from roomkey.crypto.suites import CipherSuite
from roomkey.mls.credential import Credential
from roomkey.mls.key_package import KeyPackage, make_key_package
from roomkey.mls.leaf_node import LeafNode, Lifetime, own_capabilities
from roomkey.mls.ratchet_tree import RatchetTree
from roomkey.mls.treekem import NewPath, PathKeys, UpdatePath, apply_path, joiner_keys, new_path, open_path, seal_path

GROUP_ID = b"group"
CONTEXT = b"the provisional context"


class Member:
    """One client: its key package, its place in the tree and its private keys there."""

    def __init__(self, package: KeyPackage, init: KeyPair, encryption: KeyPair, signature: KeyPair) -> None:
        self.package, self.init, self.encryption, self.signature = package, init, encryption, signature
        self.index = 0
        self.keys: PathKeys = {0: encryption}

    @property
    def leaf(self) -> LeafNode:
        return self.package.leaf_node


async def make_member(crypto: CryptoProvider, suite: CipherSuite, name: str = "alice") -> Member:
    init, encryption = await crypto.generate_keys(suite.group, 2)
    (signature,) = await crypto.generate_keys(suite.scheme, 1)
    credential = Credential.basic(f"{name}@email1.example".encode())
    package = await make_key_package(
        crypto, suite, credential, signature, init, encryption, Lifetime(0, 86400), own_capabilities([suite.number])
    )
    return Member(package, init, encryption, signature)


class Room:
    """A group as far as its tree goes: all members' views of it, changed together, commit by commit."""

    def __init__(self, crypto: CryptoProvider, suite: CipherSuite, creator: Member) -> None:
        self.crypto, self.suite = crypto, suite
        self.tree = RatchetTree.of(suite, creator.leaf)
        self.members = {0: creator}

    @classmethod
    async def create(cls, crypto: CryptoProvider, suite: CipherSuite, others: int = 0) -> Room:
        room = cls(crypto, suite, await make_member(crypto, suite))
        await room.commit(0, add=others, path=False)
        return room

    async def commit(self, sender: int, remove: tuple[int, ...] = (), add: int = 0, path: bool = True) -> list[Member]:
        """A commit by `sender`; all others process it, new members join. Answers who was removed."""
        tree = self.tree.remove(remove) if remove else self.tree
        removed = [self.members.pop(index) for index in remove]
        new = [await make_member(self.crypto, self.suite) for _ in range(add)]
        tree, added = tree.add([member.leaf for member in new])
        made = None
        if path:
            made = await self._path(tree, sender, added)
            tree = made.tree
        for index, member in zip(added, new, strict=True):
            member.index = index
            secret = made.secret_for(index) if made else None
            member.keys = await joiner_keys(self.crypto, tree, sender, index, member.encryption, secret)
            self.members[index] = member
        self.tree = tree
        return removed

    async def _path(self, tree: RatchetTree, sender: int, added: list[int]) -> NewPath:
        committer = self.members[sender]
        (encryption,) = await self.crypto.generate_keys(self.suite.group, 1)
        made = await new_path(self.crypto, tree, sender, committer.leaf, encryption, committer.signature, GROUP_ID)
        sealed = await seal_path(self.crypto, made, added, CONTEXT)
        path = UpdatePath.decode(sealed.encode())
        merged = apply_path(tree, sender, path, added)
        assert merged.encode() == made.tree.encode()
        for index, member in self.members.items():
            if index != sender:
                opened = await open_path(self.crypto, merged, sender, index, member.keys, path, added, CONTEXT)
                assert opened.commit_secret == made.commit_secret
                member.keys = opened.keys
        committer.keys, committer.encryption = made.keys, encryption
        return made
