/** A room of a relay as a way for packets: datagrams of WebTransport, which may be lost and never wait. */
import { Failure } from "../failure.js";
import type { Bytes } from "../worker/crypto_keys.js";
import { watchViolations } from "../worker/violations.js";
import type { ClosingTransport } from "./packet_transport.js";

/** Milliseconds after which a packet that could not be sent is dropped. */
const MAX_AGE = 250;
/** Packets that wait to be sent. */
const MAX_QUEUED = 64;
/** Milliseconds for which a relay may be silent before it is taken for unreachable. */
const OPENING = 10_000;

export class RelayTransport implements ClosingTransport {
  readonly #session: WebTransport;
  readonly #writer: WritableStreamDefaultWriter<Bytes>;
  readonly closed: Promise<void>;
  onpacket: (packet: Bytes) => void = () => undefined;

  private constructor(session: WebTransport) {
    this.#session = session;
    session.datagrams.outgoingMaxAge = MAX_AGE;
    session.datagrams.outgoingHighWaterMark = MAX_QUEUED;
    this.#writer = session.datagrams.writable.getWriter();
    this.closed = session.closed.then(
      () => undefined,
      () => undefined, // lost is as good as closed
    );
    void this.#read();
  }

  /**
   * Comes into the room that the address names.
   *
   * Rejects with "relay-unreachable", "blocked-by-csp", "browser-too-old".
   *
   * @param hashes - SHA-256 of certificates, one of which is the relay's; none for one that the browser trusts by itself
   */
  static async open(url: string, hashes: readonly Bytes[]): Promise<RelayTransport> {
    if (typeof WebTransport === "undefined") throw new Failure("browser-too-old", "expected WebTransport", { missing: "WebTransport" });
    const violations = watchViolations();
    const { origin } = new URL(url);
    let session: WebTransport | undefined;
    const timer = setTimeout(() => session?.close(), OPENING);
    try {
      session = new WebTransport(url, { serverCertificateHashes: hashes.map((value) => ({ algorithm: "sha-256", value })), congestionControl: "low-latency" });
      session.closed.catch(() => undefined); // `ready` says it
      await session.ready;
      return new RelayTransport(session);
    } catch (error) {
      if (await violations.seen(origin)) throw new Failure("blocked-by-csp", `expected connect-src to allow ${origin}`, { origin }, error);
      throw new Failure("relay-unreachable", "expected a room of a relay", { origin }, error);
    } finally {
      clearTimeout(timer);
      violations.stop();
    }
  }

  get full(): boolean {
    return (this.#writer.desiredSize ?? 0) <= 0;
  }

  send(packet: Bytes): boolean {
    if (packet.length > this.#session.datagrams.maxDatagramSize || (this.#writer.desiredSize ?? 0) <= 0) return false;
    this.#writer.write(packet).catch(() => undefined); // the session is over, which `closed` says
    return true;
  }

  close(): void {
    this.#session.close();
  }

  async #read(): Promise<void> {
    const reader = (this.#session.datagrams.readable as ReadableStream<Bytes>).getReader();
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) this.onpacket(next.value);
    } catch {
      return; // as for `send`
    }
  }
}
