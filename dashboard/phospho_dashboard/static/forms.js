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
  form.addEventListener("change", () => {
    if (isByKey) button.hidden = false;
    else form.requestSubmit();
  });
  form.addEventListener("submit", () => sessionStorage.setItem(FOCUS, document.activeElement.id));
}
