"""The pages as a browser has them: what people do on them, what attackers try, how they look and read."""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, ViewportSize, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from browser.conftest import ATTACKED, DEAD_LETTER_ID, SCREENSHOTS, Open, log, serious_violations
from browser.conversations import ATTACK
from fixtures.shapes import OneProcess

PAGES = {
    "dashboard": "/", "sessions": "/sessions?limit=8", "session": "/sessions/trip-007", "tasks": "/tasks?limit=8",
    "task": "/tasks/trip-007-1", "events": "/events", "event": "/events/thanks", "users": "/users?limit=8",
    "explore": "/explore?metric=event_rate&by=event", "changes": "/changes", "boards": "/boards",
    "alerts": "/alerts", "sql": "/sql", "user": "/users/traveller-03", "import": "/import",
    "versions": "/versions", "empty": "/tasks?q=nobody+said+this", "missing": "/tasks/absent",
    "settings": "/settings", "keys": "/settings/keys", "dead-letters": "/settings/dead-letters",
    "health": "/settings/health", "projects": "/settings/projects", "people": "/settings/people",
    "account": "/settings/account", "definition": "/definitions?name=thanks", "new-definition": "/definitions",
    "label-queue": "/definitions/queue?name=thanks", "webhooks": "/settings/webhooks",
    "judgements": "/settings/judgements", "backfill": "/definitions/backfill?name=booked",
    "quality": "/events/booked", "dead-letter": f"/settings/dead-letters/{DEAD_LETTER_ID}?project={ATTACKED}",
    "sign-in": "/sign-in", "setup": "/setup",
}  # fmt: skip
LOOKS = {
    "desktop-light": ("light", False), "desktop-dark": ("dark", False), "phone-light": ("light", True),
    "phone-dark": ("dark", True),
}  # fmt: skip
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.mark.chaos
@pytest.mark.parametrize("look", sorted(LOOKS))
def test_each_page_fits_its_screen_and_is_kept_as_a_picture(open_page: Open, look: str) -> None:
    scheme, is_phone = LOOKS[look]
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = open_page("/", scheme=scheme, is_phone=is_phone)
    base_url = page.url.rstrip("/")

    for name, path in PAGES.items():
        page.goto(base_url + path)
        page.screenshot(path=SCREENSHOTS / f"{name}-{look}.png", full_page=True)
        assert overflow_px(page) <= 0, name


def overflow_px(page: Page) -> int:
    """Return by how many pixels a page is wider than its screen, once its charts have the screen's width."""
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    with suppress(PlaywrightTimeout):
        page.wait_for_function(f"{overflow} <= 0", timeout=5_000)
    return int(page.evaluate(overflow))


def test_each_page_fits_a_phone_and_has_no_serious_violation(open_page: Open) -> None:
    """In the dark, only the colors are others."""
    page = open_page("/")
    base_url, desktop = page.url.rstrip("/"), page.viewport_size
    assert desktop is not None
    violations, too_wide = [], {}

    for name, path in PAGES.items():
        page.goto(base_url + path)
        violations += serious_violations(page, name)
        page.emulate_media(color_scheme="dark")
        violations += serious_violations(page, f"{name}-dark", runOnly=["color-contrast"])
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(PHONE)
        if (overflow := overflow_px(page)) > 0:
            too_wide[name] = overflow
        page.set_viewport_size(desktop)
    assert (violations, too_wide) == ([], {})


def test_phone_has_the_other_filters_beside_the_first_ones(open_page: Open) -> None:
    page = open_page("/tasks")
    page.set_viewport_size(PHONE)
    address = page.url
    button, conditions = page.get_by_text("All filters"), page.locator("#filter-where")
    bottoms = [locator.evaluate("each => each.getBoundingClientRect().bottom") for locator in (button, conditions)]
    assert abs(bottoms[0] - bottoms[1]) < 10
    assert not page.locator("#filter-sentiment").is_visible()

    button.click()

    assert page.locator("#filter-sentiment").is_visible()
    assert page.url == address, "the form was not sent"


def test_filters_live_in_the_url_and_survive_a_reload(open_page: Open) -> None:
    page = open_page("/tasks")
    filters = page.get_by_role("form", name="Filters")

    filters.get_by_label("Version").select_option("v2")
    page.wait_for_url("**version=v2**")
    filters.get_by_label("Event").select_option("thanks")
    page.wait_for_url("**event=thanks**")
    page.reload()

    expect(filters.get_by_label("Version")).to_have_value("v2")
    expect(filters.get_by_label("Event")).to_have_value("thanks")
    assert "flag=" not in page.url
    expect(page.locator("tbody tr").first).to_contain_text("Thank you")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Dashboard").click()
    expect(filters.get_by_label("Version")).to_have_value("v2")
    page.get_by_role("link", name="Clear").click()
    expect(filters.get_by_label("Version")).to_have_value("")


def test_a_search_finds_words_and_a_transcript_shows_the_whole_session(open_page: Open) -> None:
    page = open_page("/sessions")

    page.get_by_label("Search").fill("money back")
    page.get_by_label("Search").press("Enter")
    page.wait_for_url("**q=money+back**")
    page.locator(".sessions h2 a").first.click()

    expect(page.locator(".turn.user", has_text="money back")).to_be_visible()
    expect(page.get_by_role("link", name="refund").first).to_be_visible()
    page.locator(".tasks article").first.hover()
    page.get_by_text("Details").first.click()
    expect(page.locator("dl.details").first).to_contain_text("trip-")


def test_a_point_of_a_chart_leads_to_the_tasks_behind_it(open_page: Open) -> None:
    page = open_page("/?period=30d")
    canvas = page.locator("section", has_text="Sessions, tasks and events").locator("canvas")
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None

    canvas.click(position={"x": box["width"] - 40, "y": box["height"] / 2})

    page.wait_for_url(re.compile(r"/tasks\?.*from=.*to="))
    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()


def test_a_page_shows_a_new_task_without_a_reload(open_page: Open, server: OneProcess) -> None:
    page = open_page("/")
    tasks = page.locator(".tiles div", has=page.get_by_text("Tasks", exact=True)).locator("dd")
    before = int(tasks.inner_text().replace(",", ""))
    page.evaluate("window.isTheSamePage = true")

    log(server, input="one more", output="seen", session_id="live", task_id="live-1")

    expect(tasks).to_have_text(f"{before + 1:,}")
    assert page.evaluate("window.isTheSamePage") is True
    expect(page.locator(".freshness")).to_contain_text("Up to date")


def test_a_live_page_keeps_what_is_open_drawn_and_has_the_focus(open_page: Open, server: OneProcess) -> None:
    page = open_page("/?period=30d")
    chart = page.locator("section", has_text="Sessions, tasks and events")
    expect(chart.locator("canvas")).to_be_visible()
    chart.locator("canvas").evaluate("canvas => canvas.isTheSame = true")
    chart.locator("summary").click()
    last_day = chart.locator("tbody tr").last.locator("td").first
    before = int(last_day.inner_text().replace(",", ""))

    log(server, input="one more", output="seen", session_id="live", task_id="live-2")

    expect(last_day).to_have_text(f"{before + 1:,}", timeout=15_000)
    expect(chart.locator("table")).to_be_visible()
    expect(chart.locator("summary")).to_be_focused()
    assert chart.locator("canvas").evaluate("canvas => canvas.isTheSame") is True


def test_a_live_page_whose_server_has_gone_says_that_it_is_old(open_page: Open) -> None:
    page = open_page("/")
    expect(page.locator(".freshness")).to_be_visible()

    page.context.set_offline(True)

    expect(page.get_by_role("status")).to_contain_text("Updates stopped: the server does not answer", timeout=15_000)
    expect(page.locator(".freshness")).to_be_hidden()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "stale-desktop-light.png")
    page.context.set_offline(False)
    # Who comes back to the page need not wait for the next try.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("status")).to_have_count(0, timeout=15_000)
    expect(page.locator(".freshness")).to_be_visible()


def test_live_pages_can_be_stopped(open_page: Open) -> None:
    page = open_page("/")
    button = page.get_by_role("button", name="Live")

    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    page.reload()

    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")


def test_times_are_those_of_the_viewer(open_page: Open) -> None:
    page = open_page("/tasks/trip-007-1")
    page.context.clear_cookies(name="time_zone")
    page.goto(page.url)
    expect(page.locator("html")).to_have_attribute("data-time-zone", "Europe/Paris")
    shown, utc = page.locator("time").first.evaluate("element => [element.textContent, element.dateTime]")

    in_paris = page.evaluate("time => new Date(time).toLocaleString('sv-SE', {timeZone: 'Europe/Paris'})", utc)
    assert shown == in_paris


def test_columns_are_chosen_from_the_keyboard(open_page: Open) -> None:
    page = open_page("/tasks")

    menu = page.locator("details:has(> summary:text-is('Columns'))")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    menu.get_by_label("Version").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**columns=version**")

    expect(page.get_by_role("columnheader", name="Version")).to_be_visible()


def test_the_first_tab_skips_to_the_content(open_page: Open) -> None:
    page = open_page("/tasks")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "content"


def test_without_scripts_the_numbers_of_a_chart_are_a_table(open_page: Open) -> None:
    page = open_page("/", scripts=False)

    page.locator("summary", has_text="As a table").first.click()

    expect(page.get_by_role("columnheader", name="Sessions", exact=True).first).to_be_visible()
    assert page.locator("#activity tbody tr").count() > 20


def test_nothing_that_a_client_logs_runs_in_any_page(open_page: Open) -> None:
    item = quote(ATTACK, safe="")
    paths = (
        "/", "/sessions", f"/sessions/{item}", "/tasks", f"/tasks/{item}", "/events", f"/events/{item}", "/users",
        "/versions", f"/definitions?name={item}", f"/definitions/queue?name={item}", f"/definitions/diff?name={item}",
        f"/definitions/backfill?name={item}", "/settings", "/settings/keys", "/settings/people", "/settings/projects",
        "/settings/webhooks", "/settings/judgements", "/settings/health", "/settings/dead-letters",
        f"/settings/dead-letters/{DEAD_LETTER_ID}", "/settings/account",
    )  # fmt: skip
    page = open_page(f"/?project={ATTACKED}")
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
    base_url, silent = page.url.split("/?")[0], set()

    for path in paths:
        answer = page.goto(f"{base_url}{path}{'&' if '?' in path else '?'}project={ATTACKED}")
        assert answer is not None
        assert answer.status == 200, path
        assert page.evaluate("window.attacked") is None, path
        if "window.attacked" not in page.locator("main").inner_text():
            silent.add(path)
    assert silent <= {"/settings/judgements", "/settings/health", "/settings/account"}
    texts = "".join(f"&{name}={item}" for name in ("q", "user", "version", "model", "language", "event", "theme"))
    refused = (f"&{name}={item}" for name in ("sentiment", "flag", "from", "to", "sort", "columns"))
    for filters, status in [(texts, 200), *((one_filter, 400) for one_filter in refused)]:
        answer = page.goto(f"{base_url}/tasks?project={ATTACKED}{filters}")
        assert answer is not None
        assert (answer.status, page.evaluate("window.attacked")) == (status, None), filters


def test_names_as_long_as_may_be_hide_no_figure(open_page: Open, server: OneProcess) -> None:
    """Cut in their cells, and told in whole by the title."""
    long = "a-name-" * 28
    log(server, input="Hello", output="Hi.", version_id=long, user_id=long, metadata={"model": long})

    for path in ("/", "/versions", "/users"):
        page = open_page(f"{path}?version={long}")
        figure = page.locator(f'tr:has(th[title="{long}"]) td.number').first
        for _ in ("desktop", "phone"):
            assert figure.evaluate("cell => cell.getBoundingClientRect().right <= innerWidth"), path
            assert overflow_px(page) <= 0, path
            page.set_viewport_size(PHONE)


def test_names_of_any_script_are_laid_out_in_their_direction(open_page: Open, server: OneProcess) -> None:
    """As texts are: wherever a list, a heading or a chip shows what an app logged."""
    name = "\u05d4\u05d6\u05de\u05e0\u05d4 ABC-1!"
    log(server, input=name, output=name, version_id=name, user_id=name, session_id=name, metadata={"model": name})
    columns = "columns=output,user,version,model,session"

    for path in ("/", f"/tasks?{columns}", "/sessions", f"/sessions/{quote(name)}", "/users", "/versions"):
        page = open_page(path)
        page.locator(f"main :text('{name}')").first.wait_for(state="attached")
        laid_out = page.evaluate(_LEFT_TO_RIGHT, name)
        assert not laid_out, (path, laid_out)


# The elements that hold a text and lay it out from left to right, whatever its script.
_LEFT_TO_RIGHT = """name => [...document.querySelectorAll("main *")]
    .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.includes(name)))
    .filter(element => !element.closest("datalist, select, script, .hidden"))
    .filter(element => !element.closest("bdi") && getComputedStyle(element).direction === "ltr")
    .filter(element => {
        let box = element;
        const style = () => getComputedStyle(box);
        while (style().display === "inline" && style().unicodeBidi !== "plaintext") box = box.parentElement;
        return getComputedStyle(box).unicodeBidi !== "plaintext" && getComputedStyle(box).direction === "ltr";
    })
    .map(element => element.outerHTML.slice(0, 200))"""


def test_a_wrong_address_is_a_page_in_a_browser(open_page: Open) -> None:
    for path in ("/nope", "/settings/nope"):
        expect(open_page(path).get_by_role("heading", level=1)).to_have_text("Page not found")


def test_an_inline_script_that_got_into_a_page_would_not_run(open_page: Open) -> None:
    page = open_page("/versions")
    refused = """() => new Promise(resolve => {
        document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
        document.body.append(document.createRange().createContextualFragment("<script>window.attacked = 3</script>"));
    })"""

    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        assert page.evaluate(refused) == "script-src-elem"

    assert page.evaluate("window.attacked") is None
