"""The interface itself: its bytes, numbers that stand for nothing, and what it does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest
from roomkey.crypto.suites import SUITES
from roomkey_interop import interface as api
from roomkey_interop.interface import PACKAGE, RPCS, SERVICE
from roomkey_interop.server import METHODS
from roomkey_interop.wire import Codecs

from tests.interop.grpc_client import DEADLINE, Remote, served
from tests.interop.grpc_pair import INVALID, NOT_HERE, Pair, missing, refused

NOBODY = 0xFFFFFFFF


@pytest.fixture(scope="module")
def remote() -> Iterator[Remote]:
    with served() as address:
        remote = Remote(address)
        yield remote
        remote.close()


# Protobuf by hand (proto3): tag = number << 3 | type (0 varint, 2 length), defaults left out.
BYTES: list[tuple[object, str]] = [
    (api.Empty(), ""),
    (api.CreateGroupRequest(b"g", 1, True, b"a"), "0a0167 1001 1801 220161"),
    (api.CreateKeyPackageResponse(300, b"k", b"i", b"e", b"s"), "08ac02 12016b 1a0169 220165 2a0173"),
    (api.ExternalJoinRequest(b"g", psks=(api.PreSharedKey(b"i", b"s"),)), "0a0167 3206 0a0169 120173"),
    (api.ExportRequest(1, "l", b"c", 32), "0801 12016c 1a0163 2020"),
    (api.ResumptionPSKProposalRequest(1, 1 << 40), "0801 10808080808020"),
    (api.SupportedCiphersuitesResponse((1, 0xF0C1)), "0a04 01 c1e103"),
    (api.CommitRequest(1, (b"r", b""), (api.ProposalDescription(b"add", b"k"),), True, True),
     "0801 120172 1200 1a08 0a03616464 12016b 2001 2801"),
    (api.ProposalDescription(b"", b"", b"", b"", 5, (api.Extension(3, b"x"),), b"g", 2),
     "2805 3205 0803 120178 3a0167 4002"),
    (api.CreateBranchRequest(1, b"g", (), (b"k",), True, True), "0801 120167 22016b 2801 3001"),
    (api.ExternalSignerProposalRequest(1, 0, b"g", b"t", api.ProposalDescription(b"add")),
     "0801 1a0167 220174 2a05 0a03616464"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), BYTES, ids=lambda item: type(item).__name__)
def test_messages_as_bytes(message: object, expected: str) -> None:
    codec = Codecs().of(type(message))
    assert codec.encode(message).hex() == expected.replace(" ", "")
    assert codec.decode(bytes.fromhex(expected)) == message


def test_every_call_has_a_method() -> None:
    assert list(METHODS) == list(RPCS)
    assert len(RPCS) == 34


NUMBERS = {"state_id", "transaction_id", "state_or_transaction_id", "signer_id", "reinit_id"}
NUMBERED = [name for name, rpc in RPCS.items() if NUMBERS.intersection(getattr(rpc.request, "_fields", ()))]


@pytest.mark.parametrize("name", NUMBERED)
def test_numbers_of_nothing(remote: Remote, name: str) -> None:
    make: Callable[..., object] = RPCS[name].request
    fields = NUMBERS.intersection(getattr(make, "_fields", ()))
    with missing():
        remote.call(name, make(**dict.fromkeys(fields, NOBODY)))


@pytest.mark.parametrize(
    "name", [name for name in NUMBERED if "state_id" in getattr(RPCS[name].request, "_fields", ())]
)
def test_a_freed_state_is_gone(remote: Remote, name: str) -> None:
    pair = Pair(remote, False)
    remote.call("Free", api.StateRequest(pair.ann))
    make: Callable[..., object] = RPCS[name].request
    with missing():
        remote.call(name, make(state_id=pair.ann))
    pair.step("fullCommit", "ben", members=[])  # the other's is not


@pytest.mark.parametrize(
    "request_",
    [
        ("CreateGroup", api.CreateGroupRequest(b"g", 0x7777, False, b"ann")),
        ("CreateKeyPackage", api.CreateKeyPackageRequest(0x7777, b"ann")),
        ("CreateExternalSigner", api.CreateExternalSignerRequest(0x10001, b"ann")),
    ],
    ids=lambda item: item[0],
)
def test_other_suites_are_not_implemented(remote: Remote, request_: tuple[str, object]) -> None:
    assert 0x7777 not in SUITES
    with refused(NOT_HERE, "unsupported-suite"):
        remote.call(*request_)


def test_bytes_that_are_no_request(remote: Remote) -> None:
    raw = grpc.insecure_channel(remote.address)
    with raw, pytest.raises(grpc.RpcError) as caught:
        raw.unary_unary(f"/{PACKAGE}.{SERVICE}/CreateGroup")(b"\xff\xff", timeout=DEADLINE)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() == INVALID
    assert remote.call("Name", api.Empty()).name == "Roomkey"


def test_calls_that_are_not_of_the_interface(remote: Remote) -> None:
    raw = grpc.insecure_channel(remote.address)
    with raw, pytest.raises(grpc.RpcError) as caught:
        raw.unary_unary(f"/{PACKAGE}.{SERVICE}/Nothing")(b"", timeout=DEADLINE)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() == NOT_HERE
