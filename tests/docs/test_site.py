"""The docs site: built with --strict, so that a dead link, a missing anchor or a page outside the navigation fails."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    config = TOP / "deploy" / "docs" / "mkdocs.yml"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_site_has_a_page_for_each_document(site: Path) -> None:
    pages = {path.stem for path in site.glob("*.html")}

    assert {path.stem for path in TOP.glob("docs/*.md")} <= pages
    assert {"index", "python", "javascript", "security", "architecture", "contributing", "changelog"} <= pages


def test_links_stay_on_the_site(site: Path) -> None:
    for page in site.glob("[a-z]*.html"):
        targets = re.findall(r'href="([^"#:]+)(?:#[^"]*)?"', page.read_text())
        assert [target for target in targets if not (site / target).exists()] == [], page.name


def test_search_finds_each_setting_and_command(site: Path) -> None:
    texts = " ".join(doc["text"] for doc in json.loads((site / "search" / "search_index.json").read_text())["docs"])

    for name in ("PHOSPHO_KAFKA_TOPIC_PREFIX", "phospho backfill", "dead letters", "POST /api/v1/sql"):
        assert name in texts


def test_pages_ask_no_other_server(site: Path) -> None:
    for page in site.glob("*.html"):
        assert re.findall(r'(?:src|<link[^>]*href)="(https?:[^"]*)"', page.read_text()) == [], page.name
