"""Targets of the federation: the draft's messages, somebody's init-key sets, names, and what is stored."""

from __future__ import annotations

from functools import cache

from roomkey.client.account import AccountRecord, RouteRecord, new_account
from roomkey.client.contacts import ClaimedSet, SeenSet
from roomkey.client.stock import SetRecord, SpentWelcome
from roomkey.conference import records
from roomkey.errors import RoomkeyError
from roomkey.federation.delivery_messages import init_key_bundles
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
            answered = init_key_bundles.decode(data)
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
        "one": init_key_bundles.encode((_bundle(one),)),
        "last-resort": init_key_bundles.encode((_bundle(last),)),
        "two": init_key_bundles.encode((_bundle(one), _bundle(other))),
        "refused-twice": init_key_bundles.encode((_bundle(one), _bundle(two))),
        "refused-none": init_key_bundles.encode(()),
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
        choice.struct(records.PendingEntry, plain=records.PendingEntry(1, bytes(32), b"commit", (sent,))),
        choice.struct(records.NewLeaves, plain=records.NewLeaves((records.NewLeaf(1, 2),))),
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


def targets() -> list[Target]:
    drafts, stored = _drafts(), _records()
    return [
        Target("init-key-sets", run_proof, _answers, init_key_bundles, inside),
        Target("draft-messages", choice.run_of(drafts), lambda: choice.seeds_of(drafts), choice.shape_of(drafts)),
        Target("stored-records", choice.run_of(stored), lambda: choice.seeds_of(stored), choice.shape_of(stored)),
        Target("names", run_names, _names),
    ]
