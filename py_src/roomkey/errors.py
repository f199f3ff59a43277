"""One error family.

Every failure that leaves Roomkey is a `RoomkeyError`. Its `code` is stable and made for a switch; `fault` says who
can mend it; `sentence` is for the person in front of the screen; the exception's own text is for the developer and
says what was expected and what came. No text ever holds user data, keys or message contents.

Codes live in this one table. The JavaScript union `RoomkeyErrorCode` and `web/docs/errors.md` are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Fault = Literal["caller", "peer", "service", "environment"]
Plain = str | int | bool | None


class Code(NamedTuple):
    """What a stable error code means: whose fault, whether trying again can help, and one sentence for people."""

    fault: Fault
    retryable: bool
    sentence: str


CODES: dict[str, Code] = {
    # -- bytes that do not parse (tls, crypto) --
    "malformed": Code("peer", False, "A message arrived that does not follow the protocol; it was ignored."),
    "too-large": Code("peer", False, "A message arrived that is larger than allowed; it was ignored."),
    "bad-argument": Code("caller", False, "The application passed a value that cannot be used."),
    "unsupported-suite": Code("environment", False, "This browser lacks the cryptography that the group uses."),
    "invalid-key": Code("peer", False, "A public key is not valid, so it was refused."),
    "invalid-signature": Code("peer", False, "A signature does not match, so the message was refused."),
    "decryption-failed": Code("peer", False, "A message could not be decrypted; it was altered or not meant for us."),
    # -- MLS (RFC 9420) --
    "wrong-group": Code("peer", False, "A message of another conference arrived; it was ignored."),
    "wrong-epoch": Code("peer", False, "A message of an earlier or later state of the conference arrived."),
    "invalid-message": Code("peer", False, "A message breaks the rules of the protocol and was refused."),
    "own-message": Code("peer", False, "One of our own messages came back; it was ignored."),
    "invalid-proposal": Code("peer", False, "A proposed change to the conference breaks the rules and was refused."),
    "unsupported-proposal": Code("peer", False, "A proposed change is of a kind that this application does not take."),
    "unsupported-policy": Code(
        "environment", False, "The conference follows rules that this application does not know."
    ),
    "commit-first": Code(
        "caller", True, "A change to the conference is waiting; it must be made before messages go out."
    ),
    "unknown-proposal": Code("peer", True, "A change refers to a proposal that has not arrived here."),
    "invalid-commit": Code("peer", False, "A change to the conference breaks the rules and was refused."),
    "external-commit-refused": Code("peer", False, "Somebody tried to join the conference without an invitation."),
    "psk-unknown": Code("peer", False, "The conference asks for a shared secret that this member does not have."),
    "invalid-tag": Code("peer", False, "A message was altered, or its sender is not a member; it was refused."),
    "key-consumed": Code("peer", False, "A message arrived twice, or too late to be read; it was ignored."),
    "generation-too-far": Code("peer", False, "A message claims that too many before it were lost; it was refused."),
    "welcome-not-for-us": Code("peer", False, "An invitation arrived that is not for this device, or was used before."),
    "invalid-welcome": Code("peer", False, "An invitation breaks the rules and was refused."),
    "too-many-proposals": Code("peer", True, "Too many changes to the conference were proposed at once."),
    "group-ended": Code("caller", False, "This conference has ended in favour of a new one."),
    "group-succeeding": Code("peer", True, "The conference is about to go on in a new group; try again in a moment."),
    "no-better-suite": Code("caller", False, "This conference uses the best encryption that everyone in it supports."),
    "too-many-signals": Code("caller", True, "This page sends more signals than its conference takes; wait a moment."),
    "not-a-member": Code("caller", False, "This identity is no longer a member of the conference."),
    # -- the federation: identities, init-key sets, trust, negotiation --
    "invalid-identity": Code("caller", False, "This is not a name we can use; it should look like name@example.org."),
    "identity-not-canonical": Code("peer", False, "A name is not written in its one allowed form, so it was refused."),
    "identity-mismatch": Code("peer", False, "The keys that were delivered belong to someone else; they were refused."),
    "unsupported-credential": Code("peer", False, "Someone's keys are vouched for in a way that we do not support."),
    "invalid-index": Code("peer", False, "The delivered keys do not fit together; they were refused."),
    "no-init-keys": Code(
        "peer", True, "This person has no keys waiting there, is not known there, or takes no calls from you."
    ),
    "keys-expired": Code("peer", False, "The delivered keys have expired; their owner must come online once."),
    "keys-not-yet-valid": Code("peer", True, "The delivered keys are not valid yet; check the clock of this computer."),
    "lifetime-too-long": Code("peer", False, "The delivered keys claim to be valid for too long; they were refused."),
    "untrusted-identity": Code("peer", False, "It is not proved that these keys belong to this person."),
    "identity-changed": Code(
        "peer", False, "This person's keys have changed; ask them before you accept the new ones."
    ),
    "suite-withheld": Code(
        "peer", False, "Keys of a kind that this person offers are missing; somebody may be holding them back."
    ),
    "replayed": Code("peer", False, "These keys were delivered before; somebody may be repeating an old answer."),
    "no-common-suite": Code("environment", False, "There is no kind of encryption that everyone here supports."),
    "downgrade": Code("peer", False, "Everyone could use better encryption than this group uses; it was not joined."),
    # -- the shared log of keys --
    "wrong-log": Code("service", False, "The delivery service answered with somebody else's log of keys."),
    "log-proof-invalid": Code(
        "service",
        False,
        "The delivery service's proof that these keys are the logged ones is wrong; they were refused.",
    ),
    "log-unproven": Code(
        "service", True, "It cannot be proved at the moment that these keys belong to this person; try again later."
    ),
    "log-fork": Code(
        "service",
        False,
        "The delivery service shows different people different keys; it was blocked, with the proof kept.",
    ),
    "identity-reset": Code(
        "peer",
        False,
        "This person has begun anew with other keys, which none of their known devices signed for. Ask them by another "
        "way whether it was them, and agree then.",
    ),
    "keys-withheld": Code(
        "service",
        True,
        "The public log lists this person's devices, and their delivery service hands out no keys of them; ask them to "
        "open their page once.",
    ),
    # -- our own entry in the shared log --
    "identity-taken": Code(
        "caller", False, "This name has keys in the public log already; recover it, or ask who runs the service."
    ),
    "manifest-refused": Code(
        "caller", False, "The delivery service takes a change of this person's devices from one of them alone."
    ),
    "manifest-conflict": Code(
        "caller", True, "Another of this person's devices changed the list of devices at the same time; try again."
    ),
    "manifest-unproven": Code(
        "service", True, "Your keys are not in the public log yet; the others see you once they are."
    ),
    "not-in-manifest": Code(
        "peer", False, "This device is not one of those that its owner has listed; it was refused."
    ),
    "identity-hijacked": Code(
        "service",
        False,
        "Keys that are not yours stand under your name in the public log. Unless you did this yourself from another "
        "device: warn the people you talk to by another way, and ask who runs the delivery service how it came about.",
    ),
    "recovery-key-taken": Code(
        "caller", False, "This device holds no recovery key; it is kept until it is written down."
    ),
    "recovery-key-wrong": Code(
        "caller", False, "This is not a recovery key as it was written down; look for a typing error."
    ),
    "no-such-device": Code("caller", False, "This is not one of this identity's devices."),
    # -- the group's tree and key packages (RFC 9420 sections 7, 10) --
    "invalid-leaf-node": Code(
        "peer", False, "A participant's data does not follow the rules of the group; it was refused."
    ),
    "invalid-key-package": Code(
        "peer", False, "A participant's published keys do not follow the rules; they were refused."
    ),
    "invalid-tree": Code("peer", False, "The group's list of participants does not follow the rules; it was refused."),
    "invalid-update-path": Code(
        "peer", False, "A change of the group's keys does not follow the rules; it was refused."
    ),
    # -- delivery services --
    "invalid-address": Code(
        "caller", False, "This is not an address we can use; it should look like https://ds.example.org."
    ),
    "not-a-delivery-service": Code(
        "caller", False, "There is no delivery service at this address; check it for typing errors."
    ),
    "no-route": Code("caller", False, "No delivery service is known for this person's domain; set its address first."),
    "no-keys": Code(
        "peer", True, "This person has no keys waiting, or does not exist; ask them to open their page once."
    ),
    "service-error": Code("service", True, "The delivery service gave an answer that makes no sense; try again later."),
    "service-unavailable": Code("service", True, "The delivery service cannot save at the moment; try again later."),
    "clock-skew": Code("environment", False, "This device's clock is wrong by more than five minutes; set it right."),
    "request-refused": Code("environment", False, "The delivery service did not accept this device's signature."),
    "request-replayed": Code("service", True, "The delivery service saw this request twice and refused the second."),
    "unknown-client": Code("environment", False, "The delivery service does not know this device; enrol it first."),
    "enrolment-refused": Code("caller", False, "This enrolment code is not valid for this name; ask for a new one."),
    "already-enrolled": Code("caller", False, "This name is taken: its enrolment code was used already."),
    "not-yours": Code("caller", False, "The delivery service lets only the owner do this."),
    "invalid-set": Code("caller", False, "The delivery service refused keys that do not fit together."),
    "set-expired": Code(
        "caller", False, "The delivery service refused keys that are not valid now; check the clock of this computer."
    ),
    "set-conflict": Code("caller", False, "Other keys are stored under the same number; they were left as they are."),
    "stock-full": Code("caller", False, "The delivery service holds as many of this device's keys as it takes."),
    "inbox-full": Code("peer", True, "Somebody's inbox is full until they open their page again."),
    "queue-full": Code(
        "service", True, "Too much is waiting for a delivery service that does not answer; it is tried again."
    ),
    "malformed-request": Code("caller", False, "The delivery service did not understand the request."),
    "request-too-large": Code("caller", False, "This is more than the delivery service takes at once."),
    "too-many-requests": Code("service", True, "The delivery service asks us to slow down; try again in a moment."),
    "wrong-token": Code(
        "caller", False, "The delivery service does not take this for a change by a member of the conference."
    ),
    "group-exists": Code("caller", False, "A conference of this number exists already at the delivery service."),
    # -- conferences and the client --
    "aborted": Code("caller", True, "This was cancelled."),
    "already-in-call": Code("caller", False, "The conference's sound and pictures are in use on this page already."),
    "already-member": Code("caller", False, "They are in the conference already."),
    "commit-conflict": Code("peer", True, "Too many changes happened at the same time; try again."),
    "export-not-allowed": Code("caller", False, "This website is not set up to take keys out of the call."),
    "group-stuck": Code("peer", False, "Somebody made a change that nobody can follow; start a new conference."),
    "invalid-ticket": Code("peer", False, "This ticket was altered, or is none; ask for a new one."),
    "media-failed": Code("environment", False, "This browser could not encode the picture or the sound."),
    "profile-mismatch": Code(
        "peer", False, "Somebody's sound and pictures are protected in another way than ours, so they cannot be shown."
    ),
    "ticket-expired": Code(
        "caller", False, "The conference has changed since this ticket was made; ask for a new one."
    ),
    "ticket-not-allowed": Code(
        "caller", False, "This conference takes only people who are invited; it has no tickets."
    ),
    "unsupported-client": Code(
        "peer", False, "This person's application does not know the rules of this conference, so they cannot join it."
    ),
    "init-keys-used": Code("caller", False, "These keys were used already; fetch new ones."),
    "no-such-member": Code("caller", False, "This person is not in the conference."),
    "no-such-message": Code("caller", False, "This message is not stored here."),
    # -- the host (storage, network) --
    "service-unreachable": Code(
        "service", True, "The delivery service does not answer; check the address and your connection."
    ),
    "relay-unreachable": Code(
        "service", True, "The relay for sound and pictures does not answer; check its address and your connection."
    ),
    "origin-not-allowed": Code("service", False, "The delivery service does not accept requests from this website."),
    "timeout": Code("service", True, "The delivery service took too long to answer."),
    "in-use-in-another-tab": Code(
        "caller", True, "This identity is open already, perhaps in another tab; close it there first."
    ),
    "identity-exists": Code("caller", False, "This identity already exists in this browser; open it instead."),
    "no-such-identity": Code("caller", False, "This identity does not exist in this browser yet."),
    "storage-failed": Code("environment", True, "The browser could not save; nothing was changed."),
    "closed": Code("caller", False, "This was closed; open it again first."),
    "key-not-found": Code("environment", False, "A private key of this identity is no longer stored here."),
    "storage-altered": Code("environment", False, "What this browser saved was altered; this identity cannot be used."),
    "unsupported-state": Code(
        "environment", False, "This browser saved this identity by a newer version of this website; reload the page."
    ),
    # -- the page (load, the worker) --
    "internal-error": Code("environment", False, "Something went wrong inside this website; reload the page."),
    "no-such-method": Code("caller", False, "The application asked for something that does not exist."),
    "insecure-context": Code("caller", False, "This page must be opened by https."),
    "browser-too-old": Code("environment", False, "This browser is too old for encrypted conferences; update it."),
    "assets-cross-origin": Code(
        "caller", False, "This website is set up wrongly: its files must lie on the same address."
    ),
    "asset-not-found": Code("environment", True, "A file of this website could not be loaded; try again."),
    "asset-altered": Code("environment", True, "A file of this website is damaged or out of date; reload the page."),
    "asset-wrong-type": Code(
        "environment", False, "This website is set up wrongly: a file is served with the wrong type."
    ),
    "load-timeout": Code("environment", True, "Loading took too long; check your connection and try again."),
    "blocked-by-csp": Code(
        "caller",
        False,
        "This website does not let itself connect there; check the address, or tell who runs the site.",
    ),
    "worker-blocked": Code("caller", False, "This website is set up wrongly: its background worker may not start."),
    "worker-not-protected": Code(
        "caller", False, "This website is set up wrongly: its background worker is not protected."
    ),
    "trusted-types-blocked": Code("caller", False, "This website forbids itself to start its background worker."),
    "worker-lost": Code("environment", True, "The background worker ended unexpectedly; reload the page."),
}


class RoomkeyError(Exception):
    """A failure with a stable code.

    Args:
        code: a key of `CODES`.
        text: for developers, lower case, "expected X, got Y"; never user data or secrets.
        retry_after: seconds after which trying again makes sense, if known.
        details: plain values that help a program react (names of fields, rule ids, counts, service addresses).
    """

    def __init__(self, code: str, text: str = "", *, retry_after: float | None = None, **details: Plain) -> None:
        self._entry = CODES[code]
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.details: dict[str, Plain] = dict(details)
        super().__init__(f"{code}: {text}" if text else code)

    @property
    def fault(self) -> Fault:
        return self._entry.fault

    @property
    def retryable(self) -> bool:
        return self._entry.retryable

    @property
    def sentence(self) -> str:
        return self._entry.sentence

    def as_plain(self) -> Mapping[str, object]:
        """The error as plain values, as it crosses to JavaScript or into JSON."""
        return {
            "code": self.code,
            "fault": self.fault,
            "retryable": self.retryable,
            "retryAfter": self.retry_after,
            "sentence": self.sentence,
            "text": self.text,
            "details": self.details,
        }
