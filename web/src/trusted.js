// Trusted: the one place where text becomes what a browser would run or parse as markup.
// Spec: W3C Trusted Types; the page's Content-Security-Policy names this policy alone.
// Invariants: what is parsed is parsed as XML, and its document is never shown; the only script is the service worker.
// Not here: showing text (`ui/dom`), which goes through text nodes.

const policy = globalThis.trustedTypes?.createPolicy("switchboard", {
  createHTML: (text) => text,
  createScriptURL: (url) => {
    if (url !== "/sw.js") throw new TypeError(`no script is at ${url}`);
    return url;
  },
});

/** For `DOMParser` with `application/xml`, and for nothing else. */
export const trustedXml = (text) => (policy ? policy.createHTML(text) : text);

/** The address of the service worker. */
export const workerAddress = () => (policy ? policy.createScriptURL("/sw.js") : "/sw.js");
