/** core-crypto: OpenMLS in WebAssembly, with its database in memory. It starts in a page only, not in a worker. */
import {
  CipherSuite,
  ClientId,
  type CommitBundle,
  ConversationId,
  CoreCrypto,
  Credential,
  type CredentialRef,
  Database,
  DeviceId,
  initWasmModule,
  KeyPackage,
  Uuid,
  Welcome,
} from "@wireapp/core-crypto/browser";
import { type Engine, EXPORT_BYTES, EXPORTS, PACKAGES, same } from "./scenario.js";

const SUITE = CipherSuite.Mls128Dhkemx25519Aes128gcmSha256Ed25519;
const DEVICE = 1n;

/** One client: its instance, its credential, and what its last commit gave to the transport. */
interface Client {
  readonly core: CoreCrypto;
  readonly id: ClientId;
  readonly credential: CredentialRef;
  readonly sent: { bundle?: CommitBundle };
}

export async function createCoreCrypto(): Promise<Engine> {
  await initWasmModule(new URL("core-crypto.wasm", import.meta.url).href);
  const one = await createClient(0);
  return {
    prepare,
    makeKeyPackages: async () => {
      await one.core.transaction(async (context) => {
        for (let count = 0; count < PACKAGES; count += 1) (await context.generateKeyPackage(one.credential)).serialize();
      });
    },
  };
}

/** A client with a credential of its own. */
async function createClient(member: number): Promise<Client> {
  const core = CoreCrypto.new(await Database.inMemory());
  const uuid = `00000000-0000-4000-8000-${member.toString(16).padStart(12, "0")}`;
  const id = new ClientId(new Uuid(uuid), new DeviceId(DEVICE), "bench.example");
  const sent: Client["sent"] = {};
  const transport = {
    sendCommitBundle: async (bundle: CommitBundle) => void (sent.bundle = bundle),
    prepareForTransport: async () => new Uint8Array(),
  };
  const credential = await core.transaction(async (context) => {
    await context.mlsInit(id, transport);
    return context.addCredential(Credential.basic(SUITE, id));
  });
  return { core, id, credential, sent };
}

async function prepare(members: number) {
  const clients: Client[] = [];
  const published: Uint8Array[] = [];
  for (let member = 0; member < members; member += 1) {
    const client = await createClient(member);
    clients.push(client);
    if (member === 0) continue;
    const made = await client.core.transaction((context) => context.generateKeyPackage(client.credential));
    published.push(made.serialize());
  }
  const [creator, joiner] = clients as [Client, Client];
  const last = clients[members - 1] as Client;
  const conversation = new ConversationId(new TextEncoder().encode("bench"));
  let welcome!: Uint8Array;
  let message!: Uint8Array;

  function sent(): CommitBundle {
    const { bundle } = creator.sent;
    if (bundle === undefined) throw new Error("expected a commit");
    return bundle;
  }

  return {
    add: async () => {
      await creator.core.transaction(async (context) => {
        await context.createConversation(conversation, creator.credential);
        await context.addClientsToConversation(
          conversation,
          published.map((encoded) => new KeyPackage(encoded)),
        );
      });
      const bundle = sent().welcome;
      if (bundle === undefined) throw new Error("expected a Welcome");
      welcome = bundle.serialize();
    },
    join: async () => {
      await joiner.core.transaction((context) => context.processWelcomeMessage(new Welcome(welcome)));
    },
    commit: async () => {
      await creator.core.transaction((context) => context.updateKeyingMaterial(conversation));
      message = sent().commit;
    },
    process: async () => {
      await joiner.core.transaction((context) => context.decryptMessage(conversation, message));
    },
    exports: async () => {
      for (let count = 0; count < EXPORTS; count += 1) await creator.core.exportSecretKey(conversation, EXPORT_BYTES);
    },
    remove: async () => {
      await creator.core.transaction((context) => context.removeClientsFromConversation(conversation, [last.id]));
    },
    agreed: async () => {
      const [ours, theirs] = await Promise.all(
        [creator, joiner].map(async ({ core }) => (await core.exportSecretKey(conversation, EXPORT_BYTES)).copyBytes()),
      );
      return ours !== undefined && theirs !== undefined && same(ours, theirs);
    },
  };
}
