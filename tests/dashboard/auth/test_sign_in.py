"""Signing in to the pages: who gets in, for how long, and what keeps everybody else out."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard.conftest import integrations
from phospho_dashboard.app import create_app, page_routes
from phospho_dashboard.settings import DashboardSettings, SignInSettings

ADDRESS = "http://127.0.0.1:8420"
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
PASSWORD = "correct horse battery"
# The table of sign-ins forgets what is long over: this is a day of now.
START = datetime.now(UTC).replace(microsecond=0)


_NUMBERS = itertools.count()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def name() -> str:
    """Return a name that only this test has."""
    return f"person-{next(_NUMBERS)}@shop.example"


@pytest.fixture
def services(world: Any, clock: Clock) -> Any:
    return world.services(DashboardSettings(), now=clock)


@pytest.fixture
def person(services: Any, name: str) -> Any:
    return services.sign_ins.directory.add(name, "editor", PASSWORD)


def browser(services: Any, address: str = ADDRESS, host: str = "testclient") -> TestClient:
    """Return a browser with cookies of its own, at a page of ours."""
    return TestClient(
        create_app(services, integrations(services.store)),
        address,
        headers=SAME_SITE,
        follow_redirects=False,
        client=(host, 50_000),
    )


def post_paths(services: Any) -> list[str]:
    """Return the path of every form of the pages."""
    routes = [route for route in page_routes(services, integrations(services.store)) if isinstance(route, Route)]
    return [route.path for route in routes if "POST" in (route.methods or set())]


def sign_in(client: TestClient, name: str, password: str = PASSWORD, **fields: str) -> Any:
    return client.post("/sign-in", data={"name": name, "password": password, **fields})


def form_token(client: TestClient, path: str = "/settings/account") -> str:
    match = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get(path).text)
    assert match is not None
    return match[1]


def test_who_signs_in_sees_pages_and_who_does_not_is_led_to_the_form(services: Any, person: Any) -> None:
    client = browser(services)

    response = client.get("/sessions?project=mine&q=a+b")
    assert (response.status_code, response.headers["location"]) == (
        303,
        "/sign-in?next=%2Fsessions%3Fproject%3Dmine%26q%3Da%2Bb",
    )
    assert client.get(response.headers["location"]).status_code == 200
    assert client.get("/sessions.json").status_code == 401

    answer = sign_in(client, person.name, next="/sessions?project=mine&q=a+b")

    assert (answer.status_code, answer.headers["location"]) == (303, "/sessions?project=mine&q=a+b")
    assert client.get("/sessions").status_code == 200
    assert client.get("/sessions.json?project=theirs").status_code == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(services: Any, person: Any) -> None:
    plain = sign_in(browser(services), person.name).headers["set-cookie"]
    behind_tls = browser(services)
    behind_tls.headers["X-Forwarded-Proto"] = "https"
    secure = sign_in(behind_tls, person.name).headers["set-cookie"]

    assert re.fullmatch(r"phospho=[\w-]{43}; HttpOnly; Max-Age=604800; Path=/; SameSite=lax", plain)
    assert re.fullmatch(r"__Host-phospho=[\w-]{43}; HttpOnly; Max-Age=604800; Path=/; SameSite=lax; Secure", secure)


def test_every_sign_in_has_a_token_of_its_own_whatever_the_browser_brought(services: Any, person: Any) -> None:
    """A token that somebody planted in the browser before does not become the person's."""
    client = browser(services)
    client.cookies.set("phospho", "planted")

    sign_in(client, person.name)

    assert browser(services).get("/sessions", headers={"Cookie": "phospho=planted"}).status_code == 303
    assert client.get("/sessions").status_code == 200


@pytest.mark.parametrize(
    "next_path",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "evil",
        "/" + "a" * 2000,
        "",
    ],
)
def test_no_next_leads_away_from_here(services: Any, person: Any, next_path: str) -> None:
    client = browser(services)

    assert 'name="next" value="/"' in client.get("/sign-in", params={"next": next_path}).text
    assert sign_in(client, person.name, next=next_path).headers["location"] == "/"


def test_an_unknown_name_and_a_wrong_password_are_answered_alike(services: Any, person: Any) -> None:
    client = browser(services)

    wrong, unknown = sign_in(client, person.name, "wrong password"), sign_in(client, "nobody-at-all", "wrong password")

    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.text.replace(person.name, "nobody-at-all") == unknown.text
    assert "set-cookie" not in wrong.headers


def test_who_comes_through_a_proxy_alone_has_no_empty_password(services: Any, name: str) -> None:
    services.sign_ins.directory.add(name, "admin", "")

    assert sign_in(browser(services), name, "").status_code == 401


def test_tries_are_bounded_for_a_person_and_for_an_address(world: Any, name: str) -> None:
    limits = SignInSettings(tries_per_person=3, tries_per_address=5)
    services = world.services(DashboardSettings(sign_in=limits))
    services.sign_ins.directory.add(name, "viewer", PASSWORD)
    guesser = browser(services, host="10.0.0.1")

    guesses = [sign_in(guesser, name, "a wrong guess") for _ in range(4)]
    assert [guess.status_code for guess in guesses] == [401, 401, 401, 429]
    assert 0 < int(guesses[-1].headers["retry-after"]) <= 900
    assert sign_in(guesser, name).status_code == 429

    one_address = browser(services, host="10.1.1.1")
    sprayed = [sign_in(one_address, f"nobody-{n}", "a wrong guess").status_code for n in range(6)]
    assert sprayed == [401] * 5 + [429]
    # An IPv6 network is one address: its owner has 2^64 of them.
    spread = [sign_in(browser(services, host=f"2001:db8::{n}"), f"no-{n}", "wrong").status_code for n in range(6)]
    assert spread == [401] * 5 + [429]


def test_guesses_of_a_stranger_do_not_lock_the_owner_of_a_name_out(world: Any, name: str) -> None:
    services = world.services(DashboardSettings(sign_in=SignInSettings(tries_per_person=2, tries_from_strangers=5)))
    services.sign_ins.directory.add(name, "viewer", PASSWORD)
    at_home = browser(services, host="10.0.0.1")
    assert sign_in(at_home, name).status_code == 303

    guesses = [sign_in(browser(services, host=f"10.2.0.{n}"), name, "a wrong guess").status_code for n in range(6)]

    # Of one name, guesses are bounded from wherever they come; where it has signed in before, it still may.
    assert guesses == [401] * 5 + [429]
    assert sign_in(browser(services, host="10.3.0.1"), name).status_code == 429
    assert sign_in(at_home, name).status_code == 303


def test_who_knows_their_password_uses_up_no_try_of_their_network(world: Any, name: str) -> None:
    services = world.services(DashboardSettings(sign_in=SignInSettings(tries_per_address=3)))
    services.sign_ins.directory.add(name, "viewer", PASSWORD)
    client = browser(services, host="10.0.0.1")

    assert [sign_in(client, name).status_code for _ in range(5)] == [303] * 5
    assert [sign_in(client, "nobody", "wrong").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_a_good_password_starts_the_count_anew(world: Any, name: str) -> None:
    services = world.services(DashboardSettings(sign_in=SignInSettings(tries_per_person=3)))
    services.sign_ins.directory.add(name, "viewer", PASSWORD)
    client = browser(services)

    for _ in range(3):
        assert sign_in(client, name, "a wrong guess").status_code == 401
        assert sign_in(client, name, "a wrong guess").status_code == 401
        assert sign_in(client, name).status_code == 303


def test_a_browser_that_nobody_uses_is_signed_out_and_one_in_use_is_not(
    services: Any, person: Any, clock: Clock
) -> None:
    used, unused = browser(services), browser(services)
    sign_in(used, person.name)
    sign_in(unused, person.name)

    for _ in range(3):
        clock.advance(hours=11)
        assert used.get("/sessions").status_code == 200

    assert unused.get("/sessions").status_code == 303


def test_a_sign_in_ends_after_its_lifetime_whatever_happens(services: Any, person: Any, clock: Clock) -> None:
    client = browser(services)
    sign_in(client, person.name)

    for _ in range(27):
        clock.advance(hours=6)
        assert client.get("/sessions").status_code == 200
    clock.advance(hours=7)

    assert client.get("/sessions").status_code == 303


def test_the_last_sight_of_a_browser_is_stored_now_and_then_only(
    world: Any, services: Any, person: Any, clock: Clock
) -> None:
    client = browser(services)
    sign_in(client, person.name)

    def stored() -> int:
        where = f"WHERE name = '{person.name}'"
        return int(world.store.rows(f"SELECT count() AS n FROM sign_in_rows {where}")[0]["n"])

    for _ in range(20):
        clock.advance(seconds=10)
        client.get("/sessions")

    assert stored() == 1


def test_signing_out_ends_it_for_a_copy_of_the_cookie_too(services: Any, person: Any) -> None:
    client, thief = browser(services), browser(services)
    sign_in(client, person.name)
    thief.cookies.update(client.cookies)
    assert thief.get("/sessions").status_code == 200

    answer = client.post("/sign-out", data={"form_token": form_token(client)})

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert 'phospho=""' in answer.headers["set-cookie"]
    assert client.get("/sessions").status_code == 303
    assert thief.get("/sessions").status_code == 303


def test_signing_out_of_what_has_ended_is_no_error(services: Any, person: Any, clock: Clock) -> None:
    client = browser(services)
    sign_in(client, person.name)
    clock.advance(days=8)

    assert client.post("/settings/account/end", data={"sign_in_id": "x"}).status_code == 401
    assert client.post("/sign-out", data={}).status_code == 303
    assert "phospho" not in client.cookies


def test_a_new_password_signs_every_other_browser_out(services: Any, person: Any, clock: Clock) -> None:
    client, other = browser(services), browser(services)
    sign_in(client, person.name)
    sign_in(other, person.name)
    clock.advance(minutes=1)

    wrong = client.post(
        "/settings/account/password",
        data={"form_token": form_token(client), "old_password": "not it", "password": "another long one"},
    )
    changed = client.post(
        "/settings/account/password",
        data={"form_token": form_token(client), "old_password": PASSWORD, "password": "another long one"},
    )

    assert (wrong.status_code, changed.status_code) == (401, 303)
    assert client.get("/sessions").status_code == 200
    assert other.get("/sessions").status_code == 303
    assert sign_in(browser(services), person.name).status_code == 401
    assert sign_in(browser(services), person.name, "another long one").status_code == 303


def test_one_may_end_one_of_ones_own_sign_ins_and_nobody_elses(services: Any, person: Any, name: str) -> None:
    services.sign_ins.directory.add(f"{name}-other", "editor", PASSWORD)
    client, second, other = browser(services), browser(services), browser(services)
    sign_in(client, person.name)
    sign_in(second, person.name)
    sign_in(other, f"{name}-other")

    mine = client.get("/settings/account.json").json()["sign_ins"]
    theirs = other.get("/settings/account.json").json()["sign_ins"]
    assert [one["is_this"] for one in mine].count(True) == 1
    second_id = next(one["sign_in_id"] for one in mine if not one["is_this"])

    def end(sign_in_id: str) -> int:
        data = {"form_token": form_token(client), "sign_in_id": sign_in_id}
        return client.post("/settings/account/end", data=data).status_code

    assert end(second_id) == 303
    assert end(theirs[0]["sign_in_id"]) == 404
    assert second.get("/sessions").status_code == 303
    assert other.get("/sessions").status_code == 200


def test_who_is_removed_or_gets_another_role_is_so_at_the_next_request(
    services: Any, person: Any, clock: Clock
) -> None:
    client = browser(services)
    sign_in(client, person.name)
    assert client.get("/settings/account.json").json()["role"] == "editor"

    services.sign_ins.directory.change(person.name, "viewer")
    clock.advance(seconds=6)
    assert client.get("/settings/account.json").json()["role"] == "viewer"

    services.sign_ins.directory.remove(person.name)
    clock.advance(seconds=6)
    assert client.get("/sessions").status_code == 303


def test_the_first_administrator_needs_the_code_and_is_made_once(world: Any, clock: Clock) -> None:
    services = world.services(DashboardSettings(sign_in=SignInSettings(setup_codes=("the-code",))), now=clock)
    people = services.sign_ins.directory.people
    for known in people.everybody():
        people.remove(known, START)
    client = browser(services)

    def set_up(code: str, password: str = PASSWORD) -> Any:
        return client.post("/setup", data={"code": code, "name": "first@shop.example", "password": password})

    assert set_up("").status_code == 401
    assert set_up("guess").status_code == 401
    assert set_up("the-code", "short").status_code == 422
    assert set_up("the-code").status_code == 303
    assert client.get("/settings/account.json").json()["role"] == "admin"
    assert set_up("the-code").status_code == 409


def test_without_a_code_there_is_no_way_to_set_up(services: Any) -> None:
    answer = browser(services).post("/setup", data={"code": "", "name": "x", "password": PASSWORD})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": ADDRESS}, False),
        ({"Origin": ADDRESS}, True),
        ({"Origin": "http://127.0.0.1:9999"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://["}, False),
        ({}, False),
    ],
)
def test_a_form_is_taken_from_a_page_of_this_site_alone(
    services: Any, person: Any, headers: dict[str, str], is_taken: bool
) -> None:
    client = browser(services)
    sign_in(client, person.name)
    token = form_token(client)
    del client.headers["Sec-Fetch-Site"]
    data = {"form_token": token, "sign_in_id": "absent"}

    answer = client.post("/settings/account/end", data=data, headers=headers)
    entered = client.post("/sign-in", data={"name": person.name, "password": PASSWORD}, headers=headers)

    assert answer.status_code == (404 if is_taken else 403)
    assert entered.status_code == (303 if is_taken else 403)


@pytest.mark.parametrize("token", ["", "0" * 64, "ünïcödé"])
def test_a_form_without_the_token_of_its_page_is_refused(services: Any, person: Any, token: str) -> None:
    client = browser(services)
    sign_in(client, person.name)

    answer = client.post("/settings/account/end", data={"form_token": token, "sign_in_id": "x"})

    assert answer.status_code == 403
    assert "forged_form" in answer.text


def test_the_token_of_one_sign_in_is_not_good_for_another(services: Any, person: Any) -> None:
    first, second = browser(services), browser(services)
    sign_in(first, person.name)
    sign_in(second, person.name)

    assert form_token(first) != form_token(second)
    data = {"form_token": form_token(first), "sign_in_id": "x"}
    assert second.post("/settings/account/end", data=data).status_code == 403


def test_every_form_of_the_pages_refuses_what_another_site_sends(services: Any, person: Any) -> None:
    services.sign_ins.directory.change(person.name, "admin")
    client = browser(services)
    sign_in(client, person.name)

    for path in post_paths(services):
        forged = client.post(path, data={"form_token": form_token(client)}, headers={"Sec-Fetch-Site": "cross-site"})
        if path not in {"/sign-in", "/setup"}:
            files = {"file": ("logs.csv", b"input")} if path == "/import" else None
            assert client.post(path, data={"form_token": "0" * 64}, files=files).status_code == 403, path
        assert forged.status_code == 403, path


def test_a_signed_in_person_may_ask_the_api_with_the_token_of_a_page(services: Any, person: Any) -> None:
    client = browser(services)
    sign_in(client, person.name)
    token = form_token(client)

    assert client.get("/api/v1/definitions").status_code == 401
    assert client.get("/api/v1/definitions", headers={"X-Phospho-Form": "0" * 64}).status_code == 403
    assert client.get("/api/v1/definitions", headers={"X-Phospho-Form": token}).status_code == 200
    cross = {"X-Phospho-Form": token, "Sec-Fetch-Site": "cross-site"}
    assert client.get("/api/v1/definitions", headers=cross).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "10.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Server": "shop.example"},
        {"X-Real-IP": "10.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Forwarded": "for=x"},
    ],
)
def test_open_pages_refuse_requests_through_a_proxy(world: Any, headers: dict[str, str]) -> None:
    client = world.open_pages()

    assert client.get("/settings/account.json").json()["name"] == "local user"
    assert client.get("/sessions", headers=headers).status_code == 303


def test_open_pages_are_for_the_browser_that_was_opened_with_their_secret(world: Any) -> None:
    """A proxy that adds no header, a tunnel, and another user of the machine all look like the local user."""
    settings = DashboardSettings(pages_open=True, local_secret="told on the terminal")
    services = world.services(settings)
    client, stranger = browser(services, host="127.0.0.1"), browser(services, host="127.0.0.1")

    opened = client.get("/open", params={"secret": "told on the terminal"})
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert "httponly" in opened.headers["set-cookie"].lower()
    assert "samesite=lax" in opened.headers["set-cookie"].lower()
    assert client.get("/settings/account.json").json()["role"] == "admin"
    assert client.get("/settings/account.json", headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 401

    for query in ({}, {"secret": ""}, {"secret": "guessed"}, {"secret": "gu\u00e9ss"}):
        assert stranger.get("/open", params=query).status_code == 403
    assert stranger.get("/settings/account.json").status_code == 401
    assert stranger.get("/sessions").headers["location"].startswith("/sign-in")
    assert "phospho up" in stranger.get("/sign-in").text
    rebound = {"Host": "evil.example"}
    assert stranger.get("/open", params={"secret": settings.local_secret}, headers=rebound).status_code == 421


@pytest.mark.parametrize("settings", [DashboardSettings(), DashboardSettings(pages_open=True)])
def test_where_there_is_no_secret_nobody_is_let_in_with_an_empty_one(world: Any, settings: DashboardSettings) -> None:
    answer = browser(world.services(settings)).get("/open", params={"secret": ""})

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_local_user_acts_from_their_own_pages_alone(world: Any) -> None:
    client = world.open_pages()
    token = form_token(client, "/settings/people")
    data = {"form_token": token, "name": "nobody-there", "role": "viewer"}

    assert client.post("/settings/people/change", data=data, headers=SAME_SITE).status_code == 404
    assert client.post("/settings/people/change", data=data).status_code == 403
    assert client.post("/settings/people/change", data=data, headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    rebound = {"Host": "evil.example", **SAME_SITE}
    assert client.post("/settings/people/change", data=data, headers=rebound).status_code == 421


class TestProxy:
    """A proxy that signs people in, and names them in a header."""

    SETTINGS = SignInSettings(proxy_header="X-Forwarded-Email", trusted_proxies=("10.7.0.0/16",))

    def test_a_trusted_proxy_names_a_person(self, world: Any, name: str) -> None:
        services = world.services(DashboardSettings(sign_in=self.SETTINGS))
        services.sign_ins.directory.add(name, "editor", "")
        client = browser(services, host="10.7.0.1")

        account = client.get("/settings/account.json", headers={"X-Forwarded-Email": name.upper()})

        assert (account.json()["name"], account.json()["role"]) == (name, "editor")
        assert client.get("/sessions").status_code == 303

    def test_nobody_else_can_send_the_header(self, world: Any, name: str) -> None:
        services = world.services(DashboardSettings(sign_in=self.SETTINGS))
        services.sign_ins.directory.add(name, "admin", "")
        spoofed = {"X-Forwarded-Email": name, "X-Forwarded-For": "10.7.0.1", "Forwarded": "for=10.7.0.1"}

        for host in ("10.8.0.1", "127.0.0.1", "testclient"):
            assert browser(services, host=host).get("/sessions", headers=spoofed).status_code == 303

    def test_by_default_no_header_names_anybody(self, services: Any, person: Any) -> None:
        headers = {"X-Forwarded-Email": person.name, "X-Forwarded-User": person.name, "Remote-User": person.name}

        assert browser(services, host="127.0.0.1").get("/sessions", headers=headers).status_code == 303

    def test_who_is_not_listed_has_the_role_of_the_settings_or_none(self, world: Any, name: str) -> None:
        closed = world.services(DashboardSettings(sign_in=self.SETTINGS))
        lent = world.services(DashboardSettings(sign_in=replace(self.SETTINGS, proxy_role="viewer")))
        headers = {"X-Forwarded-Email": name}

        assert browser(closed, host="10.7.0.1").get("/sessions", headers=headers).status_code == 403
        account = browser(lent, host="10.7.0.1").get("/settings/account.json", headers=headers)
        assert account.json()["role"] == "viewer"

    def test_tries_are_counted_by_the_address_that_the_proxy_names(self, world: Any) -> None:
        limits = replace(self.SETTINGS, tries_per_address=2)
        client = browser(world.services(DashboardSettings(sign_in=limits)), host="10.7.0.1")

        def guess(passed: str) -> int:
            client.headers["X-Forwarded-For"] = passed
            return int(sign_in(client, "nobody", "wrong").status_code)

        assert [guess("1.2.3.4"), guess("1.2.3.4"), guess("1.2.3.4")] == [401, 401, 429]
        # What the client itself wrote in front of the list changes nothing.
        assert guess("9.9.9.9, 1.2.3.4") == 429
        assert guess("1.2.3.5") == 401
