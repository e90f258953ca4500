// Service worker: keeps the shell of the page, so that it opens without the exchange; shows notifications' way back.
// Owns: one cache a version. Invariants: only files of the page, never what anyone wrote; a new version comes whole.
// Filled in by the exchange: the version, and the files it is made of.

const VERSION = "{{version}}";
const FILES = "{{files}}".split(" ");
const CACHE = `switchboard-${VERSION}`;

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE);
      await cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  const path = url.pathname === "/index.html" ? "/" : url.pathname;
  if (!FILES.includes(path)) return;
  event.respondWith(
    (async () => {
      const cache = await caches.open(CACHE);
      return (await cache.match(path)) ?? fetch(event.request);
    })(),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const { peer } = event.notification.data ?? {};
  event.waitUntil(
    (async () => {
      const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
      if (windows.length === 0) return self.clients.openWindow(`/#/c/${encodeURIComponent(peer)}`);
      windows[0].postMessage({ open: peer });
      return windows[0].focus();
    })(),
  );
});
