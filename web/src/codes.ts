// Made from py_src/roomkey/errors.py by `python3 build_scripts check --update`; a check fails when stale.

/** Who can mend it. */
export type Fault = "caller" | "peer" | "service" | "environment";

/** What a code means: whose fault, whether trying again can help, and one sentence for people. */
export interface CodeEntry {
  readonly fault: Fault;
  readonly retryable: boolean;
  readonly sentence: string;
}

/** Every stable error code. */
export type RoomkeyErrorCode =
  | "malformed"
  | "too-large"
  | "bad-argument"
  | "unsupported-suite"
  | "invalid-key"
  | "invalid-signature"
  | "decryption-failed"
  | "wrong-group"
  | "wrong-epoch"
  | "invalid-message"
  | "own-message"
  | "invalid-proposal"
  | "unsupported-proposal"
  | "unsupported-policy"
  | "commit-first"
  | "unknown-proposal"
  | "invalid-commit"
  | "external-commit-refused"
  | "psk-unknown"
  | "invalid-tag"
  | "key-consumed"
  | "generation-too-far"
  | "welcome-not-for-us"
  | "invalid-welcome"
  | "too-many-proposals"
  | "group-ended"
  | "group-succeeding"
  | "no-better-suite"
  | "too-many-signals"
  | "not-a-member"
  | "invalid-identity"
  | "identity-not-canonical"
  | "identity-mismatch"
  | "unsupported-credential"
  | "invalid-index"
  | "no-init-keys"
  | "keys-expired"
  | "keys-not-yet-valid"
  | "lifetime-too-long"
  | "untrusted-identity"
  | "identity-changed"
  | "suite-withheld"
  | "replayed"
  | "no-common-suite"
  | "downgrade"
  | "wrong-log"
  | "log-proof-invalid"
  | "log-unproven"
  | "log-fork"
  | "identity-reset"
  | "keys-withheld"
  | "identity-taken"
  | "manifest-refused"
  | "manifest-conflict"
  | "manifest-unproven"
  | "not-in-manifest"
  | "identity-hijacked"
  | "recovery-key-taken"
  | "recovery-key-wrong"
  | "no-such-device"
  | "invalid-leaf-node"
  | "invalid-key-package"
  | "invalid-tree"
  | "invalid-update-path"
  | "invalid-address"
  | "not-a-delivery-service"
  | "no-route"
  | "no-keys"
  | "service-error"
  | "service-unavailable"
  | "clock-skew"
  | "request-refused"
  | "request-replayed"
  | "unknown-client"
  | "enrolment-refused"
  | "already-enrolled"
  | "not-yours"
  | "invalid-set"
  | "set-expired"
  | "set-conflict"
  | "stock-full"
  | "inbox-full"
  | "queue-full"
  | "malformed-request"
  | "request-too-large"
  | "too-many-requests"
  | "wrong-token"
  | "group-exists"
  | "aborted"
  | "already-in-call"
  | "already-member"
  | "commit-conflict"
  | "export-not-allowed"
  | "group-stuck"
  | "invalid-ticket"
  | "media-failed"
  | "profile-mismatch"
  | "ticket-expired"
  | "ticket-not-allowed"
  | "unsupported-client"
  | "init-keys-used"
  | "no-such-member"
  | "no-such-message"
  | "service-unreachable"
  | "relay-unreachable"
  | "origin-not-allowed"
  | "timeout"
  | "in-use-in-another-tab"
  | "identity-exists"
  | "no-such-identity"
  | "storage-failed"
  | "closed"
  | "key-not-found"
  | "storage-altered"
  | "unsupported-state"
  | "internal-error"
  | "no-such-method"
  | "insecure-context"
  | "browser-too-old"
  | "assets-cross-origin"
  | "asset-not-found"
  | "asset-altered"
  | "asset-wrong-type"
  | "load-timeout"
  | "blocked-by-csp"
  | "worker-blocked"
  | "worker-not-protected"
  | "trusted-types-blocked"
  | "worker-lost";

/** @internal */
export const CODES: Readonly<Record<RoomkeyErrorCode, CodeEntry>> = {
  "malformed": { fault: "peer", retryable: false, sentence: "A message arrived that does not follow the protocol; it was ignored." },
  "too-large": { fault: "peer", retryable: false, sentence: "A message arrived that is larger than allowed; it was ignored." },
  "bad-argument": { fault: "caller", retryable: false, sentence: "The application passed a value that cannot be used." },
  "unsupported-suite": { fault: "environment", retryable: false, sentence: "This browser lacks the cryptography that the group uses." },
  "invalid-key": { fault: "peer", retryable: false, sentence: "A public key is not valid, so it was refused." },
  "invalid-signature": { fault: "peer", retryable: false, sentence: "A signature does not match, so the message was refused." },
  "decryption-failed": { fault: "peer", retryable: false, sentence: "A message could not be decrypted; it was altered or not meant for us." },
  "wrong-group": { fault: "peer", retryable: false, sentence: "A message of another conference arrived; it was ignored." },
  "wrong-epoch": { fault: "peer", retryable: false, sentence: "A message of an earlier or later state of the conference arrived." },
  "invalid-message": { fault: "peer", retryable: false, sentence: "A message breaks the rules of the protocol and was refused." },
  "own-message": { fault: "peer", retryable: false, sentence: "One of our own messages came back; it was ignored." },
  "invalid-proposal": { fault: "peer", retryable: false, sentence: "A proposed change to the conference breaks the rules and was refused." },
  "unsupported-proposal": { fault: "peer", retryable: false, sentence: "A proposed change is of a kind that this application does not take." },
  "unsupported-policy": { fault: "environment", retryable: false, sentence: "The conference follows rules that this application does not know." },
  "commit-first": { fault: "caller", retryable: true, sentence: "A change to the conference is waiting; it must be made before messages go out." },
  "unknown-proposal": { fault: "peer", retryable: true, sentence: "A change refers to a proposal that has not arrived here." },
  "invalid-commit": { fault: "peer", retryable: false, sentence: "A change to the conference breaks the rules and was refused." },
  "external-commit-refused": { fault: "peer", retryable: false, sentence: "Somebody tried to join the conference without an invitation." },
  "psk-unknown": { fault: "peer", retryable: false, sentence: "The conference asks for a shared secret that this member does not have." },
  "invalid-tag": { fault: "peer", retryable: false, sentence: "A message was altered, or its sender is not a member; it was refused." },
  "key-consumed": { fault: "peer", retryable: false, sentence: "A message arrived twice, or too late to be read; it was ignored." },
  "generation-too-far": { fault: "peer", retryable: false, sentence: "A message claims that too many before it were lost; it was refused." },
  "welcome-not-for-us": { fault: "peer", retryable: false, sentence: "An invitation arrived that is not for this device, or was used before." },
  "invalid-welcome": { fault: "peer", retryable: false, sentence: "An invitation breaks the rules and was refused." },
  "too-many-proposals": { fault: "peer", retryable: true, sentence: "Too many changes to the conference were proposed at once." },
  "group-ended": { fault: "caller", retryable: false, sentence: "This conference has ended in favour of a new one." },
  "group-succeeding": { fault: "peer", retryable: true, sentence: "The conference is about to go on in a new group; try again in a moment." },
  "no-better-suite": { fault: "caller", retryable: false, sentence: "This conference uses the best encryption that everyone in it supports." },
  "too-many-signals": { fault: "caller", retryable: true, sentence: "This page sends more signals than its conference takes; wait a moment." },
  "not-a-member": { fault: "caller", retryable: false, sentence: "This identity is no longer a member of the conference." },
  "invalid-identity": { fault: "caller", retryable: false, sentence: "This is not a name we can use; it should look like name@example.org." },
  "identity-not-canonical": { fault: "peer", retryable: false, sentence: "A name is not written in its one allowed form, so it was refused." },
  "identity-mismatch": { fault: "peer", retryable: false, sentence: "The keys that were delivered belong to someone else; they were refused." },
  "unsupported-credential": { fault: "peer", retryable: false, sentence: "Someone's keys are vouched for in a way that we do not support." },
  "invalid-index": { fault: "peer", retryable: false, sentence: "The delivered keys do not fit together; they were refused." },
  "no-init-keys": { fault: "peer", retryable: true, sentence: "This person has no keys waiting there, is not known there, or takes no calls from you." },
  "keys-expired": { fault: "peer", retryable: false, sentence: "The delivered keys have expired; their owner must come online once." },
  "keys-not-yet-valid": { fault: "peer", retryable: true, sentence: "The delivered keys are not valid yet; check the clock of this computer." },
  "lifetime-too-long": { fault: "peer", retryable: false, sentence: "The delivered keys claim to be valid for too long; they were refused." },
  "untrusted-identity": { fault: "peer", retryable: false, sentence: "It is not proved that these keys belong to this person." },
  "identity-changed": { fault: "peer", retryable: false, sentence: "This person's keys have changed; ask them before you accept the new ones." },
  "suite-withheld": { fault: "peer", retryable: false, sentence: "Keys of a kind that this person offers are missing; somebody may be holding them back." },
  "replayed": { fault: "peer", retryable: false, sentence: "These keys were delivered before; somebody may be repeating an old answer." },
  "no-common-suite": { fault: "environment", retryable: false, sentence: "There is no kind of encryption that everyone here supports." },
  "downgrade": { fault: "peer", retryable: false, sentence: "Everyone could use better encryption than this group uses; it was not joined." },
  "wrong-log": { fault: "service", retryable: false, sentence: "The delivery service answered with somebody else's log of keys." },
  "log-proof-invalid": { fault: "service", retryable: false, sentence: "The delivery service's proof that these keys are the logged ones is wrong; they were refused." },
  "log-unproven": { fault: "service", retryable: true, sentence: "It cannot be proved at the moment that these keys belong to this person; try again later." },
  "log-fork": { fault: "service", retryable: false, sentence: "The delivery service shows different people different keys; it was blocked, with the proof kept." },
  "identity-reset": { fault: "peer", retryable: false, sentence: "This person has begun anew with other keys, which none of their known devices signed for. Ask them by another way whether it was them, and agree then." },
  "keys-withheld": { fault: "service", retryable: true, sentence: "The public log lists this person's devices, and their delivery service hands out no keys of them; ask them to open their page once." },
  "identity-taken": { fault: "caller", retryable: false, sentence: "This name has keys in the public log already; recover it, or ask who runs the service." },
  "manifest-refused": { fault: "caller", retryable: false, sentence: "The delivery service takes a change of this person's devices from one of them alone." },
  "manifest-conflict": { fault: "caller", retryable: true, sentence: "Another of this person's devices changed the list of devices at the same time; try again." },
  "manifest-unproven": { fault: "service", retryable: true, sentence: "Your keys are not in the public log yet; the others see you once they are." },
  "not-in-manifest": { fault: "peer", retryable: false, sentence: "This device is not one of those that its owner has listed; it was refused." },
  "identity-hijacked": { fault: "service", retryable: false, sentence: "Keys that are not yours stand under your name in the public log. Unless you did this yourself from another device: warn the people you talk to by another way, and ask who runs the delivery service how it came about." },
  "recovery-key-taken": { fault: "caller", retryable: false, sentence: "This device holds no recovery key; it is kept until it is written down." },
  "recovery-key-wrong": { fault: "caller", retryable: false, sentence: "This is not a recovery key as it was written down; look for a typing error." },
  "no-such-device": { fault: "caller", retryable: false, sentence: "This is not one of this identity's devices." },
  "invalid-leaf-node": { fault: "peer", retryable: false, sentence: "A participant's data does not follow the rules of the group; it was refused." },
  "invalid-key-package": { fault: "peer", retryable: false, sentence: "A participant's published keys do not follow the rules; they were refused." },
  "invalid-tree": { fault: "peer", retryable: false, sentence: "The group's list of participants does not follow the rules; it was refused." },
  "invalid-update-path": { fault: "peer", retryable: false, sentence: "A change of the group's keys does not follow the rules; it was refused." },
  "invalid-address": { fault: "caller", retryable: false, sentence: "This is not an address we can use; it should look like https://ds.example.org." },
  "not-a-delivery-service": { fault: "caller", retryable: false, sentence: "There is no delivery service at this address; check it for typing errors." },
  "no-route": { fault: "caller", retryable: false, sentence: "No delivery service is known for this person's domain; set its address first." },
  "no-keys": { fault: "peer", retryable: true, sentence: "This person has no keys waiting, or does not exist; ask them to open their page once." },
  "service-error": { fault: "service", retryable: true, sentence: "The delivery service gave an answer that makes no sense; try again later." },
  "service-unavailable": { fault: "service", retryable: true, sentence: "The delivery service cannot save at the moment; try again later." },
  "clock-skew": { fault: "environment", retryable: false, sentence: "This device's clock is wrong by more than five minutes; set it right." },
  "request-refused": { fault: "environment", retryable: false, sentence: "The delivery service did not accept this device's signature." },
  "request-replayed": { fault: "service", retryable: true, sentence: "The delivery service saw this request twice and refused the second." },
  "unknown-client": { fault: "environment", retryable: false, sentence: "The delivery service does not know this device; enrol it first." },
  "enrolment-refused": { fault: "caller", retryable: false, sentence: "This enrolment code is not valid for this name; ask for a new one." },
  "already-enrolled": { fault: "caller", retryable: false, sentence: "This name is taken: its enrolment code was used already." },
  "not-yours": { fault: "caller", retryable: false, sentence: "The delivery service lets only the owner do this." },
  "invalid-set": { fault: "caller", retryable: false, sentence: "The delivery service refused keys that do not fit together." },
  "set-expired": { fault: "caller", retryable: false, sentence: "The delivery service refused keys that are not valid now; check the clock of this computer." },
  "set-conflict": { fault: "caller", retryable: false, sentence: "Other keys are stored under the same number; they were left as they are." },
  "stock-full": { fault: "caller", retryable: false, sentence: "The delivery service holds as many of this device's keys as it takes." },
  "inbox-full": { fault: "peer", retryable: true, sentence: "Somebody's inbox is full until they open their page again." },
  "queue-full": { fault: "service", retryable: true, sentence: "Too much is waiting for a delivery service that does not answer; it is tried again." },
  "malformed-request": { fault: "caller", retryable: false, sentence: "The delivery service did not understand the request." },
  "request-too-large": { fault: "caller", retryable: false, sentence: "This is more than the delivery service takes at once." },
  "too-many-requests": { fault: "service", retryable: true, sentence: "The delivery service asks us to slow down; try again in a moment." },
  "wrong-token": { fault: "caller", retryable: false, sentence: "The delivery service does not take this for a change by a member of the conference." },
  "group-exists": { fault: "caller", retryable: false, sentence: "A conference of this number exists already at the delivery service." },
  "aborted": { fault: "caller", retryable: true, sentence: "This was cancelled." },
  "already-in-call": { fault: "caller", retryable: false, sentence: "The conference's sound and pictures are in use on this page already." },
  "already-member": { fault: "caller", retryable: false, sentence: "They are in the conference already." },
  "commit-conflict": { fault: "peer", retryable: true, sentence: "Too many changes happened at the same time; try again." },
  "export-not-allowed": { fault: "caller", retryable: false, sentence: "This website is not set up to take keys out of the call." },
  "group-stuck": { fault: "peer", retryable: false, sentence: "Somebody made a change that nobody can follow; start a new conference." },
  "invalid-ticket": { fault: "peer", retryable: false, sentence: "This ticket was altered, or is none; ask for a new one." },
  "media-failed": { fault: "environment", retryable: false, sentence: "This browser could not encode the picture or the sound." },
  "profile-mismatch": { fault: "peer", retryable: false, sentence: "Somebody's sound and pictures are protected in another way than ours, so they cannot be shown." },
  "ticket-expired": { fault: "caller", retryable: false, sentence: "The conference has changed since this ticket was made; ask for a new one." },
  "ticket-not-allowed": { fault: "caller", retryable: false, sentence: "This conference takes only people who are invited; it has no tickets." },
  "unsupported-client": { fault: "peer", retryable: false, sentence: "This person's application does not know the rules of this conference, so they cannot join it." },
  "init-keys-used": { fault: "caller", retryable: false, sentence: "These keys were used already; fetch new ones." },
  "no-such-member": { fault: "caller", retryable: false, sentence: "This person is not in the conference." },
  "no-such-message": { fault: "caller", retryable: false, sentence: "This message is not stored here." },
  "service-unreachable": { fault: "service", retryable: true, sentence: "The delivery service does not answer; check the address and your connection." },
  "relay-unreachable": { fault: "service", retryable: true, sentence: "The relay for sound and pictures does not answer; check its address and your connection." },
  "origin-not-allowed": { fault: "service", retryable: false, sentence: "The delivery service does not accept requests from this website." },
  "timeout": { fault: "service", retryable: true, sentence: "The delivery service took too long to answer." },
  "in-use-in-another-tab": { fault: "caller", retryable: true, sentence: "This identity is open already, perhaps in another tab; close it there first." },
  "identity-exists": { fault: "caller", retryable: false, sentence: "This identity already exists in this browser; open it instead." },
  "no-such-identity": { fault: "caller", retryable: false, sentence: "This identity does not exist in this browser yet." },
  "storage-failed": { fault: "environment", retryable: true, sentence: "The browser could not save; nothing was changed." },
  "closed": { fault: "caller", retryable: false, sentence: "This was closed; open it again first." },
  "key-not-found": { fault: "environment", retryable: false, sentence: "A private key of this identity is no longer stored here." },
  "storage-altered": { fault: "environment", retryable: false, sentence: "What this browser saved was altered; this identity cannot be used." },
  "unsupported-state": { fault: "environment", retryable: false, sentence: "This browser saved this identity by a newer version of this website; reload the page." },
  "internal-error": { fault: "environment", retryable: false, sentence: "Something went wrong inside this website; reload the page." },
  "no-such-method": { fault: "caller", retryable: false, sentence: "The application asked for something that does not exist." },
  "insecure-context": { fault: "caller", retryable: false, sentence: "This page must be opened by https." },
  "browser-too-old": { fault: "environment", retryable: false, sentence: "This browser is too old for encrypted conferences; update it." },
  "assets-cross-origin": { fault: "caller", retryable: false, sentence: "This website is set up wrongly: its files must lie on the same address." },
  "asset-not-found": { fault: "environment", retryable: true, sentence: "A file of this website could not be loaded; try again." },
  "asset-altered": { fault: "environment", retryable: true, sentence: "A file of this website is damaged or out of date; reload the page." },
  "asset-wrong-type": { fault: "environment", retryable: false, sentence: "This website is set up wrongly: a file is served with the wrong type." },
  "load-timeout": { fault: "environment", retryable: true, sentence: "Loading took too long; check your connection and try again." },
  "blocked-by-csp": { fault: "caller", retryable: false, sentence: "This website does not let itself connect there; check the address, or tell who runs the site." },
  "worker-blocked": { fault: "caller", retryable: false, sentence: "This website is set up wrongly: its background worker may not start." },
  "worker-not-protected": { fault: "caller", retryable: false, sentence: "This website is set up wrongly: its background worker is not protected." },
  "trusted-types-blocked": { fault: "caller", retryable: false, sentence: "This website forbids itself to start its background worker." },
  "worker-lost": { fault: "environment", retryable: true, sentence: "The background worker ended unexpectedly; reload the page." },
};
