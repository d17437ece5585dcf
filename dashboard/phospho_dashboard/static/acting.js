// Acting on tasks without a reload, and from the keyboard. Without this the same forms work, each with a reload.

/** Send each form[data-act] in the background, and put the new findings of its task in the place of the old. */
export function actInPlace(root) {
  root.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-act]")) return;
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    const focus = focusIn(form);
    setBusy(form, true);
    try {
      const answer = await fetch(form.action, { method: "POST", body: fields });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.ok) replaceFindings(form, page, focus);
      else say(form, page.querySelector("h1")?.textContent ?? `It did not work: HTTP ${answer.status}.`);
    } catch {
      say(form, "The server does not answer. Try again.");
    } finally {
      setBusy(form, false);
    }
  });
}

/** Let keys act on the task that has the focus, or on the first one. */
export function shortcuts(root) {
  const dialog = root.getElementById("shortcuts");
  if (!dialog) return;
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const act = event.key === "?" ? () => dialog.showModal() : dialog.open ? null : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act(root);
  });
}

const KEYS = {
  j: (root) => move(root, 1),
  k: (root) => move(root, -1),
  e: (root) => nextEvent(task(root)),
  c: (root) => press(eventOf(root), "c"),
  x: (root) => press(eventOf(root), "x"),
  u: (root) => press(eventOf(root), "u"),
  s: (root) => press(task(root), "s"),
  f: (root) => press(task(root), "f"),
  a: (root) => task(root)?.querySelector('[data-key="a"]')?.focus(),
  n: (root) => openNote(task(root)),
};

function isTyping(element) {
  return element.matches("textarea, select, input:not([type=checkbox], [type=radio])") || element.isContentEditable;
}

function tasks(root) {
  return [...root.querySelectorAll("[data-task]")];
}

function task(root) {
  return root.activeElement?.closest("[data-task]") ?? tasks(root)[0];
}

function move(root, step) {
  const all = tasks(root);
  const at = all.indexOf(root.activeElement?.closest("[data-task]"));
  const next = all[at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)];
  if (!next) return;
  next.tabIndex = -1;
  next.focus();
  next.scrollIntoView({ block: "start" });
}

function nextEvent(ofTask) {
  const all = [...(ofTask?.querySelectorAll("[data-event]") ?? [])];
  const next = all[(all.indexOf(document.activeElement?.closest("[data-event]")) + 1) % all.length];
  if (!next) return;
  next.tabIndex = -1;
  next.focus();
}

function eventOf(root) {
  return root.activeElement?.closest("[data-event]") ?? task(root)?.querySelector("[data-event]");
}

function press(within, key) {
  within?.querySelector(`button[data-key="${key}"]`)?.click();
}

function openNote(ofTask) {
  const details = ofTask?.querySelector('[data-key="n"]')?.closest("details");
  if (!details) return;
  details.open = true;
  details.querySelector("textarea").focus();
}

/** Where the focus is to be when the findings have been replaced: on the same event, or on the task. */
function focusIn(form) {
  return { event: form.closest("[data-event]")?.dataset.event, task: form.closest("[data-task]") };
}

function replaceFindings(form, page, focus) {
  const selector = `[data-task="${CSS.escape(focus.task.dataset.task)}"] .findings`;
  const fresh = page.querySelector(selector);
  if (!fresh) return location.reload();
  const put = document.importNode(fresh, true);
  form.closest(".findings").replaceWith(put);
  put.dispatchEvent(new CustomEvent("findings", { bubbles: true }));
  const event = focus.event && put.querySelector(`[data-event="${CSS.escape(focus.event)}"]`);
  const target = event || focus.task;
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
}

function setBusy(form, isBusy) {
  for (const button of form.querySelectorAll("button")) button.disabled = isBusy;
}

function say(form, text) {
  let line = form.querySelector("[role=alert]");
  if (!line) {
    line = document.createElement("p");
    line.className = "error";
    line.setAttribute("role", "alert");
    form.append(line);
  }
  line.textContent = text;
}
