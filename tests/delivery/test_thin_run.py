"""The whole way once, over real sockets: enrol, publish, claim, send, receive, acknowledge."""

from __future__ import annotations

from roomkey.federation import fanout
from roomkey.host.native import NativeHost

from tests.delivery.processes import Services, enrolled


async def test_two_people_at_one_service(services: Services, host: NativeHost) -> None:
    service = services.start()
    alice = await enrolled(host, service, "alice@email1.example")
    bob = await enrolled(host, service, "bob@email1.example", "ecdsa_secp256r1_sha256")
    at_bob, at_alice = bob.at(host, service.url), alice.at(host, service.url)

    description = await at_alice.describe()
    assert (description.domain, description.name) == ("email1.example", "roomkey-delivery")

    (first, second) = await bob.sets(host.now(), 2)
    stock = await at_bob.publish([first, second])
    assert (stock.sets, stock.last_resort) == (2, False)
    routes = fanout.Routes().with_service(at_alice, ["email1.example"])
    claimed = await fanout.claim(routes, ["bob@email1.example", "nobody@email1.example", "dave@email9.example"])
    assert [item.set for item in claimed.keys["bob@email1.example"]] == [first]
    assert [(item.identity, item.error.code) for item in claimed.missing] == [
        ("nobody@email1.example", "no-keys"),
        ("dave@email9.example", "no-route"),
    ]
    assert (await at_bob.stock()).sets == 1

    recipient = fanout.Recipient("bob@email1.example", bob.signer.client_id)
    assert await fanout.send(routes, b"a message", [recipient]) == ()
    inbox = at_bob.inbox()
    message = await anext(inbox)
    assert message == (1, b"a message")
    await at_bob.acknowledge(message.sequence)
    assert await fanout.send(routes, b"another", [recipient]) == ()
    assert await anext(inbox) == (2, b"another")
    await inbox.aclose()
