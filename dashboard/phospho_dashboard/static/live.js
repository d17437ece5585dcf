// Live pages: the page is fetched again, and its parts marked data-live take the place of those that are shown.
// Nothing is fetched while the page is hidden or switched off, and a server that is slow is asked more seldom.

const SHORTEST_PAUSE_MS = 3000;
const PAUSE_OF_DURATION = 10;
const AFTER_FAILURE_MS = 15000;
const TIMEOUT_MS = 30000;

/** Keep the live parts of this page up to date; `onReplaced` is called with each part that was replaced. */
export function startLive(onReplaced) {
  const button = document.querySelector("[data-live-switch]");
  if (!button || !document.querySelector("[data-live]")) return;
  let timer = 0;
  let isOn = sessionStorage.getItem("live") !== "off";

  const schedule = (pauseMs) => {
    clearTimeout(timer);
    if (isOn && !document.hidden) timer = setTimeout(refresh, pauseMs);
  };
  const refresh = async () => {
    const startedMs = performance.now();
    try {
      await replaceParts(onReplaced);
      schedule(Math.max(SHORTEST_PAUSE_MS, PAUSE_OF_DURATION * (performance.now() - startedMs)));
    } catch (error) {
      console.warn("this page could not be refreshed", error);
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
  schedule(SHORTEST_PAUSE_MS);
}

async function replaceParts(onReplaced) {
  const answer = await fetch(location.href, { signal: AbortSignal.timeout(TIMEOUT_MS), headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (other) replace(part, other, onReplaced);
  }
}

/** Give `part` the tables and texts of `other`, keeping what is open, what is drawn and where the focus is. */
function replace(part, other, onReplaced) {
  const source = other.innerHTML;
  if (part.liveSource === source || part.contains(document.activeElement)) return;
  part.liveSource = source;
  const open = [...part.querySelectorAll("details")].map((element) => element.open);
  const plots = [...part.querySelectorAll("figure[data-chart] .plot")];
  const next = document.importNode(other, true);
  next.querySelectorAll("details").forEach((element, index) => { element.open = open[index] ?? false; });
  // A drawn chart moves over: it takes the numbers of the new table, and does not flash.
  next.querySelectorAll("figure[data-chart] .plot").forEach((element, index) => plots[index] && element.replaceWith(plots[index]));
  part.replaceChildren(...next.childNodes);
  onReplaced(part);
}
