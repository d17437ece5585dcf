/** Identifiers made on the client, so that a retry carries the id of the first attempt. */

/**
 * Return a UUID of version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits.
 *
 * Ids sort by the millisecond of their creation, which keeps the parts of the server's tables disjoint.
 */
export function newId(): string {
  const bytes = randomBytes(16);
  const milliseconds = Date.now();
  for (let index = 0; index < 6; index++) {
    bytes[index] = Math.floor(milliseconds / 256 ** (5 - index)) & 0xff;
  }
  bytes[6] = 0x70 | (byteAt(bytes, 6) & 0x0f);
  bytes[8] = 0x80 | (byteAt(bytes, 8) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  // Node 18 has it behind a flag only. Ids keep no secret: what matters is that they differ.
  if (typeof crypto === "undefined") {
    return bytes.map(() => Math.floor(Math.random() * 256));
  }
  return crypto.getRandomValues(bytes);
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}
