"""Becoming a member, and what a member can tell and send."""

from __future__ import annotations

import time

from roomkey.crypto.suites import SUITES, suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.committing import group_info
from roomkey.mls.creation import create_group
from roomkey.mls.framing import message
from roomkey.mls.group import Psks
from roomkey.mls.joining import join
from roomkey.mls.processing import ApplicationMessage, process, protect

from roomkey_interop import interface as api
from roomkey_interop.states import ANY_LIFETIME, POLICY, Client, new_join, raw

NAME = "Roomkey"


async def name(client: Client, request: api.Empty) -> api.NameResponse:
    return api.NameResponse(NAME)


async def supported_ciphersuites(client: Client, request: api.Empty) -> api.SupportedCiphersuitesResponse:
    crypto = NativeCrypto()
    return api.SupportedCiphersuitesResponse(
        tuple(s.number for s in SUITES.values() if crypto.supports(s.scheme, s.group, s.aead))
    )


async def create(client: Client, request: api.CreateGroupRequest) -> api.CreateGroupResponse:
    ours = await new_join(suite_by_number(request.cipher_suite), request.identity)
    group = await create_group(ours.crypto, ours.keys, request.group_id, time.time())
    return api.CreateGroupResponse(client.members.add(ours.member(group, request.encrypt_handshake)))


async def create_key_package(client: Client, request: api.CreateKeyPackageRequest) -> api.CreateKeyPackageResponse:
    ours = await new_join(suite_by_number(request.cipher_suite), request.identity)
    crypto, keys = ours.crypto, ours.keys
    return api.CreateKeyPackageResponse(
        client.joins.add(ours),
        message(keys.key_package).encode(),
        raw(crypto, keys.init),
        raw(crypto, keys.leaf.encryption),
        raw(crypto, keys.leaf.signature),
    )


async def join_group(client: Client, request: api.JoinGroupRequest) -> api.JoinGroupResponse:
    """The transaction ends with success; the identity, if given, must be the KeyPackage's."""
    ours = client.joins[request.transaction_id]
    if request.identity not in (b"", ours.keys.key_package.leaf_node.credential.identity):
        raise RoomkeyError("bad-argument", "identity: expected that of the transaction, got another", field="identity")
    joined = await join(
        ours.crypto, request.welcome, [ours.keys], tree=request.ratchet_tree or None, psks=Psks(ours.external_psks),
        max_lifetime=ANY_LIFETIME,
    )  # fmt: skip
    client.joins.drop(request.transaction_id)
    number = client.members.add(ours.member(joined.group, request.encrypt_handshake))
    return api.JoinGroupResponse(number, joined.group.epoch_authenticator)


async def group_info_of(client: Client, request: api.GroupInfoRequest) -> api.GroupInfoResponse:
    """With the key for external commits, as scripts join with it."""
    member = client.members[request.state_id]
    info = await group_info(member.crypto, member.group, external=True, with_tree=not request.external_tree)
    tree = member.group.tree.encode() if request.external_tree else b""
    return api.GroupInfoResponse(message(info).encode(), tree)


async def state_auth(client: Client, request: api.StateRequest) -> api.StateAuthResponse:
    return api.StateAuthResponse(client.members[request.state_id].group.epoch_authenticator)


async def export(client: Client, request: api.ExportRequest) -> api.ExportResponse:
    group = client.members[request.state_id].group
    return api.ExportResponse(group.export(request.label.encode(), request.context, request.key_length))


async def protect_data(client: Client, request: api.ProtectRequest) -> api.ProtectResponse:
    member = client.members[request.state_id]
    member.group, sealed = await protect(member.crypto, member.group, request.plaintext, request.authenticated_data)
    return api.ProtectResponse(sealed)


async def unprotect(client: Client, request: api.UnprotectRequest) -> api.UnprotectResponse:
    member = client.members[request.state_id]
    done = await process(member.crypto, member.group, request.ciphertext, psks=member.psks, policy=POLICY)
    if not isinstance(done.event, ApplicationMessage):
        raise RoomkeyError("bad-argument", f"expected application data, got {type(done.event).__name__}")
    member.group = done.group
    return api.UnprotectResponse(done.event.authenticated_data, done.event.data)


async def store_psk(client: Client, request: api.StorePSKRequest) -> api.Empty:
    number = request.state_or_transaction_id
    holder = client.joins[number] if number in client.joins else client.members[number]
    holder.external_psks[request.psk_id] = request.psk_secret
    return api.Empty()


async def free(client: Client, request: api.StateRequest) -> api.Empty:
    client.members.drop(request.state_id)
    return api.Empty()
