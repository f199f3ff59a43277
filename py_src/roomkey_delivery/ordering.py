"""The register of commits: exactly one for each epoch of a group (wire.md section 5).

Who shows the token of an epoch is a member of it; of the group the service knows no more than token hashes and commits.

1. The commit is an MLSMessage of this group and epoch, and its content is a commit.
2. The token's hash is the one stored for the epoch. Unknown groups and epochs answer like wrong tokens.
3. An epoch without a commit gets this one, and the next epoch its hash, in one transaction. The same bytes again: 200
   as well. Another commit: 409, and the stored ones from its epoch on.
4. A register is a chain of epochs, found by group id, epoch and token hash. One that begins with epoch 0 has the id for
   itself. One that begins later, because the group comes from another service, is nobody's business but theirs who
   have its tokens: who has only seen the id can keep no group from coming.
5. Anybody can open registers, and submit to their own what only looks like a commit: what one client, or one other
   domain, may have us keep is limited.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import (
    COMMIT,
    COMMITS,
    COMMITS_READ,
    GROUP,
    CommitsRead,
    CommitSubmission,
    GroupRegistration,
    StoredCommit,
    StoredCommits,
)
from roomkey.mls import framing
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from roomkey_delivery.config import MAX_GROUP, MAX_MESSAGE
from roomkey_delivery.service import service_of
from roomkey_delivery.store.interface import OrderedCommit

MAX_GROUP_ID = 256  # bytes; ours have 32
MAX_EPOCH = 1 << 62  # the store's integers are signed


async def register(request: Request) -> Response:
    """`POST /v1/groups`."""
    service = service_of(request)
    sender, body = await service.verifier.passed_body(request, MAX_GROUP, GROUP)
    asked = GroupRegistration.decode(body)
    if not 0 < len(asked.group_id) <= MAX_GROUP_ID or asked.epoch >= MAX_EPOCH:
        raise RoomkeyError("malformed-request", f"expected an id of 1 to {MAX_GROUP_ID} bytes, an epoch below 2^62")
    service.registers.take(sender, service.clock())  # 5
    await service.store.register_group(asked.group_id, asked.epoch, asked.token_hash, service.clock())
    return JSONResponse({}, 201)


async def submit(request: Request) -> Response:
    """`POST /v1/commits`."""
    service = service_of(request)
    sender, body = await service.verifier.passed_body(request, MAX_MESSAGE, COMMIT)
    asked = CommitSubmission.decode(body)
    _check_commit(asked)  # 1
    token_hash = hashlib.sha256(asked.token).digest()
    service.commits.take(sender, service.clock(), len(asked.commit))  # 5
    stored = await service.store.submit(
        asked.group_id, asked.epoch, token_hash, asked.next_token_hash, asked.commit, service.clock()
    )
    return JSONResponse({"epoch": asked.epoch}) if stored is None else _commits(stored, 409)


async def read(request: Request) -> Response:
    """`POST /v1/commits/read`."""
    service = service_of(request)
    _, body = await service.verifier.passed_body(request, MAX_GROUP, COMMITS_READ)
    asked = CommitsRead.decode(body)
    if asked.epoch >= MAX_EPOCH:
        raise RoomkeyError("wrong-token", "expected the token of a stored epoch of a group")
    token_hash = hashlib.sha256(asked.token).digest()
    return _commits(await service.store.commits(asked.group_id, asked.epoch, token_hash), 200)


def _check_commit(asked: CommitSubmission) -> None:
    body = framing.MLSMessage.decode(asked.commit).body
    head = body.content if isinstance(body, framing.PublicMessage) else body
    if not isinstance(head, framing.FramedContent | framing.PrivateMessage) or head.content_type != framing.COMMIT:
        raise RoomkeyError("malformed-request", "commit: expected a commit", field="commit")
    if (head.group_id, head.epoch) != (asked.group_id, asked.epoch) or asked.epoch >= MAX_EPOCH:
        raise RoomkeyError("malformed-request", "commit: expected one of the group and epoch named", field="commit")


def _commits(stored: Sequence[OrderedCommit], status: int) -> Response:
    commits = StoredCommits(tuple(StoredCommit(*item) for item in stored))
    return Response(commits.encode(), status, media_type=COMMITS)
