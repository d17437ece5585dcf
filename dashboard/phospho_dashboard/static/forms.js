// Forms that send themselves when a field changes, and leave what is empty out of the URL.

/** Make the forms below `root` do what their attributes say: data-submit-on-change, data-leave-out-empty. */
export function submitOnChange(root) {
  for (const form of root.querySelectorAll("form[data-submit-on-change]")) {
    form.addEventListener("change", () => form.requestSubmit());
    const button = form.querySelector("button[type=submit]");
    if (button) button.hidden = true;
  }
  for (const form of root.querySelectorAll("form[data-leave-out-empty]")) {
    form.addEventListener("formdata", ({ formData }) => {
      for (const [name, value] of [...formData]) {
        if (value === "") formData.delete(name);
      }
    });
  }
}
