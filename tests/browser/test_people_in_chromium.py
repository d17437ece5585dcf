"""People in a browser: sign in, define an event and see it found, act on tasks with and without a mouse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from browser.conftest import SCREENSHOTS, Open, log, serious_violations
from fixtures.phospho_process import PhosphoProcess
from fixtures.server_process import free_port
from fixtures.shapes import API_KEY, OneProcess

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhosphoProcess]:
    """`phospho up` at its very first start, on which people have to sign in."""
    folder, port = tmp_path_factory.mktemp("door"), free_port()
    arguments = ["up", "--data", str(folder / "data"), "--port", str(port), "--clickhouse-port", "0", "--sign-in"]
    environment = {"PHOSPHO_PROJECT_ID": "shop", "PHOSPHO_API_KEY": API_KEY}
    with PhosphoProcess(arguments, folder / "up.log", f"http://127.0.0.1:{port}/readyz", environment) as process:
        process.wait_until_ready()
        yield process


@pytest.fixture
def visit(chromium: Browser, door: PhosphoProcess) -> Iterator[Callable[[str], Page]]:
    """Return a function that opens a path of the server on which people sign in, in a browser of its own."""
    contexts = []
    base_url = door_url(door.log_path)

    def open_path(path: str) -> Page:
        contexts.append(
            chromium.new_context(base_url=base_url, viewport={"width": 1360, "height": 900}, reduced_motion="reduce")
        )
        page = contexts[-1].new_page()
        page.set_default_timeout(45_000)
        page.goto(path)
        return page

    yield open_path
    for context in contexts:
        context.close()


def door_url(log_path: Path) -> str:
    found = re.search(r"Pages\s+(\S+)", log_path.read_text())
    assert found is not None
    return found[1]


def keep(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def test_from_the_first_start_to_the_first_seen_log(visit: Callable[[str], Page], door: PhosphoProcess) -> None:
    """The code of the terminal makes the first admin; what they then log is on the page."""
    code = re.search(r"with the code (\S+)", door.log_path.read_text())
    assert code is not None
    page = visit("/sessions?project=shop")

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    keep(page, "sign-in-desktop-light")
    page.get_by_role("link", name="Create the first administrator").click()
    page.get_by_label("Setup code").fill(code[1])
    page.get_by_label("Name").fill("Ada@shop.example")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Create administrator").click()
    # The browser itself keeps a password back that is too short.
    expect(page).to_have_url(re.compile("/setup$"))
    page.get_by_label("Password").fill(PASSWORD)
    keep(page, "setup-desktop-light")
    page.get_by_role("button", name="Create administrator").click()

    expect(page.get_by_text("ada@shop.example")).to_be_visible()
    page.goto("/sessions?project=shop")
    expect(page.get_by_text("Waiting for the first task")).to_be_visible()
    headers = {"Authorization": f"Bearer {API_KEY}"}
    task = {"input": "What is machine learning?", "output": "A way to learn from data.", "session_id": "first"}
    httpx.post(f"{door_url(door.log_path)}/api/v1/events", json=task, headers=headers).raise_for_status()
    page.get_by_role("link", name="What is machine learning?").click()
    expect(page.get_by_text("A way to learn from data.")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/sessions?project=shop")
    page.get_by_label("Name").fill("ada@shop.example")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    expect(page).to_have_url(re.compile(r"/sessions\?project=shop$"))
    page.goto("/?project=shop")
    page.context.clear_cookies()
    expect(page.get_by_role("status")).to_contain_text("Updates stopped: your sign-in has ended", timeout=15_000)


def test_an_event_is_defined_tried_and_then_found(open_page: Open, server: OneProcess) -> None:
    page = open_page("/events")
    page.get_by_role("link", name="New definition").click()

    page.get_by_label("Name").fill("umbrella")
    page.get_by_label("Description").fill("The user wants an umbrella")
    page.get_by_label("Engine", exact=True).select_option("keyword")
    expect(page.get_by_label("Pattern")).to_be_hidden()
    page.get_by_label("Keywords").fill("umbrella\nparasol")
    page.get_by_role("button", name="Preview on recent tasks").click()
    expect(page.get_by_role("heading", name=re.compile("^No matches in the last"))).to_be_visible()
    page.get_by_role("button", name="Save definition").click()
    expect(page.get_by_text("New tasks are checked from now on.")).to_contain_text("existing tasks")
    page.get_by_role("link", name="Not now").click()
    page.wait_for_url("**/events/umbrella**")
    expect(page.get_by_role("main")).to_contain_text("No matches in this period")
    log(server, input="Do you have a parasol?", output="Yes.", session_id="rain", task_id="rain-1")

    page.goto(page.url.split("/events/")[0] + "/sessions/rain")

    expect(page.get_by_role("link", name="umbrella")).to_be_visible()


def test_events_are_confirmed_and_rejected_without_a_reload(open_page: Open, server: OneProcess) -> None:
    log(server, input="Thank you!", output="My pleasure.", session_id="acts", task_id="acts-1")
    page = open_page("/sessions/acts")
    event = page.locator('[data-event="thanks"]')
    page.evaluate("window.isTheSamePage = true")

    event.get_by_role("button", name="Confirm thanks").click()
    expect(event).to_contain_text("confirmed")
    event.get_by_role("button", name="Undo label").click()
    expect(event).not_to_contain_text("confirmed")
    event.get_by_role("button", name="Reject thanks").click()
    expect(event).to_contain_text("rejected")

    assert page.evaluate("window.isTheSamePage") is True
    page.reload()
    expect(event).to_contain_text("rejected")


def test_everything_about_a_task_can_be_done_from_the_keyboard(open_page: Open, server: OneProcess) -> None:
    for number in range(2):
        log(server, input="Thank you!", output="Bye.", session_id="keys", task_id=f"keys-{number}")
    page = open_page("/sessions/keys")
    second = page.locator('[data-task="keys-1"]')

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(second).to_be_focused()
    page.keyboard.press("c")
    expect(second.locator('[data-event="thanks"]')).to_contain_text("confirmed")
    page.keyboard.press("f")
    expect(second.locator(".feedback")).to_contain_text("failure")
    page.keyboard.press("n")
    page.keyboard.type("call them? no: j and k are letters here")
    second.get_by_role("button", name="Save note").press("Enter")
    expect(second.get_by_role("list", name="Notes")).to_contain_text("call them? no")
    expect(second).to_be_focused()
    page.keyboard.press("n")
    expect(second).to_contain_text("Ctrl+Enter")
    page.keyboard.type("a line")
    page.keyboard.press("Enter")
    page.keyboard.type("and another")
    page.keyboard.press("Control+Enter")
    expect(second.get_by_role("list", name="Notes").get_by_role("listitem")).to_have_count(2)
    expect(page.locator('[data-task="keys-0"]')).not_to_contain_text("confirmed")
    keep(page, "acted-desktop-light")
    assert serious_violations(page, "acted") == []

    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("reject event")
    keep(page, "shortcuts-desktop-light")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_key_acts_on_nothing_that_is_out_of_sight(open_page: Open, server: OneProcess) -> None:
    for number in range(12):
        log(server, input="Thank you!", output="Bye. " * 99, session_id="far", task_id=f"far-{number}")
    page = open_page("/sessions/far")
    first, last = page.locator('[data-task="far-0"]'), page.locator('[data-task="far-11"]')

    page.keyboard.press("j")
    expect(first).to_be_focused()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.keyboard.press("x")
    expect(first.locator('[data-event="thanks"]')).to_be_in_viewport()
    expect(page.locator(".event.rejected")).to_have_count(0)
    page.keyboard.press("x")
    expect(first.locator(".event")).to_contain_text("rejected")
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(first.locator(".event")).not_to_contain_text("rejected")

    page.goto(page.url)
    last.scroll_into_view_if_needed()
    page.keyboard.press("s")
    expect(page.locator("[data-task]:focus")).to_have_count(1)
    expect(page.locator(".feedback")).to_have_count(0)


def test_the_keys_can_be_switched_off(open_page: Open, server: OneProcess) -> None:
    log(server, input="Thank you!", output="Bye.", session_id="off", task_id="off-1")
    page = open_page("/sessions/off")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_label("Enable shortcuts").uncheck()
    page.get_by_role("button", name="Close").click()
    page.reload()

    page.keyboard.press("j")
    page.keyboard.press("?")

    expect(page.locator("[data-task]:focus")).to_have_count(0)
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_label("Enable shortcuts")).not_to_be_checked()


def test_the_queue_goes_on_with_the_next_task(open_page: Open) -> None:
    page = open_page("/definitions/queue?name=flight")
    tasks = page.locator("[data-task]")
    [first, second] = [tasks.nth(place).get_attribute("data-task") for place in range(2)]

    page.keyboard.press("j")
    page.keyboard.press("c")

    expect(page.locator(f'[data-task="{first}"]')).to_have_count(0)
    expect(page.locator(f'[data-task="{second}"]')).to_be_focused()


def test_a_key_in_a_list_of_roles_or_filters_sends_nothing(open_page: Open) -> None:
    page = open_page("/tasks")
    version = page.get_by_role("form", name="Filters").get_by_label("Version")

    version.focus()
    page.keyboard.press("ArrowDown")
    expect(version).not_to_have_value("")
    assert "version=" not in page.url
    expect(page.get_by_role("button", name="Apply")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("version=[^&]"))
    expect(version).to_be_focused()

    page.goto(page.url.split("/tasks")[0] + "/settings/people")
    page.get_by_label("Name").fill("role@shop.example")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Add person").click()
    role = page.get_by_label("Role for all projects of role@shop.example")
    role.focus()
    page.keyboard.press("ArrowDown")
    expect(role).to_have_value("editor")
    page.reload()
    expect(role).to_have_value("viewer")


def test_the_same_forms_work_without_scripts(open_page: Open, server: OneProcess) -> None:
    log(server, input="Thank you!", output="Bye.", session_id="plain", task_id="plain-1")
    page = open_page("/sessions/plain", scripts=False)

    page.get_by_role("button", name="Confirm thanks").click()

    expect(page).to_have_url(re.compile(r"/sessions/plain.*#task-1$"))
    expect(page.locator('[data-event="thanks"]')).to_contain_text("confirmed")


def test_a_form_that_is_refused_says_why_where_it_stands(open_page: Open, server: OneProcess) -> None:
    log(server, input="Thank you!", output="Bye.", session_id="refused", task_id="refused-1")
    page = open_page("/sessions/refused")
    page.evaluate("document.querySelectorAll('[name=form_token]').forEach(field => field.value = 'old')")

    page.get_by_role("button", name="Confirm thanks").click()

    expect(page.get_by_role("alert")).to_contain_text("from before you signed in")


def test_a_key_is_made_shown_once_and_revoked(open_page: Open) -> None:
    page = open_page("/settings/keys")

    page.get_by_label("Name (e.g.").fill("laptop")
    page.get_by_role("button", name="Create API key").click()
    expect(page.locator(".secret")).to_have_text(re.compile(r"^ph_[\w-]{43}$"))
    page.goto(page.url)
    expect(page.locator(".secret")).to_have_count(0)
    page.get_by_role("button", name="Revoke laptop").click()
    keep(page, "confirm-desktop-light")
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Revoke laptop").click()
    page.get_by_role("button", name="Revoke API key").click()

    expect(page.get_by_role("button", name="Revoke laptop")).to_have_count(0)


def test_a_webhook_is_added_with_a_secret_that_is_shown_once(open_page: Open) -> None:
    page = open_page("/settings/webhooks")
    page.get_by_label("URL").fill("https://shop.example/told")
    page.get_by_label("thanks").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")

    expect(page.locator(".secret")).to_have_text(re.compile(r"^whsec_\S{44}$"))
    page.goto(page.url)
    expect(page.locator(".secret")).to_have_count(0)
    added = page.locator(".webhook", has=page.get_by_role("heading", name="https://shop.example/told"))
    expect(added).to_contain_text("Events: thanks")
    added.get_by_role("button", name="Remove").click()

    expect(added).to_have_count(0)


def test_a_backfill_is_estimated_started_and_followed_without_a_reload(open_page: Open) -> None:
    page = open_page("/events/refund")
    page.get_by_role("link", name="Run on existing tasks").click()

    page.get_by_role("button", name="Estimate").click()
    expect(page.get_by_role("status")).to_contain_text("Estimate: ")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/events/refund**")
    expect(page.locator(".backfills li").first).to_contain_text("done", timeout=30_000)

    expect(page.locator(".backfills li").first).to_contain_text("events found")
