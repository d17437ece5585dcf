"""A real `phospho up` with made-up conversations in it, and Debian's Chromium in front of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import orjson
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, StorageState, sync_playwright

from browser.conversations import ATTACK, DEFINITIONS, attacks, conversations
from fixtures.shapes import API_KEY, OneProcess

ATTACKED = "attacked"
SCREENSHOTS = Path(__file__).parents[2] / "build/screenshots"
_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

DEAD_LETTER_ID = "letter-1"
_DEAD_LETTER = f"""
import base64, pathlib, sys, orjson
from phospho_store.migrations import migrate
from phospho_store.store import embedded
folder = pathlib.Path(sys.argv[1]); folder.mkdir(mode=0o700, parents=True)
store = embedded(str(folder / "clickhouse"))
list(migrate(store))
attack = {ATTACK!r}
row = dict(project_id={ATTACKED!r}, dead_letter_id={DEAD_LETTER_ID!r}, revision=1, stage=attack, reason=attack,
    detail=attack, headers=[], source_topic="phospho.raw-logs", source_partition=0, source_offset=7, key_base64="",
    payload_base64=base64.b64encode(attack.encode()).decode(), received_at="2026-01-01T10:00:00.000Z")
store.insert("dead_letter_rows", orjson.dumps(row))
store.close()
"""

Open = Callable[..., Page]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    """`phospho up` with five definitions, four weeks of conversations, and a project in which everything attacks."""
    folder = tmp_path_factory.mktemp("browser")
    _store_dead_letter(folder / "data")
    with OneProcess(folder) as shape:
        (folder / "definitions.yaml").write_text(DEFINITIONS)
        shape.phospho("definitions", "apply", str(folder / "definitions.yaml"))
        (folder / "logs.jsonl").write_bytes(b"".join(orjson.dumps(log) + b"\n" for log in conversations()))
        shape.phospho("import", str(folder / "logs.jsonl"))
        _attack(shape.base_url, (folder / "data/admin-token").read_text())
        _act(shape.base_url)
        yield shape


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """
    Debian's Chromium, without its window where that is installed: it takes less CPU time.

    It is not skipped where it is missing: `make system-packages` installs it. It ends with its package: as long as
    Playwright runs, its event loop does, and no test of asyncio can.
    """
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    assert path is not None, "chromium-headless-shell is not installed: make system-packages"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def admission(chromium: Browser, server: OneProcess) -> StorageState:
    """The cookies of a browser that has opened the printed address of the pages, without showing the page."""
    with chromium.new_context() as context:
        # As after the first page, which is opened again where the zone of the browser is not that of the server.
        context.add_cookies([{"name": "time_zone", "value": "Europe/Paris", "url": server.base_url}])
        assert context.request.get(server.pages_url).ok
        return context.storage_state()


@pytest.fixture
def open_page(chromium: Browser, server: OneProcess, admission: StorageState) -> Iterator[Open]:
    """Return a function that opens a path in a window of its own; what went wrong in any of them fails the test."""
    contexts, problems = [], []

    def open_path(path: str, *, scheme: str = "light", is_phone: bool = False, scripts: bool = True) -> Page:
        context = chromium.new_context(
            viewport={"width": 390, "height": 844} if is_phone else {"width": 1360, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            timezone_id="Europe/Paris",
            java_script_enabled=scripts,
            storage_state=admission,
            # A dot that pulses would have Chromium draw 60 frames a second, without a GPU.
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        page.on("console", lambda message: problems.extend(_errors(message)))
        page.goto(server.base_url + path)
        return page

    yield open_path
    for context in contexts:
        context.close()
    assert problems == []


def _errors(message: ConsoleMessage) -> list[str]:
    """Return what the console says that must not be; what a test asks for itself may."""
    asked_for = ("status of 4", "attacked = 3", "inline script", "DISCONNECTED")
    is_asked_for = any(text in message.text for text in asked_for)
    return [f"{message.location}: {message.text}"] if message.type == "error" and not is_asked_for else []


def serious_violations(page: Page, name: str, **options: object) -> list[tuple[object, ...]]:
    """Return what axe finds on an open page: its name, the rule, and where."""
    violations = Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]
    return [
        (name, violation["id"], violation["help"], [node["target"] for node in violation["nodes"]][:3])
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ]


def log(server: OneProcess, **task: object) -> None:
    """Log one task to the project of the tests, stored when this returns."""
    httpx.post(f"{server.base_url}/api/v1/events", json=task, headers=_bearer(API_KEY)).raise_for_status()


def _attack(base_url: str, admin_token: str) -> None:
    """Fill the project ATTACKED: a definition, and a task that has the event, all named after the attack."""
    admin = _bearer(admin_token) | {"X-Phospho-Project": ATTACKED}
    definition = {"name": ATTACK, "description": ATTACK, "engine": "keyword", "scope": "input", "keywords": ["script"]}
    with httpx.Client(base_url=f"{base_url}/api/v1", headers=admin) as api:
        api.post("/projects", json={"project_id": ATTACKED, "name": ATTACK}).raise_for_status()
        api.post("/definitions", json={"definitions": [definition]}).raise_for_status()
        key = api.post("/keys", json={"name": ATTACK}).raise_for_status().json()["api_key"]
        api.post("/people", json={"name": "".join(ATTACK.split()), "role": "viewer"}).raise_for_status()
    with httpx.Client(base_url=f"{base_url}/api/v1", headers=_bearer(key)) as api:
        for task in attacks():
            api.post("/events", json=task).raise_for_status()
        item = quote(ATTACK, safe="")
        api.post(f"/events/{item}/feedback", json={"flag": "failure", "comment": ATTACK}).raise_for_status()
        api.post(f"/tasks/{item}/notes", json={"text": ATTACK}).raise_for_status()
        changed = definition | {"description": ATTACK[::-1]}
        api.post("/definitions", json={"definitions": [changed]}).raise_for_status()


def _store_dead_letter(data_folder: Path) -> None:
    """
    Store a dead letter of the project ATTACKED before the server starts: its own gateway lets nothing through that
    would become one. In another process, since the engine takes one folder a process.
    """
    subprocess.run([sys.executable, "-c", _DEAD_LETTER, str(data_folder)], check=True, timeout=120)


def _act(base_url: str) -> None:
    """Label some tasks, and add a webhook to which nothing may go: an address of this machine."""
    with httpx.Client(base_url=f"{base_url}/api/v1", headers=_bearer(API_KEY)) as api:
        query = {"event": "booked", "period": "all", "limit": "9"}
        tasks = api.get("/tasks", params=query).raise_for_status().json()["tasks"]
        answers = [(task["task_id"], "rejected" if place % 4 == 0 else "confirmed") for place, task in enumerate(tasks)]
        labels = [{"event": "booked", "task_id": task_id, "label": label} for task_id, label in answers]
        api.post("/labels", json={"labels": labels}).raise_for_status()
        api.post("/webhooks", json={"url": "https://hooks.example/refunds", "events": ["refund"]}).raise_for_status()


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}
