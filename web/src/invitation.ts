import { Conference } from "./conference.js";
import type { ConferenceValue } from "./conference_values.js";
import type { Connection } from "./connection.js";
import type { CallOptions } from "./roomkey.js";
import { type Member, toDate, toMember, type Wire } from "./values.js";

/** @internal */
export type InvitationValue = Wire<{ handle: number; from: Member | null; members: Member[]; name: string; received: Date }>;

/** A conference that somebody asks this identity to join. It waits, also over a reload, until it is accepted or declined. */
export class Invitation {
  /** Undefined where the inviter has left since. */
  readonly from: Member | undefined;
  readonly members: readonly Member[];
  readonly name: string;
  readonly received: Date;
  readonly #connection: Connection;
  readonly #handle: number;

  /** @internal */
  constructor(connection: Connection, value: InvitationValue) {
    this.#connection = connection;
    this.#handle = value.handle;
    this.from = value.from == null ? undefined : toMember(value.from);
    this.members = Object.freeze(value.members.map(toMember));
    this.name = value.name;
    this.received = toDate(value.received);
  }

  /** Joins. */
  async accept(options: CallOptions = {}): Promise<Conference> {
    const value = await this.#connection.call<ConferenceValue>("invitation.accept", { handle: this.#handle }, options.signal);
    return Conference.of(this.#connection, value);
  }

  /** Forgets it. */
  async decline(): Promise<void> {
    await this.#connection.call("invitation.decline", { handle: this.#handle });
  }
}
