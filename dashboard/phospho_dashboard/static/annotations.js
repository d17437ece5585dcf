// Annotating tasks without a reload, and from the keyboard. Without this the same forms work, each with a reload.

/** Send each form[data-annotation-form] in the background, and put the new findings of its task in the place of the old. */
export function annotateInPlace(root) {
  root.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-annotation-form]")) return;
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    const focus = focusAfter(form);
    setBusy(form, true);
    try {
      const response = await fetch(form.action, { method: "POST", body: fields });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (response.ok) {
        replaceFindings(form, page, focus);
        offerUndo(form.action, fields);
      }
      else showError(form, page.querySelector("h1")?.textContent ?? `Saving failed: HTTP ${response.status}.`);
    } catch {
      showError(form, "The server does not answer. Try again.");
    } finally {
      setBusy(form, false);
    }
  });
}

/** Let Ctrl+Enter, or Cmd+Enter, send the form[data-annotation-form] in whose text it is pressed. */
export function submitByKey(root) {
  root.addEventListener("keydown", (event) => {
    const isSending = event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing;
    const form = isSending && event.target.matches("textarea") && event.target.closest("form[data-annotation-form]");
    if (!form || form.querySelector("button:disabled")) return;
    event.preventDefault();
    form.requestSubmit();
  });
}

/** Let keys act on the task that has the focus. A dialog lists them, and switches them off. */
export function enableShortcuts(root) {
  const dialog = root.getElementById("shortcuts");
  if (!dialog) return;
  const opener = root.querySelector("[data-shortcuts]");
  const choice = dialog.querySelector("[name=keys]");
  choice.checked = localStorage.getItem("keys") !== "off";
  choice.addEventListener("change", () => localStorage.setItem("keys", choice.checked ? "on" : "off"));
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
  root.addEventListener("keydown", (event) => {
    if (!choice.checked || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const action = event.key === "?" ? () => dialog.showModal() : dialog.open ? null : KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action(root);
  });
}

const KEYS = {
  j: (root) => move(root, 1),
  k: (root) => move(root, -1),
  e: (root) => nextEvent(task(root)),
  c: (root) => press(root, eventOf(root), "c"),
  x: (root) => press(root, eventOf(root), "x"),
  u: (root) => press(root, eventOf(root), "u"),
  s: (root) => press(root, task(root), "s"),
  f: (root) => press(root, task(root), "f"),
  a: (root) => task(root)?.querySelector('[data-key="a"]')?.focus(),
  n: (root) => openNote(task(root)),
};

function isTyping(element) {
  return element.matches("textarea, select, input:not([type=checkbox], [type=radio])") || element.isContentEditable;
}

function tasks(root) {
  return [...root.querySelectorAll("[data-task]")];
}

/** The task that has the focus, or else the first one in sight. */
function task(root) {
  return focusedTask(root) ?? tasks(root).find(isInSight);
}

function focusedTask(root) {
  return root.activeElement?.closest("[data-task]");
}

function isInSight(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

function move(root, step) {
  const all = tasks(root);
  const at = all.indexOf(focusedTask(root));
  focusOn(all[at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)], "start");
}

function focusOn(element, block) {
  if (!element) return;
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
  element.scrollIntoView({ block });
}

function nextEvent(ofTask) {
  const all = [...(ofTask?.querySelectorAll("[data-event]") ?? [])];
  focusOn(all[(all.indexOf(document.activeElement?.closest("[data-event]")) + 1) % all.length], "nearest");
}

function eventOf(root) {
  return root.activeElement?.closest("[data-event]") ?? task(root)?.querySelector("[data-event]");
}

/** Press a button of `target` where it is in sight; else show it, and the next press acts. */
function press(root, target, key) {
  if (!target) return;
  if (target.closest("[data-task]") !== focusedTask(root) || !isInSight(target)) return focusOn(target, "nearest");
  target.querySelector(`button[data-key="${key}"]`)?.click();
}

function openNote(ofTask) {
  const details = ofTask?.querySelector('[data-key="n"]')?.closest("details");
  if (!details) return;
  details.open = true;
  details.querySelector("textarea").focus();
}

/** Return the place of the focus after the findings are replaced: the same event, or the task. */
function focusAfter(form) {
  return { event: form.closest("[data-event]")?.dataset.event, task: form.closest("[data-task]") };
}

function replaceFindings(form, page, focus) {
  const fresh = page.querySelector(`[data-task="${CSS.escape(focus.task.dataset.task)}"] .findings`);
  if (!fresh) return removeFromList(focus.task);
  const findings = document.importNode(fresh, true);
  form.closest(".findings").replaceWith(findings);
  const event = focus.event && findings.querySelector(`[data-event="${CSS.escape(focus.event)}"]`);
  const target = event || focus.task;
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
}

/** Remove a task that has left the list, and go on with the next one. */
function removeFromList(finished) {
  const all = tasks(document);
  const next = all[all.indexOf(finished) + 1] ?? all[all.indexOf(finished) - 1];
  if (!next) return location.reload();
  finished.remove();
  focusOn(next, "nearest");
}

/** Show the label that was set, with a button that takes it back. */
function offerUndo(action, fields) {
  const line = document.getElementById("undo");
  const label = fields.get("label");
  if (!line) return;
  line.hidden = !label;
  if (!label) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Undo";
  button.addEventListener("click", async () => {
    fields.set("label", "");
    await fetch(action, { method: "POST", body: fields });
    location.reload();
  });
  line.replaceChildren(`${fields.get("event")}: ${label} `, button);
}

function setBusy(form, isBusy) {
  for (const button of form.querySelectorAll("button")) button.disabled = isBusy;
}

function showError(form, text) {
  let line = form.querySelector("[role=alert]");
  if (!line) {
    line = document.createElement("p");
    line.className = "error";
    line.setAttribute("role", "alert");
    form.append(line);
  }
  line.textContent = text;
}
