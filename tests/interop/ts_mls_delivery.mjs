// ts-mls on the delivery service: what its clients do there, as operations of the peer.

import { DeliveryClient } from "./delivery_client.mjs";
import { CredentialKey, claimedBy } from "./init_key_sets.mjs";
import { b64, bytes, get, hold } from "./json_lines.mjs";
import { Reader } from "./presentation.mjs";
import { mls, part, suite } from "./ts_mls_suites.mjs";

const { decodeKeyPackage, encodeKeyPackage } = await part("keyPackage.js");

const ROOMKEY_GROUP = 0xf0c2;
const ROOMKEY_TICKET = 0xf0c5;

/** Who orders a group: the service that its context names, or else its creator's. */
function orderingDomain({ groupContext }, creators) {
  const named = groupContext.extensions.find(({ extensionType }) => extensionType === ROOMKEY_GROUP);
  return named === undefined ? creators : new Reader(named.extensionData).vector().toString();
}

/** MLS-Exporter("roomkey ordering 1.0", "", 32) */
const token = async (state) =>
  mls.mlsExporter(
    state.keySchedule.exporterSecret, "roomkey ordering 1.0", new Uint8Array(), 32,
    await suite(mls.ciphersuites[state.groupContext.cipherSuite]),
  );

const stored = (commits) => commits.map(({ epoch, commit }) => ({ epoch, commit: b64(commit) }));
const keyPackageMessage = (keyPackage) =>
  b64(mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage }));

/** A set of key packages, as the index wants them. */
const entries = (numbers) =>
  numbers.map((number) => {
    const { publicPackage } = get(number);
    const { cipherSuite, initKey } = publicPackage;
    return { suite: mls.ciphersuites[cipherSuite], initKey, bytes: encodeKeyPackage(publicPackage) };
  });

export const operations = {
  /** The client whose credential key signs the leaf of this key package. */
  async ds_client({ services, keys }) {
    const { publicPackage, privatePackage } = get(keys);
    const { credential, signaturePublicKey } = publicPackage.leafNode;
    const key = new CredentialKey(credential.identity, signaturePublicKey, privatePackage.signaturePrivateKey);
    return { client: hold(new DeliveryClient(services, key)), id: b64(key.client) };
  },

  async ds_enrol({ client, code }) {
    await get(client).enrol(code);
    return {};
  },

  async ds_publish({ client, sets }) {
    return get(client).publish(sets.map(entries));
  },

  async ds_claim({ client, identities, suites }) {
    const found = await get(client).claim(identities, suites, decodeKeyPackage);
    return {
      sets: found.map(({ identity, client: id, packages }) => ({
        identity, client: b64(id),
        packages: packages.map(({ value }) => [mls.ciphersuites[value.cipherSuite], keyPackageMessage(value)]),
      })),
    };
  },

  /** The members' leaves: index, identity and client. */
  async ds_members({ state }) {
    const nodes = get(state).mls.ratchetTree.map((node, place) => ({ node, place }));
    const leaves = nodes.filter(({ node }) => node?.nodeType === "leaf");
    return {
      members: leaves.map(({ node: { leaf }, place }) => {
        const { identity, client } = claimedBy(leaf);
        return [place / 2, identity, b64(client)];
      }),
    };
  },

  async ds_send({ client, message, to }) {
    await get(client).send(bytes(message), to.map(([identity, id]) => [identity, bytes(id)]));
    return {};
  },

  async ds_next({ client }) {
    const { sequence, message } = await get(client).next();
    return { sequence, message: b64(message) };
  },

  async ds_acknowledge({ client, through }) {
    await get(client).acknowledge(through);
    return {};
  },

  async ds_close({ client }) {
    get(client).close();
    return {};
  },

  async ds_register({ client, state, creators }) {
    const { mls: now } = get(state);
    const { groupId, epoch } = now.groupContext;
    await get(client).register(orderingDomain(now, creators), groupId, epoch, await token(now));
    return {};
  },

  /** A commit that leads from one state to another. `commits` are those that stand in its place, null if it won. */
  async ds_submit({ client, before, after, message, creators }) {
    const [old, next] = [get(before).mls, get(after).mls];
    const { groupId, epoch } = old.groupContext;
    const tokens = [await token(old), await token(next)];
    const others = await get(client).submit(orderingDomain(old, creators), groupId, epoch, ...tokens, bytes(message));
    return { commits: others === undefined ? null : stored(others) };
  },

  /** Hands in the external commit that a ticket lets its holder make; the same answer. */
  async ds_enter({ client, ticket, after, message }) {
    const [{ groupInfo }] = mls.decodeMlsMessage(bytes(ticket), 0);
    const { groupId, epoch } = groupInfo.groupContext;
    const { extensionData } = groupInfo.extensions.find(({ extensionType }) => extensionType === ROOMKEY_TICKET);
    const inside = new Reader(extensionData);
    const [domain, shown] = [inside.vector().toString(), inside.take(32)];
    const next = await token(get(after).mls);
    const others = await get(client).submit(domain, groupId, epoch, shown, next, bytes(message));
    return { commits: others === undefined ? null : stored(others) };
  },

  async ds_commits({ client, state, creators }) {
    const { mls: now } = get(state);
    const { groupId, epoch } = now.groupContext;
    return { commits: stored(await get(client).commits(orderingDomain(now, creators), groupId, epoch, await token(now))) };
  },
};
