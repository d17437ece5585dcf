"""An import in a browser: a file is uploaded, its columns are mapped, and exactly its tasks are shown."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from browser.conftest import Open, serious_violations
from browser.test_pages_in_chromium import PHONE, overflow_px

ROWS = """question,antwort,when
How do I import a file?,Drop it,2026-03-01T10:00:00Z
Why was this row rejected?,Its time,yesterday
"""


def test_file_is_mapped_checked_imported_and_shown(open_page: Open, tmp_path: Path) -> None:
    file = tmp_path / "chats.csv"
    file.write_text(ROWS, "utf-8")
    page = open_page("/import")

    page.get_by_label("Choose a file").set_input_files(str(file))
    page.get_by_role("button", name="Upload and preview").click()
    expect(page.get_by_role("heading", name="Ready to import")).to_be_visible()
    expect(page.get_by_text("'yesterday' is neither Unix seconds")).to_be_visible()
    assert serious_violations(page, "import") == []
    page.set_viewport_size(PHONE)
    assert overflow_px(page) <= 0

    page.get_by_label("antwort").select_option("Output")
    page.get_by_role("button", name="Import 1 task").click()
    page.get_by_role("link", name="Show these tasks").click()

    expect(page.get_by_text("How do I import a file?")).to_be_visible()
    expect(page.get_by_text("Drop it")).to_be_visible()
    assert page.locator("tbody tr").count() == 1
