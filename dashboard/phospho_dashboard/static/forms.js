// Forms that send themselves when a field changes.

/** Make each form[data-submit-on-change] below `root` do so, and hide the button that does it without scripts. */
export function submitOnChange(root) {
  for (const form of root.querySelectorAll("form[data-submit-on-change]")) {
    form.addEventListener("change", () => form.requestSubmit());
    const button = form.querySelector("button[type=submit]");
    if (button) button.hidden = true;
  }
}
