// A client of Roomkey's delivery services, written from web/docs/delivery-http.md and web/docs/other-clients.md alone: it
// shares nothing with the project's own. Of MLS it knows nothing; tokens and messages are given to it.

import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";

import { initKeySet, readBundles, request } from "./init_key_sets.mjs";
import { Reader, uint, vector } from "./presentation.mjs";

const SETS = "application/roomkey-init-key-sets";
const MESSAGE_DEADLINE = 120_000; // ms: a message that does not come is an error, not a wait without end

const sha256 = (data) => createHash("sha256").update(data).digest();
const domainOf = (identity) => identity.slice(identity.lastIndexOf("@") + 1);

/** What a service answered in place of what was asked for. */
export class ServiceError extends Error {}

/** One client. `services`: addresses by domain. */
export class DeliveryClient {
  #inbox = [];
  #waiting = undefined; // {resolve, reject} of whoever waits for the next message
  #failure = undefined;
  #stream = undefined;

  constructor(services, key) {
    this.services = services;
    this.key = key;
    this.domain = domainOf(key.identity.toString());
  }

  async enrol(code) {
    const body = { credential: this.key.credential.toString("base64url"), ...(code === undefined ? {} : { code }) };
    await this.#json(this.domain, "/v1/clients", body);
  }

  /** Each set a list of {suite, initKey, bytes}. Answers with the stock. */
  async publish(sets) {
    const body = vector(Buffer.concat(sets.map((packages) => initKeySet(this.key, packages))));
    return JSON.parse(await this.#post(this.domain, "/v1/user-init-keys", SETS, body));
  }

  /** One proved set of each client of these people. */
  async claim(identities, suites, decodeKeyPackage) {
    const found = [];
    for (const domain of new Set(identities.map(domainOf))) {
      const asked = identities.filter((identity) => domainOf(identity) === domain);
      const body = vector(Buffer.concat(asked.map((identity) => request(identity, suites))));
      found.push(...readBundles(await this.#post(domain, "/v1/user-init-keys/claim", SETS, body), decodeKeyPackage, asked));
    }
    return found;
  }

  /** One MLSMessage for these clients ([identity, client id]), at each one's own service. */
  async send(message, to) {
    for (const domain of new Set(to.map(([identity]) => domainOf(identity)))) {
      const clients = to.filter(([identity]) => domainOf(identity) === domain).map(([, client]) => client);
      const body = Buffer.concat([vector(Buffer.concat(clients)), vector(message)]);
      const { unknown } = JSON.parse(await this.#post(domain, "/v1/messages", "application/roomkey-delivery", body));
      if (unknown.length > 0) throw new ServiceError(`${unknown.length} unknown clients`);
    }
  }

  async register(domain, groupId, epoch, token) {
    const body = Buffer.concat([vector(groupId), uint(8, epoch), sha256(token)]);
    await this.#post(domain, "/v1/groups", "application/roomkey-group", body);
  }

  /** Undefined if the commit is the one of its epoch, else the register's commits from that epoch on. */
  async submit(domain, groupId, epoch, token, nextToken, commit) {
    const body = Buffer.concat([vector(groupId), uint(8, epoch), token, sha256(nextToken), vector(commit)]);
    const response = await this.#call(domain, "POST", "/v1/commits", "application/roomkey-commit", body);
    if (response.statusCode === 409 && response.headers["content-type"] === "application/roomkey-commits") {
      return storedCommits(await content(response));
    }
    await answer(response);
    return undefined;
  }

  /** The register's commits from an epoch on. */
  async commits(domain, groupId, epoch, token) {
    const body = Buffer.concat([vector(groupId), uint(8, epoch), token]);
    return storedCommits(await this.#post(domain, "/v1/commits/read", "application/roomkey-commits-read", body));
  }

  /** The next message of the inbox, {sequence, message}. */
  async next() {
    this.#stream ??= this.#open();
    if (this.#inbox.length > 0) return this.#inbox.shift();
    if (this.#failure !== undefined) throw this.#failure;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new ServiceError("no message in the inbox")), MESSAGE_DEADLINE);
      const settled = (settle) => (value) => {
        clearTimeout(late);
        this.#waiting = undefined;
        settle(value);
      };
      this.#waiting = { resolve: settled(resolve), reject: settled(reject) };
    });
  }

  async acknowledge(through) {
    await this.#json(this.domain, "/v1/inbox/acknowledgements", { through });
  }

  close() {
    this.#stream?.abort();
    this.#stream = undefined;
  }

  /** struct { uint64 sequence; opaque message<0..2^32-1>; } InboxItem; a heartbeat has sequence 0. */
  #open() {
    const stream = new AbortController();
    const read = async () => {
      const response = await this.#call(this.domain, "GET", "/v1/inbox", undefined, undefined, stream.signal);
      if (response.statusCode !== 200) await answer(response);
      let held = Buffer.alloc(0);
      for await (const piece of response) {
        held = Buffer.concat([held, piece]);
        while (held.length >= 12 && held.length >= 12 + held.readUInt32BE(8)) {
          const end = 12 + held.readUInt32BE(8);
          const sequence = Number(held.readBigUInt64BE(0));
          if (sequence !== 0) this.#deliver({ sequence, message: held.subarray(12, end) });
          held = held.subarray(end);
        }
      }
      throw new ServiceError("the inbox ended");
    };
    read().catch((error) => {
      if (stream.signal.aborted) return;
      this.#failure = error;
      this.#waiting?.reject(error);
    });
    return stream;
  }

  #deliver(item) {
    if (this.#waiting === undefined) this.#inbox.push(item);
    else this.#waiting.resolve(item);
  }

  async #json(domain, path, body) {
    return JSON.parse(await this.#post(domain, path, "application/json", Buffer.from(JSON.stringify(body))));
  }

  async #post(domain, path, type, body) {
    return answer(await this.#call(domain, "POST", path, type, body));
  }

  /** A request signed as RFC 9421 says. */
  async #call(domain, method, path, type, body, signal) {
    const url = new URL(path, this.services[domain]);
    const fields = { "roomkey-home": this.domain };
    if (body !== undefined) {
      fields["content-type"] = type;
      fields["content-digest"] = `sha-256=:${sha256(body).toString("base64")}:`;
    }
    const derived = { "@method": method, "@authority": url.host, "@path": url.pathname, "@query": "?" };
    const covered = Object.entries({ ...derived, ...fields });
    const nonce = randomBytes(18).toString("base64url");
    const keyid = this.key.client.toString("base64url");
    const names = covered.map(([name]) => `"${name}"`).join(" ");
    const created = Math.floor(Date.now() / 1000);
    const parameters = `(${names});created=${created};nonce="${nonce}";keyid="${keyid}";tag="roomkey"`;
    const lines = [...covered, ["@signature-params", parameters]].map(([name, value]) => `"${name}": ${value}`);
    const signature = this.key.sign(Buffer.from(lines.join("\n")), "ieee-p1363").toString("base64");
    const headers = { ...fields, "signature-input": `roomkey=${parameters}`, signature: `roomkey=:${signature}:` };
    return sent(url, { method, headers, signal }, body);
  }
}

const agents = { "http:": new http.Agent({ keepAlive: true }), "https:": new https.Agent({ keepAlive: true }) };

/** The head of the answer, whose body is still to be read. (`fetch` costs four times as much.) */
function sent(url, options, body) {
  const { request } = url.protocol === "https:" ? https : http;
  const length = body === undefined ? {} : { "content-length": body.length };
  return new Promise((resolve, reject) => {
    const headers = { ...options.headers, ...length };
    const out = request(url, { ...options, headers, agent: agents[url.protocol] }, resolve);
    out.on("error", reject);
    out.end(body);
  });
}

async function content(response) {
  const pieces = [];
  for await (const piece of response) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The body of a 2xx answer. */
async function answer(response) {
  const body = await content(response);
  const { statusCode } = response;
  if (statusCode < 200 || statusCode > 299) throw new ServiceError(`${statusCode} ${JSON.parse(body).code}`);
  return body;
}

/** struct { StoredCommit commits<V>; } with struct { uint64 epoch; opaque commit<V>; opaque next_token_hash[32]; } StoredCommit; */
const storedCommits = (data) =>
  new Reader(new Reader(data).vector()).all((item) => ({
    epoch: Number(item.uint(8)),
    commit: item.vector(),
    nextTokenHash: item.take(32),
  }));
