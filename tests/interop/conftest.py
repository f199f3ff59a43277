"""The peers, each started once for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.peer import Peer


@pytest.fixture(scope="module")
def ts_mls() -> Iterator[Peer]:
    """ts-mls in a Node process."""
    with Peer("ts_mls_peer.mjs") as peer:
        yield peer


@pytest.fixture(scope="module")
def core_crypto() -> Iterator[Peer]:
    """core-crypto in a Node process."""
    with Peer("core_crypto_peer.mjs") as peer:
        yield peer
