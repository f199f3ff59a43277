"""What stands in a delivery service's answers, as far as it can be checked without a proof."""

from __future__ import annotations

from typing import Any

from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import StoredCommit, StoredCommits
from roomkey.tls import MAX_MESSAGE


class decoding:
    """A context in which what a service sent is decoded: what does not parse is the service's fault.

    Errors: "service-error".
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RoomkeyError) and error.code in ("malformed", "too-large"):
            raise RoomkeyError("service-error", error.text) from error


def commits_of(body: bytes, epoch: int) -> tuple[StoredCommit, ...]:
    """Consecutive commits from `epoch` on. Errors: "service-error"."""
    if len(body) > MAX_MESSAGE:
        raise RoomkeyError("service-error", f"expected at most {MAX_MESSAGE} bytes of commits")
    with decoding():
        commits = StoredCommits.decode(body).commits
    if [item.epoch for item in commits] != list(range(epoch, epoch + len(commits))):
        raise RoomkeyError("service-error", "expected consecutive commits from the epoch asked for")
    return commits


def text_of(said: dict[str, Any], name: str, limit: int = 253) -> str:
    """A text of at most `limit` characters. Errors: "service-error"."""
    value = said.get(name)
    if not isinstance(value, str) or len(value) > limit:
        raise RoomkeyError("service-error", f"{name}: expected a text")
    return value


def number_of(said: dict[str, Any], name: str) -> int:
    """A whole number, not negative. Errors: "service-error"."""
    value = said.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RoomkeyError("service-error", f"{name}: expected a whole number")
    return value
