// Octets: bytes, text and base64, and the two hash functions that log-in needs.
// Spec: RFC 4648 4; WebCrypto.

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const utf8 = (text) => encoder.encode(text);
export const text = (bytes) => decoder.decode(bytes);

export function base64(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export function unbase64(string) {
  return Uint8Array.from(atob(string.trim()), (c) => c.charCodeAt(0));
}

export const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** HMAC with `hash` ("SHA-1" or "SHA-256"). */
export async function hmac(hash, key, data) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, data));
}

export const digest = async (hash, data) => new Uint8Array(await crypto.subtle.digest(hash, data));

/** A random word for ids and nonces: 128 bits in base64url. */
export function randomWord() {
  return base64(crypto.getRandomValues(new Uint8Array(16))).replace(/[+/=]/g, (c) => ({ "+": "-", "/": "_", "=": "" })[c]);
}

/** Whether two octet strings are the same. */
export const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);
