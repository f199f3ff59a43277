"""Two members at one of our clients, and what is expected of it when it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from roomkey_interop import interface as api

from tests.interop.grpc_client import Remote
from tests.interop.script_actions import ACTIONS
from tests.interop.script_play import Parameters, Play

INVALID, EARLY, MISSING, NOT_HERE = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
)


class Pair:
    """ann and ben in a group; `ask` their client."""

    def __init__(self, remote: Remote, encrypt: bool) -> None:
        self.remote = remote
        self.play = Play(1, encrypt, dict.fromkeys(("ann", "ben", "cleo", "gate"), remote))
        self.step("createGroup", "ann", members=["ben"])

    def step(self, action: str, actor: str, **fields: object) -> dict[str, bytes]:
        """One step of a script; what it left."""
        self.play.outputs.append({})
        ACTIONS[action](self.play, actor, Parameters(fields))
        return self.play.outputs[-1]

    @property
    def ann(self) -> int:
        return self.play.states["ann"]

    @property
    def ben(self) -> int:
        return self.play.states["ben"]

    def handle(self, commit: bytes, *proposals: bytes) -> api.HandleCommitRequest:
        """What ben is asked to handle."""
        return api.HandleCommitRequest(self.ben, proposals, commit)

    @contextmanager
    def refused(self, status: grpc.StatusCode, code: str, rule: str | None = None) -> Iterator[None]:
        """The call within is refused so, and both are where they were."""
        before = [self.remote.call("StateAuth", api.StateRequest(state)) for state in (self.ann, self.ben)]
        with refused(status, code, rule):
            yield
        assert before == [self.remote.call("StateAuth", api.StateRequest(state)) for state in (self.ann, self.ben)]

    def go_on(self) -> None:
        """Each commits once, and the other follows."""
        self.step("fullCommit", "ann", members=["ben"])
        self.step("fullCommit", "ben", members=["ann"])


@contextmanager
def refused(status: grpc.StatusCode, code: str, rule: str | None = None) -> Iterator[None]:
    """The call within ends with this status, code and rule."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    error = caught.value
    assert isinstance(error, grpc.Call)
    marks = {key: value for key, value in error.trailing_metadata() or () if key.startswith("roomkey-")}
    expected = {"roomkey-code": code, **({"roomkey-rule": rule} if rule else {})}
    if rule is None:
        marks.pop("roomkey-rule", None)
    assert (error.code(), marks) == (status, expected)
    assert error.details().startswith(f"{code}: ")


@contextmanager
def missing() -> Iterator[None]:
    """The call within names something that is not there."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() == MISSING
