// Loads the served bundle: `spec.json`, and all other files by their digest, so that no older version is used.

const ROOT = new URL("..", import.meta.url);

/** @returns {Promise<object>} `spec.json`, never from the browser's own cache. */
export async function readSpec() {
  return (await load(new URL("spec.json", ROOT), { cache: "no-store" })).json();
}

/**
 * @param {object} spec
 * @param {string} name of a file in `spec.json`
 * @param {(bytes: number) => void} [progress] receives the number of further bytes that were loaded
 * @returns {Promise<ArrayBuffer>}
 */
export async function readFile(spec, name, progress) {
  const made = spec.files[name];
  if (!made) throw new Error(`spec.json does not name ${name}.`);
  const response = await load(addressOf(spec, name));
  if (!progress || !response.body) {
    const content = await response.arrayBuffer();
    progress?.(content.byteLength);
    return content;
  }
  const parts = [];
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    progress(part.value.length);
  }
  return new Blob(parts).arrayBuffer();
}

/** The address of a file. It changes with the content of the file. */
export function addressOf(spec, name) {
  const path = name.split("/").map(encodeURIComponent).join("/");
  return new URL(`${path}?v=${spec.files[name].sha256.slice(0, 16)}`, ROOT);
}

/** Whether the page needs a file of the bundle. The other files are for people, and do not have to be served. */
export function isServed(spec, name) {
  const folders = ["page/", "onnxruntime-web/", "golden/"];
  return name === spec.model || name === "index.html" || folders.some((folder) => name.startsWith(folder));
}

/**
 * @returns {Promise<string>} what is wrong with a file, empty if nothing is; `null` if this cannot be checked, because
 *   browsers compute digests only for https and localhost.
 */
export async function problemOf(spec, name, content) {
  const made = spec.files[name];
  if (content.byteLength < made.bytes) return `${name} is truncated: ${content.byteLength} of ${made.bytes} bytes.`;
  if (!globalThis.crypto?.subtle) return content.byteLength === made.bytes ? null : `${name} has been altered.`;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex === made.sha256 ? "" : `${name} has been altered.`;
}

async function load(address, options) {
  const name = address.pathname.slice(ROOT.pathname.length);
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error(`${name} could not be loaded: no connection to the server.`);
  }
  if (!response.ok) throw new Error(`${name} could not be loaded: the server says ${response.status}.`);
  return response;
}
