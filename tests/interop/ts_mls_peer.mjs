// ts-mls 1.6.4 behind JSON lines (`json_lines.mjs`).
//
// What ts-mls holds (groups, private keys of key packages) stays here under a number. A state is a value: each
// operation that changes one answers with a new number and leaves the old one as it was, until "drop".
//
// Comments that begin with "Not ts-mls:" mark what its API lacks and this file adds, with its own parts.

import { ROOMKEY_CLIENT } from "./init_key_sets.mjs";
import { b64, bytes, get, hold, serve } from "./json_lines.mjs";
import { vector } from "./presentation.mjs";
import { operations as delivery } from "./ts_mls_delivery.mjs";
import { mls, part, provider, suite } from "./ts_mls_suites.mjs";

const { createGroupInfoWithRatchetTree } = await part("createCommit.js");
const { decodeProposal } = await part("proposal.js");
const { signLeafNodeCommit } = await part("leafNode.js");
const { decodeRatchetTree, encodeRatchetTree } = await part("ratchetTree.js");
const { encodeGroupContext } = await part("groupContext.js");
const { treeHashRoot } = await part("treeHash.js");
const { getCiphersuiteNameFromId } = await part("crypto/ciphersuite.js");
const { signWithLabel } = await part("crypto/signature.js");

const decoded = (decoder, text) => {
  const data = bytes(text);
  const found = decoder(data, 0);
  if (found === undefined || found[1] !== data.length) throw new Error("ts-mls does not read this");
  return found[0];
};

const suiteOf = (state) => suite(mls.ciphersuites[state.groupContext.cipherSuite]);

// ---- what operations share

const config = {
  keyRetentionConfig: mls.defaultKeyRetentionConfig,
  lifetimeConfig: mls.defaultLifetimeConfig,
  keyPackageEqualityConfig: mls.defaultKeyPackageEqualityConfig,
  paddingConfig: mls.defaultPaddingConfig,
  authService: mls.defaultAuthenticationService,
};

/** External PSKs by id (base64 both), resumption PSKs of other groups by their held state. */
function pskIndex(state, { psks = {}, resuming } = {}) {
  const external = Object.fromEntries(Object.entries(psks).map(([id, psk]) => [id, bytes(psk)]));
  const own = mls.makePskIndex(state, external);
  const old = resuming === undefined ? mls.emptyPskIndex : mls.makePskIndex(get(resuming).mls, {});
  return { findPsk: (id) => own.findPsk(id) ?? old.findPsk(id) };
}

const welcomeBytes = (welcome) =>
  welcome === undefined ? null : b64(mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome }));
const extensionName = (type) =>
  Object.entries(mls.defaultExtensionTypes).find(([, value]) => value === type)?.[0] ?? type;
const extensions = (list = []) =>
  list.map(([type, data]) => ({ extensionType: extensionName(type), extensionData: bytes(data) }));

/** A state with what is ours beside it: the private keys of Updates that we proposed, by their public keys. */
const holdState = (state, updates = {}) => hold({ mls: state, updates });

const kind = (result, before) => {
  if (result.kind === "applicationMessage") return "application";
  if (result.newState.groupActiveState.kind === "removedFromGroup") return "removed";
  return result.newState.groupContext.epoch === before.groupContext.epoch ? "proposal" : "commit";
};

// ---- operations

const operations = {
  async key_package({ suite: number, identity, not_before, not_after, extension_types = [], generated = false, again,
    suites, voucher }) {
    const cs = await suite(number);
    const credential = { credentialType: "basic", identity: bytes(identity) };
    const capabilities = mls.defaultCapabilities(); // with GREASE
    capabilities.extensions.push(...extension_types);
    if (suites !== undefined) capabilities.ciphersuites = suites.map(getCiphersuiteNameFromId);
    const window = () => ({ notBefore: BigInt(not_before), notAfter: BigInt(not_after) });
    const lifetime = not_after === undefined ? mls.defaultLifetime : window();
    const untouched = () => mls.getCiphersuiteImpl(mls.getCiphersuiteFromName(cs.name)); // as ts-mls makes it
    const impl = generated ? await untouched() : cs;
    const earlier = ({ privatePackage, publicPackage }) => ({
      signKey: privatePackage.signaturePrivateKey, publicKey: publicPackage.leafNode.signaturePublicKey,
    });
    const signature = again === undefined ? await impl.signature.keygen() : earlier(get(again));
    const vouched = voucher === undefined ? [] : [[ROOMKEY_CLIENT, b64(get(voucher).key.vouch(signature.publicKey))]];
    const made = await mls.generateKeyPackageWithKey(credential, capabilities, lifetime, [], signature, impl, extensions(vouched));
    const message = { version: "mls10", wireformat: "mls_key_package", keyPackage: made.publicPackage };
    return { keys: hold(made), message: b64(mls.encodeMlsMessage(message)) };
  },

  async create({ keys, group_id, extensions: list }) {
    const { publicPackage, privatePackage } = get(keys);
    const cs = await suite(mls.ciphersuites[publicPackage.cipherSuite]);
    const context = extensions(list);
    return { state: holdState(await mls.createGroup(bytes(group_id), publicPackage, privatePackage, context, cs, config)) };
  },

  async join({ keys, welcome, tree, resuming, ...psks }) {
    const { publicPackage, privatePackage } = get(keys);
    const cs = await suite(mls.ciphersuites[publicPackage.cipherSuite]);
    const message = decoded(mls.decodeMlsMessage, welcome);
    if (message.wireformat !== "mls_welcome") throw new Error(`expected a Welcome, got ${message.wireformat}`);
    const beside = tree === undefined ? undefined : decoded(decodeRatchetTree, tree);
    const old = resuming === undefined ? undefined : get(resuming).mls;
    const index = pskIndex(undefined, { ...psks, resuming });
    const { welcome: read } = message;
    return { state: holdState(await mls.joinGroup(read, publicPackage, privatePackage, index, cs, beside, old, config)) };
  },

  async commit({ state, proposals = [], public: wireAsPublicMessage = false, tree_inside = true, aad = "", ...psks }) {
    const before = get(state).mls;
    const result = await mls.createCommit(
      { state: before, cipherSuite: await suiteOf(before), pskIndex: pskIndex(before, psks) },
      {
        wireAsPublicMessage, ratchetTreeExtension: tree_inside, authenticatedData: bytes(aad),
        extraProposals: proposals.map((text) => decoded(decodeProposal, text)),
      },
    );
    return {
      state: holdState(result.newState), message: b64(mls.encodeMlsMessage(result.commit)),
      welcome: welcomeBytes(result.welcome), tree: b64(encodeRatchetTree(result.newState.ratchetTree)),
    };
  },

  async propose({ state, proposal, public: asPublic = false, aad = "" }) {
    const { mls: before, updates } = get(state);
    const item = decoded(decodeProposal, proposal);
    const made = await mls.createProposal(before, asPublic, item, await suiteOf(before), bytes(aad));
    return { state: holdState(made.newState, updates), message: b64(mls.encodeMlsMessage(made.message)) };
  },

  // Not ts-mls: it can send an Update but neither makes its leaf nor keeps the new private key; see `process`.
  async propose_update({ state, public: asPublic = false }) {
    const { mls: before, updates } = get(state);
    const cs = await suiteOf(before);
    const pair = await cs.hpke.generateKeyPair();
    const { leafIndex } = before.privatePath;
    const { leaf } = before.ratchetTree[2 * leafIndex];
    const tbs = {
      leafNodeSource: "update", hpkePublicKey: await cs.hpke.exportPublicKey(pair.publicKey),
      groupId: before.groupContext.groupId, leafIndex, signaturePublicKey: leaf.signaturePublicKey,
      credential: leaf.credential, capabilities: leaf.capabilities, extensions: leaf.extensions,
    };
    const leafNode = await signLeafNodeCommit(tbs, before.signaturePrivateKey, cs.signature);
    const made = await mls.createProposal(before, asPublic, { proposalType: "update", update: { leafNode } }, cs);
    const privateKey = await cs.hpke.exportPrivateKey(pair.privateKey);
    const known = { ...updates, [b64(leafNode.hpkePublicKey)]: privateKey };
    return { state: holdState(made.newState, known), message: b64(mls.encodeMlsMessage(made.message)) };
  },

  async process({ state, message, ...psks }) {
    const { mls: before, updates } = get(state);
    const cs = await suiteOf(before);
    const read = decoded(mls.decodeMlsMessage, message);
    const index = pskIndex(before, psks);
    const run = async (from, callback) => {
      // not by processMessage, which hands no PSKs on for a PrivateMessage
      if (read.wireformat === "mls_private_message") {
        return mls.processPrivateMessage(from, read.privateMessage, index, cs, callback);
      }
      if (read.wireformat !== "mls_public_message") throw new Error(`cannot process ${read.wireformat}`);
      return mls.processPublicMessage(from, read.publicMessage, index, cs, callback);
    };
    let from = before;
    if (Object.keys(updates).length > 0) {
      // Not ts-mls: a first pass only looks whether the commit carries our Update, whose key then replaces the old.
      const own = before.privatePath.leafIndex;
      await run(before, (incoming) => {
        const isOurs = (p) => p.proposal.proposalType === "update" && p.senderLeafIndex === own;
        const ours = incoming.kind === "commit" ? incoming.proposals.find(isOurs) : undefined;
        if (ours !== undefined) {
          const key = updates[b64(ours.proposal.update.leafNode.hpkePublicKey)];
          const privateKeys = { ...before.privatePath.privateKeys, [2 * own]: key };
          from = { ...before, privatePath: { ...before.privatePath, privateKeys } };
        }
        return "reject";
      });
    }
    const result = await run(from, mls.acceptAll);
    const what = kind(result, before);
    const answer = { state: holdState(result.newState, what === "commit" ? {} : updates), kind: what };
    return what === "application" ? { ...answer, data: b64(result.message) } : answer;
  },

  async protect({ state, data, aad = "" }) {
    const { mls: before, updates } = get(state);
    const made = await mls.createApplicationMessage(before, bytes(data), await suiteOf(before), bytes(aad));
    const message = { version: "mls10", wireformat: "mls_private_message", privateMessage: made.privateMessage };
    return { state: holdState(made.newState, updates), message: b64(mls.encodeMlsMessage(message)) };
  },

  /** What all members of an epoch must agree on. The tree hash is computed from the tree, not read from the context. */
  async view({ state, exports }) {
    const { mls: now } = get(state);
    const cs = await suiteOf(now);
    return {
      epoch: Number(now.groupContext.epoch),
      context: b64(encodeGroupContext(now.groupContext)),
      authenticator: b64(now.keySchedule.epochAuthenticator),
      tree_hash: b64(await treeHashRoot(now.ratchetTree, cs.hash)),
      exporters: await Promise.all(
        exports.map(async ([label, context, length]) =>
          b64(await mls.mlsExporter(now.keySchedule.exporterSecret, label, bytes(context), length, cs))),
      ),
      leaf: now.privatePath.leafIndex,
      active: now.groupActiveState.kind,
    };
  },

  async reinit({ state, group_id, suite: number, extensions: list }) {
    const before = get(state).mls;
    const name = getCiphersuiteNameFromId(number);
    const made = await mls.reinitGroup(before, bytes(group_id), "mls10", name, extensions(list), await suiteOf(before));
    return { state: holdState(made.newState), message: b64(mls.encodeMlsMessage(made.commit)) };
  },

  /** The first commit of a branch or of a reinitialised group; its Welcome carries no tree. */
  async resume({ state, keys, packages, group_id, usage, suite: number, extensions: list }) {
    const old = get(state).mls;
    const { publicPackage, privatePackage } = get(keys);
    const others = packages.map((text) => decoded(mls.decodeMlsMessage, text).keyPackage);
    const made =
      usage === "branch"
        ? await mls.branchGroup(old, publicPackage, privatePackage, others, bytes(group_id), await suiteOf(old))
        : await mls.reinitCreateNewGroup(
            old, publicPackage, privatePackage, others, bytes(group_id), getCiphersuiteNameFromId(number),
            extensions(list), provider);
    return {
      state: holdState(made.newState), message: b64(mls.encodeMlsMessage(made.commit)),
      welcome: welcomeBytes(made.welcome), tree: b64(encodeRatchetTree(made.newState.ratchetTree)),
    };
  },

  /** Not ts-mls where `bare` is false: it writes external_pub without the length of its vector. */
  async group_info({ state, bare = true }) {
    const now = get(state).mls;
    const cs = await suiteOf(now);
    let groupInfo;
    if (bare) {
      groupInfo = await mls.createGroupInfoWithExternalPubAndRatchetTree(now, [], cs);
    } else {
      const { publicKey } = await cs.hpke.deriveKeyPair(now.keySchedule.externalSecret);
      const key = new Uint8Array(vector(await cs.hpke.exportPublicKey(publicKey)));
      const more = [{ extensionType: "external_pub", extensionData: key }];
      const { groupContext, confirmationTag, ratchetTree } = now;
      groupInfo = await createGroupInfoWithRatchetTree(groupContext, confirmationTag, now, ratchetTree, more, cs);
    }
    return { message: b64(mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_group_info", groupInfo })) };
  },

  async external_join({ keys, group_info, resync = false }) {
    const { publicPackage, privatePackage } = get(keys);
    const cs = await suite(mls.ciphersuites[publicPackage.cipherSuite]);
    const { groupInfo } = decoded(mls.decodeMlsMessage, group_info);
    const made = await mls.joinGroupExternal(groupInfo, publicPackage, privatePackage, resync, cs, undefined, config);
    const message = { version: "mls10", wireformat: "mls_public_message", publicMessage: made.publicMessage };
    return { state: holdState(made.newState), message: b64(mls.encodeMlsMessage(message)) };
  },

  async propose_own_add({ keys, group_info }) {
    const { publicPackage, privatePackage } = get(keys);
    const cs = await suite(mls.ciphersuites[publicPackage.cipherSuite]);
    const { groupInfo } = decoded(mls.decodeMlsMessage, group_info);
    const message = await mls.proposeAddExternal(groupInfo, publicPackage, privatePackage, cs);
    return { message: b64(mls.encodeMlsMessage(message)) };
  },

  /** For attacks: what a member signs who keeps to no rule. Of a state, or of a key package's owner. */
  async sign({ state, keys, label, content }) {
    const { signaturePrivateKey } = state === undefined ? get(keys).privatePackage : get(state).mls;
    const cs = await (state === undefined
      ? suite(mls.ciphersuites[get(keys).publicPackage.cipherSuite])
      : suiteOf(get(state).mls));
    return { signature: b64(await signWithLabel(signaturePrivateKey, label, bytes(content), cs.signature)) };
  },

  async reload({ state }) {
    const { mls: now, updates } = get(state);
    const stored = mls.encodeGroupState(now);
    return { state: holdState({ ...mls.decodeGroupState(stored, 0)[0], clientConfig: config }, updates) };
  },
};

await serve({ ...operations, ...delivery });
