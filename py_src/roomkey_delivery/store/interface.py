"""What the service keeps. One conformance suite (tests/delivery/test_store.py) holds for every store.

Each method is one transaction, durable when it returns, and right when several processes call it at the same time.
Times are Unix seconds, handed in. Every method may raise "service-unavailable" (no space, no access, busy for too
long), and then nothing has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class Client(NamedTuple):
    """An enrolled client: SHA-256 of its public key, whose it is, and the key (algorithm by its SignatureScheme
    number).
    """

    id: bytes
    identity: str
    algorithm: int
    public_key: bytes


class NewSet(NamedTuple):
    """An InitKeySet to be stored: its id, its bytes, the draft's suite numbers, when its first key package expires."""

    id: bytes
    body: bytes
    suites: tuple[int, ...]
    last_resort: bool
    expires: int


class StockCount(NamedTuple):
    """What can still be claimed of one client; `expires` is the earliest, None without sets."""

    sets: int
    last_resort: bool
    expires: int | None


class Message(NamedTuple):
    """One message of an inbox."""

    sequence: int
    body: bytes


class OrderedCommit(NamedTuple):
    """The commit that ended `epoch`, and the hash of the next epoch's token."""

    epoch: int
    commit: bytes
    next_token_hash: bytes


class InboxLimits(NamedTuple):
    """How much one inbox may hold that is not acknowledged."""

    messages: int
    bytes: int


class Store(Protocol):
    async def use_nonce(self, client: bytes, nonce: str, now: float, lifetime: float) -> bool:
        """Whether the nonce is fresh; then it is used up for `lifetime` seconds."""
        ...

    # -- enrolment --

    async def new_code(self, identity: str, code_hash: bytes, expires: float) -> None:
        """Lets who knows the code enrol as `identity`; an older unused code ends. Errors: "already-enrolled"."""
        ...

    async def new_reset_code(self, identity: str, code_hash: bytes, expires: float) -> None:
        """Lets who knows the code begin anew under a name, taken or not; an older such code ends."""
        ...

    async def check_code(self, client: Client, code_hash: bytes, now: float) -> bool:
        """Whether the code, which stays good, is one for a reset. A code that this client used already is good still.

        Errors: "enrolment-refused", "already-enrolled" for a used code.
        """
        ...

    async def bind_code(self, client: Client, code_hash: bytes) -> None:
        """Makes a code for a reset, which was checked, this client's alone. Errors: "already-enrolled" if it is
        another's.
        """
        ...

    async def admit(self, identity: str, client: bytes, expires: float) -> None:
        """Lets the client `client` enrol as `identity`."""
        ...

    async def enrol(
        self, client: Client, code_hash: bytes | None, now: float, *, unsafe_open: bool = False, listed: bool = False
    ) -> None:
        """Binds the client to its identity, by a code, an admission, or (unsafe_open) by coming first. The same again
        is fine. `listed`: the log's newest manifest names the client, so neither code nor admission is needed; a code
        that is given is used up.

        Errors: "enrolment-refused"; "already-enrolled" for a used code, a key bound to another name, or (unsafe_open)
        a taken name.
        """
        ...

    async def client(self, client: bytes) -> Client | None:
        """The enrolled client of this id."""
        ...

    # -- init-key sets --

    async def publish(self, client: bytes, sets: Sequence[NewSet], now: float, limit: int) -> None:
        """Stores the sets, all or none. Known ids are passed over, also those claimed long ago; a last resort
        replaces the former.

        Errors: "set-conflict" (known id, other bytes), "stock-full" (more than `limit` ordinary sets).
        """
        ...

    async def stock(self, client: bytes, now: float) -> StockCount: ...

    async def claim(
        self, identity: str, suites: Sequence[int], now: float, only: Collection[bytes] | None = None
    ) -> list[bytes]:
        """The oldest live set of each client of `identity` that holds one of `suites` (any, if empty), which then is
        gone. `only`: the ids of the clients whose sets may be handed out; None for all.

        A client's last resort comes only when nothing else of it fits, and stays. Unknown identities have no sets.
        """
        ...

    # -- inboxes --

    async def deliver(self, body: bytes, clients: Sequence[bytes], now: float, limits: InboxLimits) -> list[bytes]:
        """Puts a message into each client's inbox that never had it; returns the ids that are no clients here.

        Errors: "inbox-full" if an inbox has no room; all others have it then.
        """
        ...

    async def messages(self, client: bytes, after: int, limit: int) -> list[Message]:
        """Up to `limit` messages with a sequence above `after`, in sequence."""
        ...

    async def acknowledge(self, client: bytes, through: int) -> None:
        """Forgets the bodies of all messages up to `through`."""
        ...

    async def recipients_since(self, mark: int) -> tuple[int, set[bytes]]:
        """Who got messages since `mark`, and the new mark; by whatever process. Start with the mark that 2^63 - 1
        gives.
        """
        ...

    # -- the ordering register --

    async def register_group(self, group_id: bytes, epoch: int, token_hash: bytes, now: float) -> None:
        """Opens a register: a chain of epochs that begins with this one. The same again is fine.

        A group begins with epoch 0, and only once: its id is then its own. A chain that begins later, of a group that
        comes from another service, stands beside all others of that id; only who has its tokens finds it.
        Errors: "group-exists", for epoch 0 alone.
        """
        ...

    async def submit(
        self, group_id: bytes, epoch: int, token_hash: bytes, next_token_hash: bytes, commit: bytes, now: float
    ) -> list[OrderedCommit] | None:
        """None: `commit` is the one of `epoch`, now or since before. Else the chain's stored commits from `epoch` on
        (see `commits`).

        Errors: "wrong-token".
        """
        ...

    async def commits(self, group_id: bytes, epoch: int, token_hash: bytes) -> list[OrderedCommit]:
        """The stored commits from `epoch` on, consecutive, as many as fit an answer. Errors: "wrong-token"."""
        ...

    async def prune(self, now: float) -> None:
        """Drops what has had its time: nonces, codes, admissions, expired sets, hashes of old messages, old commits."""
        ...

    async def close(self) -> None: ...
