"""A hook of MkDocs: pages that lie outside `docs`, and links between files as links between pages."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

TOP = Path(__file__).parents[2]
# Files of the repository that are pages too, by the name of the page.
OUTSIDE = {
    "index.md": "README.md",
    "python.md": "producers/python/README.md",
    "javascript.md": "producers/javascript/README.md",
    "security.md": "SECURITY.md",
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages from outside `docs`."""
    for name, source in OUTSIDE.items():
        files.append(File.generated(config, name, abs_src_path=str(TOP / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links at pages. A link to a file that is no page becomes its text."""
    folder = (TOP / OUTSIDE.get(page.file.src_uri, f"docs/{page.file.src_uri}")).parent

    def rewritten(match: re.Match[str]) -> str:
        image, text, target, anchor = match.groups()
        if not target or "://" in target:
            return match[0]
        name = _page(folder / target)
        return f"{image}[{text}]({name}{anchor or ''})" if name else text

    return _LINK.sub(rewritten, markdown)


def _page(path: Path) -> str | None:
    """Return the name of the page or the picture that a path of the repository is, None if it is neither."""
    path = path.resolve()
    readme = path / "README.md" if path.is_dir() else path
    for name, source in OUTSIDE.items():
        if readme == TOP / source:
            return name
    return path.name if path.parent == TOP / "docs" and path.is_file() else None
