// Main: starts the page: language, theme, the tabs, the model, what is seen, the service worker.

import { Engine } from "./engine.js";
import { loadLanguage, t } from "./i18n.js";
import { Model } from "./model.js";
import { account, exchange, leaveSession } from "./place.js";
import { Tabs } from "./tabs.js";
import { workerAddress } from "./trusted.js";
import { App } from "./ui/app.js";
import { toast } from "./ui/dialog.js";
import { applyTheme } from "./ui/theme.js";
import { insecurePage } from "./ui/welcome.js";

applyTheme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
await loadLanguage();

if (window.isSecureContext) await start();
else document.getElementById("app").replaceChildren(insecurePage(exchange().https));
performance.mark("ready");

async function start() {
  const place = exchange();
  const tabs = new Tabs();
  const model = new Model(tabs, place.domain);
  const app = new App(model);
  let engine = null;
  await model.open(account());
  app.show();
  tabs.stand(async () => {
    engine = new Engine(place, (event) => tabs.tell(event.kind === "arrived" ? { ...event, quiet: engine.attended(event.peer) } : event));
    await engine.begin();
    return engine;
  });
  window.addEventListener("online", () => engine?.nudge());
  window.addEventListener("pagehide", () => leaveSession(engine?.leave()));
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && engine?.nudge());
  // A tab that does not lead asks the one that does; one that leads will hear itself.
  model.refresh().catch(console.error);
  work().catch(console.error);
}

/** The service worker keeps the shell, so that the page opens without the exchange. */
async function work() {
  if (!navigator.serviceWorker) return;
  navigator.serviceWorker.addEventListener("message", ({ data }) => {
    if (data?.open) location.hash = `#/c/${encodeURIComponent(data.open)}`;
  });
  const registration = await navigator.serviceWorker.register(workerAddress()).catch((error) => console.error("no service worker", error));
  registration?.addEventListener("updatefound", () => {
    const next = registration.installing;
    next?.addEventListener("statechange", () => {
      if (next.state === "installed" && navigator.serviceWorker.controller) {
        toast(t("toast.update"), { label: t("toast.reload"), run: () => location.reload() });
      }
    });
  });
}
