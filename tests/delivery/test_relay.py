"""Server fanout: what a home service passes on for its clients (`roomkey_delivery.peers`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from roomkey.federation.messages import GetUserInitKeyRequest

from tests.delivery.federated import Federated

BOB = GetUserInitKeyRequest(b"bob@email2.example", ())


@pytest.fixture
async def federated(tmp_path: Path) -> AsyncIterator[Federated]:
    made = Federated(tmp_path)
    yield made
    await made.close()


async def test_a_claim_and_a_message_through_the_home_service(federated: Federated) -> None:
    alice, bob = await federated.first.enrolled("alice"), await federated.second.enrolled("bob")
    (one,) = await bob.sets(federated.second.time)
    await federated.second.at(bob).publish([one])
    at = federated.relay(alice)
    (bundle,) = await at.claim([BOB])
    assert bundle.set == one
    assert await at.claim([BOB]) == ()
    assert await at.send(b"hello", [bob.signer.client_id]) == ()
    assert await federated.inbox(bob) == []  # it is in the keeping of the home service
    await federated.carry()
    assert await federated.inbox(bob) == [b"hello"]
    assert {request.headers["roomkey-home"] for request in federated.between.asked if request.method == "POST"} == {
        "email1.example"
    }
