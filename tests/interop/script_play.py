"""One script of the test runner's language on its way: who plays, their numbers at the clients, what steps left."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from roomkey_interop import interface as api

from tests.interop.grpc_client import Remote

EXPORT = ("interop", b"context", 48)

Step: TypeAlias = Mapping[str, Any]


class ScriptFailed(AssertionError):
    """A step did not do what it should."""


class Parameters:
    """A step's or description's fields; the runner reads names without case, and some come with underscores."""

    def __init__(self, given: Step) -> None:
        self._given = {key.replace("_", "").lower(): value for key, value in given.items()}

    def get(self, name: str, default: Any = None) -> Any:
        return self._given.get(name.lower(), default)

    def extensions(self) -> tuple[api.Extension, ...]:
        return tuple(
            api.Extension(item["extension_type"], base64.b64decode(item["extension_data"]))
            for item in self.get("extensions", [])
        )


@dataclass
class Play:
    """One script with one cast.

    Attributes:
        cast: which client plays each actor.
        states, transactions, signers: the numbers that clients gave them, by actor.
        outputs: of each step so far, what later ones may name.
    """

    suite: int
    encrypt: bool
    cast: Mapping[str, Remote]
    states: dict[str, int] = field(default_factory=dict)
    transactions: dict[str, int] = field(default_factory=dict)
    signers: dict[str, int] = field(default_factory=dict)
    outputs: list[dict[str, bytes]] = field(default_factory=list)

    def ask(self, actor: str, rpc: str, request: object) -> Any:
        return self.cast[actor].call(rpc, request)

    def put(self, **values: bytes) -> None:
        self.outputs[-1].update(values)

    def read(self, step: int, name: str) -> bytes:
        if name not in self.outputs[step]:
            raise ScriptFailed(f"expected a {name} of step {step}")
        return self.outputs[step][name]

    def expect(self, actor: str, got: bytes, expected: bytes) -> None:
        if got != expected:
            raise ScriptFailed(f"{actor} does not agree on the epoch authenticator")

    def agree(self, actors: Sequence[str], authenticator: bytes) -> None:
        """All of these are in the same epoch."""
        keys = set()
        for actor in actors:
            self.expect(actor, self.ask(actor, "StateAuth", self.state(actor)).state_auth_secret, authenticator)
            keys.add(self.ask(actor, "Export", api.ExportRequest(self.states[actor], *EXPORT)).exported_secret)
        if len(keys) > 1:
            raise ScriptFailed("exported keys differ")

    def state(self, actor: str) -> api.StateRequest:
        return api.StateRequest(self.states[actor])

    def propose(self, actor: str, rpc: str, request: object) -> None:
        self.put(proposal=self.ask(actor, rpc, request).proposal)

    def key_package(self, actor: str) -> bytes:
        made = self.ask(actor, "CreateKeyPackage", api.CreateKeyPackageRequest(self.suite, actor.encode()))
        if not all((made.init_priv, made.encryption_priv, made.signature_priv)):
            raise ScriptFailed(f"{actor} did not show the private keys of its KeyPackage")
        self.transactions[actor] = made.transaction_id
        return bytes(made.key_package)

    def join(self, actor: str, welcome: bytes, tree: bytes = b"") -> bytes:
        request = api.JoinGroupRequest(self.transactions[actor], welcome, self.encrypt, actor.encode(), tree)
        joined = self.ask(actor, "JoinGroup", request)
        self.states[actor] = joined.state_id
        return bytes(joined.epoch_authenticator)

    def commit(self, actor: str, it: Parameters) -> tuple[tuple[bytes, ...], api.CommitResponse]:
        references = tuple(self.read(step, "proposal") for step in it.get("byReference", []))
        values = tuple(self.description(item) for item in it.get("byValue", []))
        outside = bool(it.get("externalTree"))
        request = api.CommitRequest(self.states[actor], references, values, bool(it.get("forcePath")), outside)
        made: api.CommitResponse = self.ask(actor, "Commit", request)
        if outside != bool(made.ratchet_tree):
            raise ScriptFailed("expected a ratchet tree if, and only if, it was asked for")
        self.put(commit=made.commit, welcome=made.welcome, ratchet_tree=made.ratchet_tree)
        return references, made

    def pending(self, actor: str) -> bytes:
        done = self.ask(actor, "HandlePendingCommit", self.state(actor))
        self.states[actor] = done.state_id
        return bytes(done.epoch_authenticator)

    def handle(self, actor: str, proposals: tuple[bytes, ...], commit: bytes) -> bytes:
        done = self.ask(actor, "HandleCommit", api.HandleCommitRequest(self.states[actor], proposals, commit))
        self.states[actor] = done.state_id
        return bytes(done.epoch_authenticator)

    def description(self, given: Step) -> api.ProposalDescription:
        it = Parameters(given)
        kind: str = it.get("proposalType")
        made = api.ProposalDescription(kind.encode(), extensions=it.extensions())
        match kind:
            case "add":
                return made._replace(key_package=self.read(it.get("keyPackage"), "key_package"))
            case "remove":
                return made._replace(removed_id=it.get("removed").encode())
            case "externalPSK":
                return made._replace(psk_id=self.read(it.get("pskID"), "psk_id"))
            case "resumptionPSK":
                return made._replace(epoch_id=it.get("epochID"))
            case "reinit":
                group_id, suite = self.next_group(it)
                return made._replace(group_id=group_id, cipher_suite=suite)
        return made

    def next_group(self, it: Parameters) -> tuple[bytes, int]:
        if it.get("changeCipherSuite"):
            common = set.intersection(*(set(remote.suites) for remote in self.cast.values())) - {self.suite}
            if not common:
                raise ScriptFailed("expected a second suite that all support")
            self.suite = min(common)
        return self.read(0, "group_id") + (b"++" if it.get("changeGroupID") else b""), self.suite

    def show(self, actor: str, external_tree: bool) -> api.GroupInfoResponse:
        shown: api.GroupInfoResponse = self.ask(
            actor, "GroupInfo", api.GroupInfoRequest(self.states[actor], external_tree)
        )
        if external_tree != bool(shown.ratchet_tree):
            raise ScriptFailed("expected a ratchet tree if, and only if, it was asked for")
        return shown
