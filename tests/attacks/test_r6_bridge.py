"""Values that a page's application code may hand over, and that no browser refuses: our errors, no fault of ours."""

from __future__ import annotations

import pytest
from roomkey.bridge.methods import METHODS

from tests.support.simulator import Simulation, origin_of
from tests.unit.test_bridge import page

ODD = {
    "half a character": "\ud800",  # JavaScript's texts are of 16-bit units
    "half a name": "alice\udfff@email1.example",
    "a whole nothing": "",
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "minus": -1,
    "huge": 10**400,
    "very huge text": "x" * 100_000,
    "nested": [[[["x"]]]],
    "an object": {"": ""},
    "bytes": bytes(100_000),
    "true": True,
}
# Every argument of every call, by any name.
NAMES = (
    "handle", "identity", "identities", "url", "domain", "domains", "transparency", "fanout", "count", "name", "policy",
    "keys", "ticket", "manifest", "request", "clientId", "enrolment", "recoveryKey", "reset", "suites", "data", "to",
    "label", "context", "length", "profile", "after", "limit", "until", "withoutInviter",
)  # fmt: skip


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
async def test_odd_values(simulation: Simulation, value: object) -> None:
    alice = page(simulation, export_keys=True)
    try:
        await alice.ok("setDeliveryService", url=origin_of("email1.example"))
        code = await simulation.code("alice@email1.example")
        opened = await alice.ok("createIdentity", identity="alice@email1.example", enrolment=code)
        made = await alice.ok("identity.createConference", handle=opened["handle"], name="call")
        faults = []
        for method in METHODS:
            if method in ("identity.close", "conference.leave", "release"):
                continue
            handle = made["handle"] if method.startswith("conference.") else opened["handle"]
            for names in (NAMES[1:], *([name] for name in NAMES)):
                answer = await alice.answer(method, **{"handle": handle, **dict.fromkeys(names, value)})
                if not answer["ok"] and answer["error"]["code"] == "internal-error":
                    faults.append((method, *names[:1], answer["error"].get("text")))
        assert faults == []
    finally:
        await alice.bridge.close()
