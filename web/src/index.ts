/**
 * Roomkey keys a conference across delivery services: `load` it, set the service's address, fetch the others' init keys, invite them.
 *
 * @packageDocumentation
 */
export { load, type LoadOptions, type LoadProgress } from "./load.js";
export { type Fault, type PlainRoomkeyError, RoomkeyError, type RoomkeyErrorCode } from "./errors.js";
export {
  type CallOptions,
  type DeliveryService,
  type DeliveryServiceOptions,
  type Fanout,
  type IdentityInfo,
  type IdentityOptions,
  type Roomkey,
  type RoomkeyEvents,
} from "./roomkey.js";
export type { ConferenceOptions, Identity, IdentityEvents } from "./identity.js";
export type { FetchedInitKeys, InitKeys } from "./init_keys.js";
export type { Invitation } from "./invitation.js";
export type { Call } from "./call/call.js";
export type { CallEvents, CallSetup, Lock, MediaChoice, Tile } from "./call/call_values.js";
export type { Conference } from "./conference.js";
export type {
  ConferenceEvents,
  ConferencePolicy,
  ConferenceStatus,
  Invited,
  KeyFingerprint,
  KeyFingerprints,
  Sent,
  Signal,
  SrtpKey,
  SrtpKeys,
  SrtpProfile,
  Successor,
  Verification,
} from "./conference_values.js";
export type { FrameSample, ProtectedStream, ProtectOptions, Protection, ProtectionEvents } from "./protection.js";
export type { SrtpSession, SrtpSessionEvents } from "./srtp.js";
export type { SrtpRelay, SrtpRelayEvents, SrtpRelayOptions } from "./srtp_relay.js";
export type {
  PacketSample,
  SrtpCounts,
  SrtpIncoming,
  SrtpIncomingEvents,
  SrtpOutgoing,
  SrtpOutgoingEvents,
  SrtpReachState,
  SrtpState,
  SrtpUnheardReason,
} from "./srtp_media.js";
export type { SrtpConnectOptions, SrtpOptions, SrtpSendOptions } from "./srtp_values.js";
export type {
  ClientInfo,
  Device,
  ForkEvidence,
  Member,
  Message,
  Service,
  Stock,
  Suite,
  Traffic,
  Transparency,
  Verified,
  VerifiedIdentity,
} from "./values.js";

/** The version of this package. */
export const version: string = __ROOMKEY_VERSION__;
