// The editor of the SQL page: Ctrl+Enter runs the query, Tab indents, a click on a column inserts its name.

const INDENT = "  ";

/** Enable the editors below `root`: each textarea[data-sql-editor], and the buttons of the columns beside it. */
export function enableEditors(root) {
  for (const editor of root.querySelectorAll("textarea[data-sql-editor]")) {
    let isLeaving = false;
    editor.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        editor.form.requestSubmit();
      } else if (event.key === "Tab" && !event.shiftKey && !isLeaving) {
        event.preventDefault();
        insert(editor, INDENT);
      }
      // After Escape, Tab leads to the next field, as it does elsewhere: nobody without a mouse is caught.
      isLeaving = event.key === "Escape";
    });
    editor.addEventListener("focus", () => { isLeaving = false; });
    for (const button of root.querySelectorAll("button[data-insert]")) {
      button.disabled = false;
      button.addEventListener("click", () => insert(editor, button.dataset.insert));
    }
  }
}

/** Insert a text in place of the selection. The browser's own command keeps it in the undo history. */
function insert(editor, text) {
  editor.focus();
  if (!document.execCommand("insertText", false, text)) editor.setRangeText(text, editor.selectionStart, editor.selectionEnd, "end");
}
