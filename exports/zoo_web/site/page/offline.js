// Lets the browser keep the page, so that it opens without a network.

import { $ } from "./elements.js";

/** Service workers are available only for https and localhost. Otherwise, the page always needs its server. */
export async function keepOffline(spec) {
  if (!("serviceWorker" in navigator)) return;
  try {
    const root = new URL("..", import.meta.url);
    // Another bundle has another address, so that the browser downloads everything again.
    const registration = await navigator.serviceWorker.register(new URL(`sw.js?v=${spec.digest}`, root));
    await settled(registration);
    $("offline").textContent = "This page now works offline.";
    document.body.dataset.offline = "ready";
  } catch {
    $("offline").textContent = ""; // no space, or not allowed: the page works online
  }
}

function settled(registration) {
  const worker = registration.installing ?? registration.waiting ?? registration.active;
  return new Promise((resolve, reject) => {
    const look = () => {
      if (worker.state === "activated") resolve();
      if (worker.state === "redundant") reject(new Error("The service worker could not be installed."));
    };
    worker.addEventListener("statechange", look);
    look();
  });
}
