"""What a message says on its outside, and what an error says about reading it again."""

from __future__ import annotations

from roomkey.conference import records
from roomkey.errors import RoomkeyError
from roomkey.mls.framing import PrivateMessage, PublicMessage


def withheld(error: RoomkeyError) -> bool:
    """Whether nothing was proved or refused yet: what the error came of is taken up again when that can be done; after
    a reset and a fork, when people have decided.
    """
    waits = error.code in ("storage-failed", "identity-reset", "log-fork")
    return waits or (error.retryable and error.fault == "service")


def group_of(body: object) -> bytes:
    """The group id of a framed message. Errors: "malformed"."""
    if isinstance(body, PrivateMessage):
        return body.group_id
    if isinstance(body, PublicMessage):
        return body.content.group_id
    raise RoomkeyError("malformed", "expected a framed message", field="wire_format")


def head(body: object) -> tuple[int, int]:
    """Epoch and content type of a framed message. Errors: "malformed"."""
    if isinstance(body, PrivateMessage):
        return body.epoch, body.content_type
    if isinstance(body, PublicMessage):
        return body.content.epoch, body.content.content_type
    raise RoomkeyError("malformed", "expected a framed message", field="wire_format")


def departing(record: records.ConferenceRecord, leaf: int) -> records.ConferenceRecord:
    """The record that remembers that the member at this leaf asked to be removed."""
    return record.replace(departing=tuple(sorted({*record.departing, leaf})))
