// Forms that send themselves when a field changes, and leave what is empty out of the URL.

const FOCUS = "focus-after-submit";

/**
 * Make the forms below `root` do what their attributes say: data-submit-on-change, data-leave-out-empty.
 *
 * A change by mouse or touch is a choice. One by a key may be a step on the way to it: then the button is shown, and
 * Enter sends the form. On the next page the focus is where it was.
 */
export function submitOnChange(root) {
  for (const form of root.querySelectorAll("form[data-submit-on-change]")) submitsItself(form);
  for (const form of root.querySelectorAll("form[data-leave-out-empty]")) {
    form.addEventListener("formdata", ({ formData }) => {
      for (const [name, value] of [...formData]) {
        if (value === "") formData.delete(name);
      }
    });
  }
  const focused = sessionStorage.getItem(FOCUS);
  sessionStorage.removeItem(FOCUS);
  if (focused) root.getElementById(focused)?.focus({ preventScroll: true });
}

function submitsItself(form) {
  const button = form.querySelector("button[type=submit]");
  let isByKey = false;
  button.hidden = true;
  form.addEventListener("pointerdown", () => { isByKey = false; });
  form.addEventListener("keydown", (event) => {
    isByKey = true;
    if (event.key === "Enter" && event.target.matches("select")) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("change", (event) => {
    if (isCustomRange(form, event.target)) return;
    if (isByKey) button.hidden = false;
    else form.requestSubmit();
  });
  form.addEventListener("submit", () => sessionStorage.setItem(FOCUS, document.activeElement.id));
}

/** Show the fields of a custom range when it is chosen; a day that is picked is one. Tell whether there is more to fill in. */
function isCustomRange(form, changed) {
  const period = form.elements.namedItem("period");
  const ranges = form.querySelectorAll(".range");
  if (!period || !ranges.length) return false;
  if (changed.closest(".range")) period.value = "";
  for (const field of ranges) field.classList.toggle("on", period.value === "");
  if (changed !== period || period.value !== "") return false;
  form.querySelector("button[type=submit]").hidden = false;
  ranges[0].querySelector("input").focus();
  return true;
}

/** Let the button of each form[data-busy] say what goes on once it is pressed, and be pressed once. */
export function showBusy(root) {
  for (const form of root.querySelectorAll("form[data-busy]")) {
    form.addEventListener("submit", () => {
      const button = form.querySelector("button[type=submit]");
      button.textContent = form.dataset.busy;
      button.disabled = true;
    });
  }
}

const SEARCH_PAUSE_MS = 200;

/** Offer, below each input[data-values-of], the newest values that contain what is typed. */
export function offerValues(root) {
  for (const input of root.querySelectorAll("input[data-values-of]")) {
    let timer = 0;
    const search = async () => {
      const project = input.form.elements.namedItem("project").value;
      const query = new URLSearchParams({ project, filter: input.dataset.valuesOf, text: input.value });
      const response = await fetch(`/filter-values.json?${query}`).catch(() => null);
      if (!response?.ok) return;
      const { values } = await response.json();
      input.list.replaceChildren(...values.map((value) => Object.assign(document.createElement("option"), { value })));
    };
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(search, SEARCH_PAUSE_MS);
    };
    input.addEventListener("input", later);
    input.addEventListener("focus", later, { once: true });
  }
}
