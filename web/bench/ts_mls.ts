/** ts-mls: MLS in TypeScript on WebCrypto. */
import {
  acceptAll,
  type CiphersuiteImpl,
  type ClientState,
  type Credential,
  createCommit,
  createGroup,
  decodeMlsMessage,
  defaultCapabilities,
  defaultLifetime,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  type MLSMessage,
  mlsExporter,
  type Proposal,
  processMessage,
} from "ts-mls";
import { type Engine, EXPORT_BYTES, EXPORT_LABEL, EXPORTS, nameOf, PACKAGES, same } from "./scenario.js";

/** Suite 1, ready for use. */
export function createSuite(): Promise<CiphersuiteImpl> {
  return getCiphersuiteImpl(getCiphersuiteFromName("MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"));
}

export async function createTsMls(): Promise<Engine> {
  const suite = await createSuite();
  return {
    prepare: (members) => prepare(suite, members),
    makeKeyPackages: async () => {
      const key = await suite.signature.keygen();
      const signature = { signKey: key.signKey, publicKey: key.publicKey };
      const one = () =>
        generateKeyPackageWithKey(credential(0), defaultCapabilities(), defaultLifetime, [], signature, suite);
      const made = await Promise.all(Array.from({ length: PACKAGES }, one));
      for (const { publicPackage } of made) keyPackageMessage(publicPackage);
    },
  };
}

type Package = Awaited<ReturnType<typeof generateKeyPackage>>;

async function prepare(suite: CiphersuiteImpl, members: number) {
  const clients: Package[] = [];
  for (let member = 0; member < members; member += 1) clients.push(await keyPackage(suite, member));
  const published = clients.slice(1).map(({ publicPackage }) => keyPackageMessage(publicPackage));
  const [creator, joiner] = clients as [Package, Package];
  let ours!: ClientState;
  let theirs!: ClientState;
  let welcome!: Uint8Array;
  let message!: Uint8Array;

  async function commit(extraProposals: Proposal[]) {
    const result = await createCommit({ state: ours, cipherSuite: suite }, { extraProposals, ratchetTreeExtension: true });
    ours = result.newState;
    message = encodeMlsMessage(result.commit);
    return result;
  }

  return {
    add: async () => {
      ours = await createGroup(new TextEncoder().encode("bench"), creator.publicPackage, creator.privatePackage, [], suite);
      const proposals = published.map((encoded): Proposal => {
        const decoded = decode(encoded, "mls_key_package");
        return { proposalType: "add", add: { keyPackage: decoded.keyPackage } };
      });
      const result = await commit(proposals);
      if (result.welcome === undefined) throw new Error("expected a Welcome");
      welcome = encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome: result.welcome });
    },
    join: async () => {
      const decoded = decode(welcome, "mls_welcome");
      theirs = await joinGroup(decoded.welcome, joiner.publicPackage, joiner.privatePackage, emptyPskIndex, suite);
    },
    commit: async () => void (await commit([])),
    process: async () => {
      const decoded = decode(message, "mls_private_message");
      theirs = (await processMessage(decoded, theirs, emptyPskIndex, acceptAll, suite)).newState;
    },
    exports: async () => {
      for (let count = 0; count < EXPORTS; count += 1) await exportFrom(suite, ours, count);
    },
    remove: async () => void (await commit([{ proposalType: "remove", remove: { removed: members - 1 } }])),
    agreed: async () => same(await exportFrom(suite, ours, 0), await exportFrom(suite, theirs, 0)),
  };
}

function credential(member: number): Credential {
  return { credentialType: "basic", identity: new TextEncoder().encode(nameOf(member)) };
}

function keyPackage(suite: CiphersuiteImpl, member: number): Promise<Package> {
  return generateKeyPackage(credential(member), defaultCapabilities(), defaultLifetime, [], suite);
}

function keyPackageMessage(keyPackage: Package["publicPackage"]): Uint8Array {
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage });
}

function decode<W extends MLSMessage["wireformat"]>(encoded: Uint8Array, wireformat: W): Extract<MLSMessage, { wireformat: W }> {
  const decoded = decodeMlsMessage(encoded, 0)?.[0];
  if (decoded?.wireformat !== wireformat) throw new Error(`expected ${wireformat}, got ${decoded?.wireformat}`);
  return decoded as Extract<MLSMessage, { wireformat: W }>;
}

function exportFrom(suite: CiphersuiteImpl, { keySchedule }: ClientState, count: number): Promise<Uint8Array> {
  const context = new Uint8Array(4);
  new DataView(context.buffer).setUint32(0, count);
  return mlsExporter(keySchedule.exporterSecret, EXPORT_LABEL, context, EXPORT_BYTES, suite);
}
