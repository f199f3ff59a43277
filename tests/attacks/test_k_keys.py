"""K1, K4, K5, K6, K9: keys of others that must not be used, through the whole client; K2, K3 stand beside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from roomkey.crypto.provider import SignItem, VerifyItem
from roomkey.host.native_crypto import NativeCrypto

from tests.support.attacked import Scene, attacked
from tests.support.key_attacks import Attack, K
from tests.support.odd_keys import ODD_KEYS, OddSigner


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attacked(tmp_path_factory.mktemp("services"), tmp_path_factory.mktemp("people")) as made:
        yield made


@pytest.mark.parametrize("attack", K, ids=lambda attack: attack.name)
async def test_keys_that_must_not_be_used(scene: Scene, attack: Attack) -> None:
    await scene.play(attack)


@pytest.mark.parametrize("what", ODD_KEYS)
async def test_k5_is_no_attack_on_a_verifier_that_is_strict_already(what: str) -> None:
    """The control: OpenSSL takes these signatures, so the refusals above are ours."""
    signer = OddSigner(NativeCrypto(), *ODD_KEYS[what])
    (signature,) = await signer.sign([SignItem("ed25519", signer.pair, b"message")])
    assert await signer.verify([VerifyItem("ed25519", signer.pair.public, b"message", signature)]) == [True]
