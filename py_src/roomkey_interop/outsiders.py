"""What clients outside a group do: join by an external commit, propose."""

from __future__ import annotations

import time

from roomkey.crypto.suites import suite_by_number
from roomkey.errors import RoomkeyError
from roomkey.host.native_crypto import NativeCrypto
from roomkey.mls.credential import Credential
from roomkey.mls.extensions import ExternalSender, external_senders
from roomkey.mls.external import external_commit, propose_external, propose_own_add
from roomkey.mls.group import Psks
from roomkey.mls.open_group import read_group_info
from roomkey.mls.psk import external_psk

from roomkey_interop import descriptions
from roomkey_interop import interface as api
from roomkey_interop.states import ANY_LIFETIME, Client, Signer, new_join, raw


async def external_join(client: Client, request: api.ExternalJoinRequest) -> api.ExternalJoinResponse:
    """The commit is a PublicMessage whatever `encrypt_handshake` says, for it must be (RFC 9420 section 12.4.3.2);
    that counts from then on. `remove_prior` removes the member of our identity.
    """
    suite = suite_by_number(descriptions.read_group_info(request.group_info).group_context.cipher_suite)
    ours = await new_join(suite, request.identity)
    tree = request.ratchet_tree or None
    prior: int | None = None
    if request.remove_prior:
        known = await read_group_info(ours.crypto, request.group_info, tree=tree, max_lifetime=ANY_LIFETIME)
        prior = descriptions.leaf_of(known.tree, request.identity)
    ours.external_psks.update((psk.psk_id, psk.psk_secret) for psk in request.psks)
    made = await external_commit(
        ours.crypto, request.group_info, ours.keys, time.time(), tree=tree, replaces=prior,
        psk_ids=[external_psk(psk.psk_id, ours.crypto.random(suite.nh)) for psk in request.psks],
        psks=Psks(ours.external_psks), max_lifetime=ANY_LIFETIME,
    )  # fmt: skip
    number = client.members.add(ours.member(made.group, request.encrypt_handshake))
    return api.ExternalJoinResponse(number, made.message, made.group.epoch_authenticator)


async def new_member_add_proposal(
    client: Client, request: api.NewMemberAddProposalRequest
) -> api.NewMemberAddProposalResponse:
    """The GroupInfo comes without a tree, so its signature stays unverified: who proposes a lie is not added."""
    context = descriptions.read_group_info(request.group_info).group_context
    ours = await new_join(suite_by_number(context.cipher_suite), request.identity)
    crypto, keys = ours.crypto, ours.keys
    sent = await propose_own_add(crypto, context, keys, time.time())
    return api.NewMemberAddProposalResponse(
        client.joins.add(ours),
        sent,
        raw(crypto, keys.init),
        raw(crypto, keys.leaf.encryption),
        raw(crypto, keys.leaf.signature),
    )


async def create_external_signer(
    client: Client, request: api.CreateExternalSignerRequest
) -> api.CreateExternalSignerResponse:
    suite = suite_by_number(request.cipher_suite)
    crypto = NativeCrypto()
    (pair,) = await crypto.generate_keys(suite.scheme, 1)
    sender = ExternalSender(pair.public, Credential.basic(request.identity))
    return api.CreateExternalSignerResponse(client.signers.add(Signer(crypto, suite, pair)), sender.encode())


async def external_signer_proposal(client: Client, request: api.ExternalSignerProposalRequest) -> api.ProposalResponse:
    """The signer is found in the group by its key. A `signer_index` that names another is refused; the working group's
    runner always sends 0, which we take for none.
    """
    signer = client.signers[request.signer_id]
    known = await read_group_info(
        signer.crypto, request.group_info, tree=request.ratchet_tree or None, max_lifetime=ANY_LIFETIME
    )
    senders = external_senders(known.context.extensions)
    if request.signer_index and (
        request.signer_index >= len(senders) or senders[request.signer_index].signature_key != signer.pair.public
    ):
        raise RoomkeyError("bad-argument", "signer_index: expected the signer's, got another", field="signer_index")
    item = descriptions.described(signer.crypto, known.suite, known.context.group_id, known.tree, request.description)
    return api.ProposalResponse(await propose_external(signer.crypto, known.context, signer.pair, item))
