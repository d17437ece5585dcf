// Forms with a file: it may be dropped on them, and its upload shows how far it is.

/** Make the forms below `root` that are marked data-upload take dropped files, and show their progress. */
export function takeUploads(root) {
  for (const form of root.querySelectorAll("form[data-upload]")) takesUpload(form);
}

function takesUpload(form) {
  const input = form.querySelector("input[type=file]");
  const dragging = (is) => form.classList.toggle("dragging", is);
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    dragging(true);
  });
  form.addEventListener("dragleave", () => dragging(false));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    dragging(false);
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    form.elements.namedItem("modified_ms").value = input.files[0]?.lastModified ?? "";
    send(form);
  });
}

function send(form) {
  const [bar, button] = [form.querySelector("progress"), form.querySelector("button[type=submit]")];
  const request = new XMLHttpRequest();
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total;
  });
  request.addEventListener("load", () => {
    // A problem is a page at the form's own address, with the reason on it.
    if (request.status < 400) return void location.assign(request.responseURL);
    const answer = new DOMParser().parseFromString(request.responseText, "text/html");
    fail(answer.querySelector("[role=alert]")?.textContent ?? `The upload failed (status ${request.status}).`);
  });
  request.addEventListener("error", () => fail("The upload was interrupted. Try again."));
  const fail = (text) => {
    [bar.hidden, button.disabled] = [true, false];
    let line = form.parentElement.querySelector(":scope > [role=alert]");
    if (!line) {
      line = document.createElement("p");
      line.className = "notice bad";
      line.setAttribute("role", "alert");
      form.before(line);
    }
    line.textContent = text;
  };
  [bar.hidden, button.disabled] = [false, true];
  request.open("POST", form.action);
  request.send(new FormData(form));
}
