"""What a member changes about its own leaf, with an Update or with a commit's path (RFC 9420 sections 5.3.1, 7.2)."""

from __future__ import annotations

from dataclasses import dataclass

from roomkey.crypto.provider import KeyPair
from roomkey.mls.credential import Credential
from roomkey.mls.extensions import Extension
from roomkey.mls.leaf_node import Capabilities, LeafNode


@dataclass(frozen=True, slots=True)
class LeafChange:
    """What our next leaf says differently, beside its encryption key, which is always new; None keeps what it says.

    Attributes:
        signature: the pair that signs from the next epoch on; what carries the change is signed by the one before.
        credential: for the same client (section 5.3.1): what that means is the application's to check.
        extensions: all of the leaf's from now on; non-default types must stand in the capabilities.
    """

    signature: KeyPair | None = None
    credential: Credential | None = None
    capabilities: Capabilities | None = None
    extensions: tuple[Extension, ...] | None = None

    def applied_to(self, leaf: LeafNode) -> LeafNode:
        """The leaf with the change; its keys and signature are set by who signs it."""
        return leaf.replace(
            credential=leaf.credential if self.credential is None else self.credential,
            capabilities=leaf.capabilities if self.capabilities is None else self.capabilities,
            extensions=leaf.extensions if self.extensions is None else self.extensions,
        )


UNCHANGED = LeafChange()
