"""Targets of the federation: the draft's messages, somebody's init-key sets, names, what a service answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Annotated

from roomkey.client.account import AccountRecord, RouteRecord, new_account
from roomkey.client.contacts import ClaimedSet, SeenSet
from roomkey.client.stock import SetRecord, SpentWelcome
from roomkey.conference import records
from roomkey.errors import RoomkeyError
from roomkey.federation import inbox
from roomkey.federation.calls import SERVICE_CODES, ClientKey
from roomkey.federation.delivery import DeliveryService, _bundles
from roomkey.federation.delivery_messages import COMMITS, INIT_KEY_SETS, JSON, InboxItem, StoredCommit, StoredCommits
from roomkey.federation.identity import MAX_IDENTITY, canonicalise, check_domain, check_identity
from roomkey.federation.init_keys import (
    ClientKeys,
    InitKeySet,
    InitKeySetBundle,
    PrivateSet,
    make_client_keys,
    make_init_key_sets,
    set_id,
)
from roomkey.federation.messages import (
    GetUserInitKeyRequest,
    GetUserInitKeyResponse,
    UserInitKey,
    UserInitKeyBundle,
)
from roomkey.federation.negotiation import own_offer
from roomkey.federation.proof import Terms, UnverifiedInitKeySets, prove
from roomkey.federation.requests import from_base64url
from roomkey.federation.trust import ClientPin, ContactPin, FirstUse
from roomkey.host.interface import HttpResponse
from roomkey.tls import U8, U16, Opaque, Struct, opaque

from tests.fuzz import choice
from tests.fuzz.forgiving import Forgiving, forgiving_tags
from tests.fuzz.inside import inside
from tests.fuzz.target import DECODING, Finding, Target, finish, refused
from tests.support.mls_world import NOW

_NAME = "alice@a.example"

PROVING = DECODING | {
    "no-init-keys", "identity-mismatch", "identity-not-canonical", "unsupported-credential", "invalid-signature",
    "invalid-index", "no-common-suite", "untrusted-identity", "identity-changed", "suite-withheld", "keys-expired",
    "keys-not-yet-valid", "lifetime-too-long", "invalid-key-package", "invalid-key", "replayed",
}  # fmt: skip
# What a caller hears of a service: its own refusals, and answers that make no sense.
ANSWERED = SERVICE_CODES | {"service-error", "not-a-delivery-service"}


@cache
def _client(name: str = "alice") -> tuple[Forgiving, ClientKeys, tuple[PrivateSet, ...]]:
    crypto = Forgiving(name)
    keys = finish(make_client_keys(crypto, _NAME, "ed25519", (1, 2)))
    sets = finish(make_init_key_sets(crypto, keys, (1, 2), 2, NOW))
    last = finish(make_init_key_sets(crypto, keys, (1, 2), 1, NOW, last_resort=True))
    return crypto, keys, (*sets, *last)


def _bundle(item: PrivateSet) -> InitKeySetBundle:
    return InitKeySetBundle(_NAME.encode(), item.set)


# -- init-key sets --


def run_proof(data: bytes) -> bool:
    """What a service answers for alice. Her key signs whatever the input says, ids of sets too."""
    with forgiving_tags():
        try:
            answered = _bundles.decode(data)
            signed = tuple(bundle.replace(set=_indexed(bundle.set)) for bundle in answered)
            terms = Terms(NOW, own_offer("bob@b.example", (1, 2)), FirstUse(), None, frozenset())
            for bundles in (answered, signed):
                proved = finish(prove(Forgiving("run"), UnverifiedInitKeySets(_NAME, bundles), terms))
                if proved.identity != _NAME or len(proved.sets) != len(bundles):
                    raise Finding("expected every set of the one asked for")
        except RoomkeyError as error:
            return refused(error, PROVING, None if error.code == "no-common-suite" else "peer")
    return True


def _indexed(item: InitKeySet) -> InitKeySet:
    return item.replace(user_init_key=item.user_init_key.replace(user_init_key_id=set_id(item.key_packages)))


def _answers() -> dict[str, bytes]:
    one, two, last = _client()[2]
    other = _client("further")[2][0]  # of another client of hers
    return {
        "one": _bundles.encode((_bundle(one),)),
        "last-resort": _bundles.encode((_bundle(last),)),
        "two": _bundles.encode((_bundle(one), _bundle(other))),
        "refused-twice": _bundles.encode((_bundle(one), _bundle(two))),
        "refused-none": _bundles.encode(()),
    }


# -- structs --


def _drafts() -> list[choice.Choice]:
    private = _client()[2][0]
    index = private.set.user_init_key
    bundle = UserInitKeyBundle(_NAME.encode(), index)
    return [
        choice.struct(GetUserInitKeyRequest, plain=GetUserInitKeyRequest(_NAME.encode(), (0, 1))),
        choice.struct(GetUserInitKeyResponse, plain=GetUserInitKeyResponse((bundle,))),
        choice.struct(UserInitKey, plain=index),
        choice.struct(InitKeySet, plain=private.set),
    ]


def _records() -> list[choice.Choice]:
    _, keys, (private, *_) = _client()
    who = records.MemberRecord(1, _NAME.encode(), bytes(32), bytes(32), b"pinned", 5)
    sent = records.Delivery(b"group", records.WELCOME, b"a.example", (bytes(32),), b"message")
    pin = ClientPin(0x0807, bytes(32), (1,), (1, 2))
    conference = records.ConferenceRecord(2, b"name", b"a.example", 5, 0, departing=(1, 2), recent=(bytes(16),))
    return [
        choice.struct(records.ConferenceRecord, plain=conference),
        choice.struct(records.MembersRecord, plain=records.MembersRecord(1, (who,))),
        choice.struct(records.Delivery, plain=sent),
        choice.struct(records.PendingCommit, plain=records.PendingCommit(1, b"commit", b"group", (who,), (sent,))),
        choice.struct(records.Stranger, plain=records.Stranger(1, b"message")),
        choice.struct(records.StoredMessage, plain=records.StoredMessage(1, 2, 3, 0, b"a", bytes(32), b"text")),
        choice.struct(AccountRecord, plain=new_account(keys, (1, 2))),
        choice.struct(RouteRecord, plain=RouteRecord(b"https://a.example")),
        choice.struct(SetRecord, plain=SetRecord(1, 0, private)),
        choice.struct(SpentWelcome, plain=SpentWelcome(5)),
        choice.struct(SeenSet, plain=SeenSet(5)),
        choice.struct(ClaimedSet, plain=ClaimedSet(5, _bundle(private))),
        choice.struct(ContactPin, plain=ContactPin(_NAME.encode(), 5, (pin,))),
    ]


# -- names --


def run_names(data: bytes) -> bool:
    """Names from the wire, names that people type, domains, base64url: each in one form only."""
    taken = True
    try:
        if check_identity(data).encode() != data or len(data) > MAX_IDENTITY:
            raise Finding("expected the name that came")
    except RoomkeyError as error:
        taken = refused(error, frozenset({"identity-not-canonical"}))
    text = data.decode("utf-8", "surrogateescape")
    try:
        made = canonicalise(text)
        taken = True
        if check_identity(made.encode()) != made or canonicalise(made) != made:
            raise Finding("expected a name that stays as it is")
    except RoomkeyError as error:
        refused(error, frozenset({"invalid-identity"}), "caller")
    for parse, codes, fault in (
        (check_domain, {"invalid-identity"}, "caller"),
        (from_base64url, {"malformed"}, "peer"),
    ):
        try:
            parse(text)
            taken = True
        except RoomkeyError as error:
            refused(error, frozenset(codes), fault)
    return taken


def _names() -> dict[str, bytes]:
    texts = (
        "alice@a.example",
        "a.b+c-d_e@xn--bcher-kva.example",
        " Alice@Bücher.EXAMPLE. ",
        "YWJj",
    )
    refused = {"refused-address": "a@1.2.3.4", "refused-deviation": "a@ß.de"}
    return {f"n{number}": text.encode() for number, text in enumerate(texts)} | {
        name: text.encode() for name, text in refused.items()
    }


# -- what a service answers --


class Answer(Struct):
    """An answer to the call of this number, and to its repetition."""

    call: U8
    status: U16
    content_type: Opaque
    retry_after: Opaque
    body: Annotated[bytes, opaque()]


class _Answering:
    """A host whose network has one answer."""

    def __init__(self, answer: Answer) -> None:
        text = (answer.content_type.decode("latin-1"), answer.retry_after.decode("latin-1"))
        self._headers = {"content-type": text[0], "retry-after": text[1]}
        self._answer = answer
        self.http = self

    def now(self) -> float:
        return NOW

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float
    ) -> HttpResponse:
        return HttpResponse(self._answer.status, self._headers, self._answer.body)


async def _ask(service: DeliveryService, number: int) -> None:
    group, token = b"group", bytes(32)
    match number % 8:
        case 0:
            await service.describe()
        case 1:
            await service.stock()
        case 2:
            await service.claim([GetUserInitKeyRequest(_NAME.encode(), ())])
        case 3:
            await service.send(b"message", [bytes(32)])
        case 4:
            await service.submit_commit(group, 1, b"commit", token, token)
        case 5:
            await service.read_commits(group, 1, token)
        case 6:
            await service.register_group(group, token)
        case _:
            await service.acknowledge(1)


def run_answer(data: bytes) -> bool:
    """No answer of a service makes a caller fail otherwise than by an error that names the service."""
    try:
        answer = Answer.decode(data)
    except RoomkeyError:
        return False
    crypto, keys, _ = _client()
    signer = ClientKey(crypto, keys.scheme, keys.pairs[keys.scheme], keys.identity)
    service = DeliveryService(_Answering(answer), "https://a.example", signer)  # type: ignore[arg-type]
    try:
        finish(_ask(service, answer.call))
    except RoomkeyError as error:
        if error.code not in ANSWERED:
            raise Finding(f"expected one of {sorted(ANSWERED)}, got {error.code}") from error
    return True


def _service_answers() -> dict[str, bytes]:
    described = {
        "protocol": "roomkey-delivery/1", "domain": "a.example", "name": "x", "version": "1", "time": 5,
        "limits": {"maxMessage": 5, "maxUpload": 6},
    }  # fmt: skip
    commits = StoredCommits((StoredCommit(1, b"one"), StoredCommit(2, b"two"))).encode()
    said: list[tuple[int, int, str, bytes]] = [
        (0, 200, JSON, json.dumps(described).encode()),
        (1, 200, JSON, b'{"sets":1,"lastResort":true,"expires":null}'),
        (2, 200, INIT_KEY_SETS, _bundles.encode((_bundle(_client()[2][0]),))),
        (3, 200, JSON, b'{"unknown":["AAAA"]}'),
        (4, 409, COMMITS, commits),
        (4, 200, JSON, b"{}"),
        (5, 200, COMMITS, commits),
        (6, 429, JSON, b'{"code":"too-many-requests","text":"slow"}'),
        (7, 401, JSON, b'{"code":"clock-skew","text":"","time":1800000009}'),
    ]
    return {
        f"a{number}": Answer(call, status, kind.encode(), b"5", body).encode()
        for number, (call, status, kind, body) in enumerate(said)
    }


# -- the stream of an inbox --


class _Stream:
    def __init__(self, data: bytes, step: int) -> None:
        self._pieces = [data[at : at + step] for at in range(0, len(data), step)]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


async def _collect(data: bytes, step: int) -> list[bytes]:
    return [item.encode() async for item in inbox._items(_Stream(data, step))]  # type: ignore[arg-type]


def run_stream(data: bytes) -> bool:
    """`uint8 step`, then the stream: the same items in whatever pieces it comes."""
    if not data:
        return False
    found = []
    for step in (data[0] + 1, len(data)):
        try:
            found.append(_loop().run_until_complete(_collect(data[1:], step)))
        except RoomkeyError as error:
            refused(error, frozenset({"service-error"}), "service")
            found.append([])
    if found[0] != found[1] or not data[1:].startswith(b"".join(found[0])):
        raise Finding("expected the items of the stream")
    return True


def _streams() -> dict[str, bytes]:
    items = [InboxItem(0, b""), InboxItem(1, b"first"), InboxItem(2, bytes(300))]
    data = b"".join(item.encode() for item in items)
    return {"three": b"\x05" + data, "cut": b"\x40" + data[:-7]}


class Streamed(Struct):
    """A stream with its step, for mutations."""

    step: U8
    first: InboxItem
    second: InboxItem
    third: InboxItem


def targets() -> list[Target]:
    drafts, stored = _drafts(), _records()
    return [
        Target("init-key-sets", run_proof, _answers, _bundles, inside),
        Target("draft-messages", choice.run_of(drafts), lambda: choice.seeds_of(drafts), choice.shape_of(drafts)),
        Target("stored-records", choice.run_of(stored), lambda: choice.seeds_of(stored), choice.shape_of(stored)),
        Target("names", run_names, _names),
        Target("service-answers", run_answer, _service_answers, Answer.codec()),
        Target("inbox-stream", run_stream, _streams, Streamed.codec()),
    ]
