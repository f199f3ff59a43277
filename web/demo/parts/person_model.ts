// One person's page without its looks: how an application uses Roomkey, from an address to a keyed call.

import { load, RoomkeyError } from "roomkey";
import type { Conference, Identity, InitKeys, Invitation, Message, Roomkey, Traffic } from "roomkey";
import { make, sameName } from "./dom.js";
import type { CallState, DemoConfig, PersonState } from "./story.js";

const PROFILE = "SRTP_AEAD_AES_128_GCM";
const REMEMBERED = "roomkey demo: services"; // addresses only; everything secret is Roomkey's own to keep
const KEPT_MS = 60_000; // a saved file's source: long enough for a browser that asks where to put it
const RECOVERY_LETTERS = 45; // of 60: so much of a recovery key is no enrolment code

/** Whose keys were fetched, from where, and how they were proved: for people to see. */
export interface Contact {
  readonly identity: string;
  readonly from: string; // domain of the service
  readonly devices: number;
  readonly absent: number; // devices that are known and whose keys did not come
  readonly provedBy: string;
}

/** The page's state, read by its view; `changed` is dispatched after every change. */
export class PersonModel extends EventTarget {
  phase: PersonState["phase"] = "loading";
  progress = 0;
  services: { url: string; domain: string }[] = [];
  identity: Identity | null = null;
  stock: number | null = null;
  recoveryKey: string | null = null; // while it is shown
  fetched: InitKeys[] = []; // at hand for the next invitation
  contacts: Contact[] = [];
  missing: { identity: string; error: unknown }[] = [];
  invitations: Invitation[] = [];
  call: Conference | null = null;
  callState: CallState | null = null;
  messages: Message[] = [];
  /** Resolves once Roomkey is there; a button pressed before waits for it. */
  loaded: Promise<void> = new Promise(() => undefined);

  readonly name: string; // alice@email1.example
  readonly onTraffic: (traffic: Traffic) => void;
  readonly #trusted: DemoConfig["services"];
  readonly #exportKeys: boolean;
  readonly #kept: InitKeys[] = []; // while we hold them, nobody is handed them again as if they were new
  #claims = 0;
  #roomkey: Roomkey | null = null;
  #reading: AbortController | null = null;
  #latestTrouble: unknown = null;

  /** By the page's own configuration: the services whose logs it knows whom to believe about; whether it shows keys for a player. */
  constructor(name: string, { services, player }: DemoConfig, onTraffic: (traffic: Traffic) => void) {
    super();
    this.name = name;
    this.#trusted = services;
    this.#exportKeys = player !== null;
    this.onTraffic = onTraffic;
  }

  /** Whose keys are at hand and who are not in the call yet. */
  get guests(): InitKeys[] {
    return this.fetched.filter((one) => !this.callState?.members.includes(one.identity));
  }

  get homeDomain(): string {
    return this.name.slice(this.name.indexOf("@") + 1);
  }

  /** Loads Roomkey and, when this person has been here before, everything that was open then. */
  start(): Promise<void> {
    this.loaded = this.#start();
    return this.loaded;
  }

  async #start(): Promise<void> {
    this.phase = "loading";
    this.#changed();
    try {
      const roomkey = await load({
        assets: "/roomkey/",
        exportKeys: this.#exportKeys,
        onProgress: (progress) => {
          this.progress = progress.loaded / progress.total;
          this.#changed();
        },
      });
      roomkey.addEventListener("traffic", (event) => this.onTraffic(event.detail));
      this.#roomkey = roomkey;
      for (const { domain, transparency } of this.#trusted) await roomkey.setTransparency(domain, transparency);
      for (const url of this.#remembered()) {
        await this.setService(url).catch((error: unknown) => this.#trouble(error));
      }
      if ((await roomkey.identities()).some((known) => sameName(known.identity, this.name))) {
        await this.#open(await roomkey.openIdentity(this.name));
      } else {
        this.phase = "ready";
      }
    } catch (error) {
      this.phase = "failed";
      throw error;
    } finally {
      this.#changed();
    }
  }

  async setService(url: string): Promise<void> {
    const { domain, url: proved } = await this.#loaded().setDeliveryService(url);
    this.services = [...this.services.filter((service) => service.domain !== domain), { domain, url: proved }];
    localStorage.setItem(REMEMBERED, JSON.stringify(this.services.map((service) => service.url)));
    this.#changed();
  }

  /** By a one-time code, or by the recovery key as it was written down. */
  async enrol(typed: string): Promise<void> {
    const recovers = typed.replaceAll(/[^A-Za-z]/g, "").length >= RECOVERY_LETTERS;
    const identity = await this.#loaded().createIdentity(this.name, recovers ? { recoveryKey: typed } : { enrolment: typed });
    await this.#open(identity);
    this.stock = (await identity.publishInitKeys()).available;
    this.#changed();
  }

  /** Shows the key that brings the identity back when every device is lost. */
  async showRecoveryKey(): Promise<void> {
    this.recoveryKey = await this.#opened().recoveryKey();
    this.#changed();
  }

  /** The person has it on paper. */
  async forgetRecoveryKey(): Promise<void> {
    await this.#opened().forgetRecoveryKey();
    this.recoveryKey = null;
    this.#changed();
  }

  /** The person was asked by another way, and has begun anew: their new keys are fetched. */
  async acceptReset(name: string): Promise<void> {
    const error = this.missing.find((one) => one.identity === name)?.error;
    const manifest = RoomkeyError.is(error) ? error.details["manifest"] : undefined;
    if (typeof manifest !== "string") throw new Error("nothing waits for consent");
    await this.#opened().acceptReset(name, manifest);
    await this.fetchKeys([name]);
  }

  /** Offers what proves that a log showed two truths as files to save. */
  async saveEvidence(): Promise<void> {
    for (const { origin, text } of await this.#opened().forkEvidence()) {
      const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
      make("a", { href: url, download: `evidence ${origin.replaceAll("/", " ")}.txt` }).click();
      setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
    }
  }

  /** Fetches keys that the services hand out now: first what is left of an earlier fetch is put aside. */
  async fetchKeys(names: readonly string[]): Promise<void> {
    let asked: number;
    do {
      asked = this.#claims;
      await this.#fetch(names);
    } while (asked === this.#claims && this.missing.length === 0 && names.length > 0);
  }

  async #fetch(names: readonly string[]): Promise<void> {
    const { keys, missing } = await this.#opened().fetchInitKeys([...names]);
    this.#kept.push(...keys);
    const fresh = new Set([...keys, ...missing].map((one) => one.identity));
    this.fetched = [...this.fetched.filter((one) => !fresh.has(one.identity)), ...keys];
    this.missing = missing;
    const found = keys.map((one) => ({ identity: one.identity, from: one.service.domain, devices: one.clients.length, absent: one.absent.length, provedBy: one.verified.by }));
    this.contacts = [...this.contacts.filter((one) => !fresh.has(one.identity)), ...found];
    this.#changed();
  }

  /** Makes a call if there is none, and invites everyone whose keys are at hand: one commit, all or nothing. */
  async startCall(): Promise<void> {
    const call = this.call?.status === "active" ? this.call : (await this.#opened().createConference({ name: "Roomkey demo" }));
    this.#attach(call);
    if (this.guests.length > 0) await call.invite(this.guests);
    this.fetched = [];
    await this.#look();
  }

  async accept(invitation: Invitation): Promise<void> {
    const former = this.call;
    const call = await invitation.accept();
    this.invitations = this.invitations.filter((one) => one !== invitation);
    this.#attach(call);
    if (former?.status === "active" && former !== call) await former.leave(); // one at a time, and after a reload the same one
    await this.#look();
  }

  async decline(invitation: Invitation): Promise<void> {
    await invitation.decline();
    this.invitations = this.invitations.filter((one) => one !== invitation);
    this.phase = this.callState === null ? "enrolled" : "call";
    this.#changed();
  }

  async remove(identity: string): Promise<void> {
    await this.#inCall().remove(identity);
    await this.#look();
  }

  async newKeys(): Promise<void> {
    await this.#inCall().update();
    await this.#look();
  }

  async leave(): Promise<void> {
    await this.#inCall().leave();
    this.#end("enrolled");
  }

  async send(text: string): Promise<void> {
    await this.#inCall().send(new TextEncoder().encode(text));
  }

  /** The failure in the background that belongs to no button and was not shown yet, if there is one. */
  takeTrouble(): unknown {
    const trouble = this.#latestTrouble;
    this.#latestTrouble = null;
    return trouble;
  }

  // -- inside --

  async #open(identity: Identity): Promise<void> {
    this.identity = identity;
    identity.addEventListener("invitation", (event) => this.#invited(event.detail));
    identity.addEventListener("conference", (event) => this.#attach(event.detail));
    identity.addEventListener("stock", (event) => {
      this.stock = event.detail.available;
      this.#changed();
    });
    identity.addEventListener("traffic", (event) => {
      if (event.detail.kind === "claim") this.#claims += 1;
      this.onTraffic(event.detail);
    });
    identity.addEventListener("error", (event) => this.#trouble(event.detail));
    for (const invitation of await identity.invitations()) this.#invited(invitation);
    const known = await identity.conferences();
    const current = known.find((call) => call.status === "active") ?? known.find((call) => call.status === "removed");
    if (current !== undefined) {
      this.#attach(current);
      await this.#look();
    }
    if (this.phase === "loading" || this.phase === "ready") this.phase = "enrolled"; // else a call or an invitation says more
    this.#changed();
  }

  #invited(invitation: Invitation): void {
    this.invitations = [...this.invitations, invitation];
    if (this.callState === null) this.phase = "invited";
    this.#changed();
  }

  #attach(call: Conference): void {
    if (this.call === call) return;
    this.#reading?.abort();
    this.call = call;
    this.messages = [];
    if (call.status !== "active") {
      this.#end(call.status === "left" ? "enrolled" : "removed");
    } else {
      this.phase = "call";
      const ended = (reason: string): void => (this.call === call ? this.#end(reason === "left" ? "enrolled" : "removed") : undefined);
      call.addEventListener("epoch", () => void this.#look().catch((error: unknown) => this.#trouble(error)));
      call.addEventListener("ended", (event) => ended(event.detail.reason));
      call.addEventListener("error", (event) => this.#trouble(event.detail));
    }
    void this.#read(call);
    this.#changed();
  }

  /** Reads what the call holds now; the epoch may move while the fingerprints are worked out, then the next event looks again. */
  async #look(): Promise<void> {
    const call = this.call;
    if (call === null || call.status !== "active") return;
    const held = await call.keyFingerprints({ profile: PROFILE }).catch((error: unknown) => {
      if (call === this.call && call.status === "active") throw error; // else it was left meanwhile, and there is nothing to show
    });
    if (held === undefined || call !== this.call || call.epoch !== held.epoch) return;
    const { epoch, keys } = held;
    this.callState = {
      epoch: String(epoch),
      digits: call.verification.digits,
      members: call.members.map((member) => member.identity),
      keys: keys.map((key) => ({ sender: key.identity, fingerprint: key.fingerprint })),
    };
    this.phase = "call";
    this.#changed();
  }

  #end(phase: PersonState["phase"]): void {
    this.callState = null;
    this.phase = phase;
    if (phase === "enrolled") {
      this.#reading?.abort(); // it was left for good
      this.call = null;
    }
    this.#changed();
  }

  async #read(call: Conference): Promise<void> {
    const reading = (this.#reading = new AbortController());
    try {
      for await (const message of call.messages({ signal: reading.signal })) {
        this.messages = [...this.messages, message];
        this.#changed();
      }
    } catch (error) {
      if (!reading.signal.aborted) this.#trouble(error);
    }
  }

  #trouble(error: unknown): void {
    this.#latestTrouble = error;
    this.#changed();
  }

  #changed(): void {
    this.dispatchEvent(new Event("changed"));
  }

  #remembered(): string[] {
    return JSON.parse(localStorage.getItem(REMEMBERED) ?? "[]") as string[];
  }

  #loaded(): Roomkey {
    if (this.#roomkey === null) throw new Error("Roomkey is still loading");
    return this.#roomkey;
  }

  #opened(): Identity {
    if (this.identity === null) throw new Error("this name is not enrolled yet");
    return this.identity;
  }

  #inCall(): Conference {
    if (this.call === null) throw new Error("there is no call");
    return this.call;
  }
}
