// werift's SRTP on packets of a size: node bench_media.mjs NODE_MODULES PROFILE COUNT SIZE, milliseconds as JSON on stdout.

import { pathToFileURL } from "node:url";

const [, , modules, profile, count, size] = process.argv;
const { SrtpSession, RtpHeader, RtpPacket } = await import(pathToFileURL(`${modules}/werift/lib/index.mjs`).href);
const [keySize, saltSize] = Number(profile) === 1 ? [16, 14] : [16, 12];
const keys = {
  localMasterKey: Buffer.alloc(keySize, 1), localMasterSalt: Buffer.alloc(saltSize, 2),
  remoteMasterKey: Buffer.alloc(keySize, 1), remoteMasterSalt: Buffer.alloc(saltSize, 2),
};
const [sender, receiver] = [1, 2].map(() => new SrtpSession({ keys, profile: Number(profile) }));
const payload = Buffer.alloc(Number(size) - 12, 7);
const packets = Array.from({ length: Number(count) }, (_, sequenceNumber) => {
  const header = new RtpHeader({ payloadType: 96, sequenceNumber, timestamp: sequenceNumber, ssrc: 0x1234, marker: false });
  return new RtpPacket(header, payload);
});
const timed = (work) => {
  const begin = performance.now();
  const made = packets.map(work);
  return [performance.now() - begin, made];
};
const [protect, sealed] = timed(({ header, payload: body }) => sender.encrypt(body, header));
const [unprotect] = timed((_, at) => receiver.decrypt(sealed[at]));
process.stdout.write(JSON.stringify({ protect, unprotect }));
