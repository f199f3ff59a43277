"""The gRPC server: `python3 build_scripts interop --port 50051`.

Errors are statuses. What is wrong with messages is INVALID_ARGUMENT, what is wrong with what was asked and when is
FAILED_PRECONDITION, numbers that stand for nothing NOT_FOUND, suites we do not speak UNIMPLEMENTED. The details are our
code, its sentence and the developer's text; the trailing metadata has `roomkey-code` and, for broken rules of RFC 9420,
`roomkey-rule`. Anything else that escapes is a fault of ours: grpc logs it and answers UNKNOWN.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from roomkey.errors import Fault, RoomkeyError

from roomkey_interop import changes, members, outsiders, successors
from roomkey_interop.interface import PACKAGE, RPCS, SERVICE
from roomkey_interop.states import Client, UnknownId
from roomkey_interop.wire import Codecs

# Bytes of one message: a ratchet tree of ten thousand members has about two million.
MAX_MESSAGE = 16 << 20
# Seconds that calls under way get when the server stops.
GRACE = 2.0

Method: TypeAlias = Callable[[Client, Any], Awaitable[Any]]

METHODS: dict[str, Method] = {
    "Name": members.name,
    "SupportedCiphersuites": members.supported_ciphersuites,
    "CreateGroup": members.create,
    "CreateKeyPackage": members.create_key_package,
    "JoinGroup": members.join_group,
    "ExternalJoin": outsiders.external_join,
    "GroupInfo": members.group_info_of,
    "StateAuth": members.state_auth,
    "Export": members.export,
    "Protect": members.protect_data,
    "Unprotect": members.unprotect,
    "StorePSK": members.store_psk,
    "AddProposal": changes.add_proposal,
    "UpdateProposal": changes.update_proposal,
    "RemoveProposal": changes.remove_proposal,
    "ExternalPSKProposal": changes.external_psk_proposal,
    "ResumptionPSKProposal": changes.resumption_psk_proposal,
    "GroupContextExtensionsProposal": changes.group_context_extensions_proposal,
    "Commit": changes.make_commit,
    "HandleCommit": changes.handle_commit,
    "HandlePendingCommit": changes.handle_pending_commit,
    "ReInitProposal": changes.reinit_proposal,
    "ReInitCommit": changes.reinit_commit,
    "HandlePendingReInitCommit": successors.handle_pending_reinit_commit,
    "HandleReInitCommit": successors.handle_reinit_commit,
    "ReInitWelcome": successors.reinit_welcome,
    "HandleReInitWelcome": successors.handle_reinit_welcome,
    "CreateBranch": successors.create_branch,
    "HandleBranch": successors.handle_branch,
    "NewMemberAddProposal": outsiders.new_member_add_proposal,
    "CreateExternalSigner": outsiders.create_external_signer,
    "AddExternalSigner": changes.add_external_signer,
    "ExternalSignerProposal": outsiders.external_signer_proposal,
    "Free": members.free,
}

_BY_FAULT: dict[Fault, grpc.StatusCode] = {
    "peer": grpc.StatusCode.INVALID_ARGUMENT,
    "caller": grpc.StatusCode.FAILED_PRECONDITION,
    "environment": grpc.StatusCode.FAILED_PRECONDITION,
    "service": grpc.StatusCode.UNAVAILABLE,
}


def status_of(error: RoomkeyError) -> grpc.StatusCode:
    return grpc.StatusCode.UNIMPLEMENTED if error.code == "unsupported-suite" else _BY_FAULT[error.fault]


def handlers(client: Client) -> grpc.GenericRpcHandler:
    """All RPCs of the interface, for one client."""
    codecs = Codecs()
    # The runner asks one thing at a time; should another not, a member's state is still changed by one call alone.
    lock = asyncio.Lock()

    def handler(name: str) -> grpc.RpcMethodHandler:
        method, rpc = METHODS[name], RPCS[name]
        decode, encode = codecs.of(rpc.request).decode, codecs.of(rpc.response).encode

        async def call(data: bytes, context: grpc.aio.ServicerContext) -> Any:
            try:
                async with lock:
                    return await method(client, decode(data))
            except DecodeError:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"expected the request of {name}")
            except UnknownId as error:
                await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
            except RoomkeyError as error:
                rule = error.details.get("rule")
                marks = [("roomkey-code", error.code), *([("roomkey-rule", str(rule))] if rule else [])]
                text = f"{error.code}: {error.sentence} ({error.text})"
                await context.abort(status_of(error), text, tuple(marks))

        # The request comes as bytes: grpc would answer UNKNOWN to those that are none.
        return grpc.unary_unary_rpc_method_handler(call, response_serializer=encode)

    return grpc.method_handlers_generic_handler(f"{PACKAGE}.{SERVICE}", {name: handler(name) for name in RPCS})


async def serve(host: str, port: int, started: Callable[[int], None]) -> None:
    """Serves until the process is told to stop. `started` gets the port, which is a free one if `port` is 0.

    Errors: RuntimeError where the address is taken.
    """
    size = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)]
    server = grpc.aio.server(options=[*size, ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handlers(Client()),))
    bound = server.add_insecure_port(f"{host}:{port}")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    started(bound)
    await stop.wait()
    await server.stop(GRACE)
