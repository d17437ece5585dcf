// Live pages: the page is fetched again, and its parts marked data-live become those of the new one.
// Nothing is fetched while the page is hidden or switched off, and less often from a slow server.
import { localTime } from "./times.js";

const SHORTEST_PAUSE_MS = 3000;
// Of a page that waits for the first task, whatever it costs: it reacts within a second.
const WAITING_PAUSE_MS = 500;
const PAUSE_OF_DURATION = 10;
const AFTER_FAILURE_MS = 15000;
const TIMEOUT_MS = 30000;

/** Keep the live parts of this page up to date; `onChanged` is called with each part that may have changed. */
export function startLive(onChanged) {
  const button = document.querySelector("[data-live-switch]");
  if (!button || !document.querySelector("[data-live]")) return;
  let timer = 0;
  let isOn = sessionStorage.getItem("live") !== "off";
  let asOf = new Date();

  const schedule = (pauseMs) => {
    clearTimeout(timer);
    if (isOn && !document.hidden) timer = setTimeout(refresh, pauseMs);
  };
  const pauseMs = (durationMs) => {
    if (document.querySelector("[data-waiting]")) return WAITING_PAUSE_MS;
    return Math.max(SHORTEST_PAUSE_MS, PAUSE_OF_DURATION * durationMs);
  };
  const refresh = async () => {
    const startedMs = performance.now();
    try {
      const fresh = await freshPage();
      if (fresh) bringUpToDate(fresh, onChanged);
      asOf = new Date();
      showStale(null);
      schedule(pauseMs(performance.now() - startedMs));
    } catch (error) {
      console.warn("this page could not be refreshed", error);
      if (isOn) showStale(error instanceof SignedOut ? "your sign-in has ended" : "the server does not answer", asOf);
      schedule(AFTER_FAILURE_MS);
    }
  };
  const show = () => button.setAttribute("aria-pressed", String(isOn));

  button.hidden = false;
  button.addEventListener("click", () => {
    isOn = !isOn;
    sessionStorage.setItem("live", isOn ? "on" : "off");
    show();
    schedule(0);
  });
  document.addEventListener("visibilitychange", () => schedule(0));
  show();
  schedule(pauseMs(0));
}

class SignedOut extends Error {}

let lastTag = "";

/** Return the page as it is now, null where it is what was read last. */
async function freshPage() {
  const headers = { Accept: "text/html", "If-None-Match": lastTag };
  const response = await fetch(location.href, { signal: AbortSignal.timeout(TIMEOUT_MS), headers, cache: "no-store" });
  if (response.status === 304) {
    lastTag = response.headers.get("ETag") ?? lastTag;
    return null;
  }
  // Without a sign-in the server redirects to its form, which is a page like any other.
  if (response.redirected) throw new SignedOut();
  if (!response.ok) throw new Error(`status ${response.status}`);
  lastTag = response.headers.get("ETag") ?? "";
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/** Say above the page that it is not up to date any more, and why; nothing where `reason` is null. */
function showStale(reason, asOf) {
  const content = document.getElementById("content");
  let line = content.querySelector(":scope > .stale");
  if (!reason) return line?.remove();
  if (!line) {
    line = document.createElement("p");
    line.className = "notice warn stale";
    line.setAttribute("role", "status");
    content.prepend(line);
  }
  const text = `Updates stopped: ${reason}. Shown as of ${localTime(asOf)}.`;
  if (line.textContent !== text) line.textContent = text;
}

function bringUpToDate(fresh, onChanged) {
  const shown = liveParts(document);
  const others = liveParts(fresh);
  if ([...shown.keys()].join() !== [...others.keys()].join()) return reopen();
  for (const [name, part] of shown) {
    merge(part, others.get(name));
    onChanged(part);
  }
}

function liveParts(root) {
  return new Map([...root.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]));
}

/** Open this page again, since it has other parts now: the first task has come. Not under somebody's typing. */
function reopen() {
  if (document.activeElement?.matches("input, select, textarea") || document.querySelector("dialog[open]")) return;
  // Not reload(), which would send a form a second time; and without #, to which a browser would only scroll.
  location.replace(location.pathname + location.search);
}

/** Make `shown` say what `fresh` says, element by element: what is open, drawn or has the focus stays so. */
function merge(shown, fresh) {
  if (shown.isEqualNode(fresh) || staysAsIs(shown)) return;
  if (shown.nodeName !== fresh.nodeName) return shown.replaceWith(document.importNode(fresh, true));
  if (shown.nodeType !== Node.ELEMENT_NODE) return void (shown.nodeValue = fresh.nodeValue);
  mergeAttributes(shown, fresh);
  const [mine, theirs] = [[...shown.childNodes], [...fresh.childNodes]];
  theirs.forEach((node, index) => (mine[index] ? merge(mine[index], node) : shown.append(document.importNode(node, true))));
  for (const node of mine.slice(theirs.length)) node.remove();
}

/** Copy the attributes, except `open`: the viewer opens and closes <details>. */
function mergeAttributes(shown, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (name !== "open" && shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  for (const { name } of [...shown.attributes]) {
    if (name !== "open" && !fresh.hasAttribute(name)) shown.removeAttribute(name);
  }
}

/** Tell whether a node stays as it is: a drawn chart, or a row or form that is in use. */
function staysAsIs(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return false;
  return node.matches(".plot") || (node.matches("li, tr, form") && node.contains(document.activeElement));
}
