"""S10, S12: a request is sent twice by somebody between us and the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest
from roomkey.errors import RoomkeyError

from tests.support.people import Person, call, together
from tests.support.simulator import Network, Simulation, until

Answer = tuple[int, dict[str, str], AsyncIterator[bytes]]


async def test_a_commit_that_is_sent_twice_is_not_given_up(
    simulation: Simulation, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one wins and its answer is lost; the second one is refused as a replay. To take that for a refusal of
    the commit would delete the epoch that everybody else is in.
    """
    conference = await call(alice, bob)
    once = Network.open

    async def twice(self: Network, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if url.endswith("/v1/commits"):
            _, _, pieces = await once(self, method, url, headers, body)
            async for _ in pieces:
                pass
        return await once(self, method, url, headers, body)

    with monkeypatch.context() as patched:
        patched.setattr(Network, "open", twice)
        with pytest.raises(RoomkeyError) as caught:
            await conference.update()
    assert (caught.value.code, caught.value.details["pending"]) == ("request-replayed", True)
    await until(lambda: conference.epoch == 2, "the commit to be found to have won")
    await together(conference, bob)
    assert "group-stuck" not in alice.errors


async def test_every_request_sent_twice_counts_once(
    simulation: Simulation, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay repeats everything a moment later: nothing happens twice."""
    once = Network.open

    async def again(self: Network, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        answer = await once(self, method, url, headers, body)
        if body is not None and "signature" in headers:
            status, _, pieces = await once(self, method, url, headers, body)
            async for _ in pieces:
                pass
            assert status == 401
        return answer

    monkeypatch.setattr(Network, "open", again)
    conference = await call(alice, bob)
    await conference.send(b"once")
    await conference.update()
    await together(conference, bob)
    stored = [message.data for message in await bob.conference.history.messages()]
    assert stored == [b"once"]
