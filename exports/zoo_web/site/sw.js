// Keeps the page for use without a network. Files with a digest in their address are served from the cache; the others, a
// few small files, are fetched from the server if it is reachable.

const DIGEST = new URL(self.location).searchParams.get("v");
const ROOT = new URL("./", self.location);
const PREFIX = `zoo ${ROOT.pathname} `; // other bundles of this server have their own caches
const CACHE = PREFIX + DIGEST;
const PATIENCE_MS = 5000;

self.addEventListener("install", (event) => event.waitUntil(fill().then(() => self.skipWaiting())));

self.addEventListener("activate", (event) => event.waitUntil(forget().then(() => self.clients.claim())));

self.addEventListener("fetch", (event) => {
  const address = new URL(event.request.url);
  if (event.request.method === "GET" && address.href.startsWith(ROOT.href)) event.respondWith(answer(event.request));
});

/** A copy of `isServed` in `page/bundle.js`, because not every browser can import modules in a service worker. */
function isServed(spec, name) {
  const folders = ["page/", "onnxruntime-web/", "golden/"];
  return name === spec.model || name === "index.html" || folders.some((folder) => name.startsWith(folder));
}

function addressOf(spec, name) {
  const path = name.split("/").map(encodeURIComponent).join("/");
  return new URL(`${path}?v=${spec.files[name].sha256.slice(0, 16)}`, ROOT);
}

/** Whether browsers request a file by its name alone, without its digest. */
function isCode(name) {
  return name === "index.html" || name.startsWith("page/") || name.endsWith(".js");
}

async function fill() {
  const response = await fetch(new URL("spec.json", ROOT), { cache: "no-store" });
  const spec = await response.clone().json();
  if (spec.digest !== DIGEST) throw new Error("The bundle was replaced in the meantime.");
  const cache = await caches.open(CACHE);
  await cache.put(new URL("spec.json", ROOT), response);
  for (const name of Object.keys(spec.files).filter((file) => isServed(spec, file))) {
    const found = await fetch(addressOf(spec, name));
    if (!found.ok) throw new Error(`${name}: ${found.status}`);
    if (isCode(name)) await cache.put(new URL(name, ROOT), found.clone());
    await cache.put(addressOf(spec, name), found);
  }
  await cache.put(ROOT, await cache.match(new URL("index.html", ROOT)));
}

async function forget() {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
}

async function answer(request) {
  const isExact = new URL(request.url).searchParams.has("v");
  const kept = await caches.match(request, { cacheName: CACHE });
  if (isExact && kept) return kept;
  if (!kept) return fetch(request);
  return Promise.race([fetch(request), late()]).catch(() => kept);
}

function late() {
  return new Promise((_, reject) => setTimeout(reject, PATIENCE_MS));
}
