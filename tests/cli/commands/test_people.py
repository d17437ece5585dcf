"""`phospho people` against the dashboard's own app, on a real port."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click
import click.testing
import httpx
import pytest

from fixtures.served import served
from phospho_cli import main
from phospho_cli.options import settings_options
from phospho_cli.processes.settings import UpSettings
from phospho_cli.processes.web import build_integrations
from phospho_dashboard.app import create_app
from phospho_dashboard.services import create_services
from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.ids import HybridClock
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.jobs.settings import JobSettings

ADMIN = "administrator-of-the-tests"
PASSWORD = "correct horse battery"

Run = Callable[..., click.testing.Result]


@pytest.fixture(scope="module")
def base_url(store: Store) -> Iterator[str]:
    registry = Registry(store)
    registry.save_project("shop")
    registry.create_key("shop", secret="ph_key-of-shop")
    authenticator = Authenticator(registry, admin_secret=ADMIN)
    integrations = build_integrations(store, HybridClock(), JobSettings())
    services = create_services(DashboardSettings(), store, registry, authenticator)
    with served(create_app(services, integrations)) as address:
        yield address


@pytest.fixture
def run(base_url: str) -> Run:
    def run_command(*arguments: str, key: str = ADMIN, typed: str = "") -> click.testing.Result:
        env = {"PHOSPHO_BASE_URL": base_url, "PHOSPHO_API_KEY": key}
        return click.testing.CliRunner().invoke(main, ["people", *arguments], env=env, input=typed, prog_name="phospho")

    return run_command


def status_of_sign_in(base_url: str, name: str, password: str) -> int:
    form = {"name": name, "password": password}
    return httpx.post(f"{base_url}/sign-in", data=form, headers={"Sec-Fetch-Site": "same-origin"}).status_code


def test_people_sign_in_from_add_until_remove(run: Run, base_url: str) -> None:
    added = run("add", "Ada@shop.example", "--role", "editor", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert (added.exit_code, added.output.splitlines()[-1]) == (0, "ada@shop.example may sign in, as editor.")
    assert PASSWORD not in added.output
    assert status_of_sign_in(base_url, "ada@shop.example", PASSWORD) == 303
    assert "ada@shop.example" in run("list").output

    assert run("password", "ada@shop.example", "--password-stdin", typed="another long one\n").exit_code == 0
    assert status_of_sign_in(base_url, "ada@shop.example", PASSWORD) == 401
    assert status_of_sign_in(base_url, "ada@shop.example", "another long one") == 303

    assert run("role", "ada@shop.example", "viewer").exit_code == 0
    assert "viewer" in run("list").output
    assert run("remove", "ada@shop.example").exit_code == 0
    assert status_of_sign_in(base_url, "ada@shop.example", "another long one") == 401


def test_roles_of_projects_are_given_changed_and_taken_back(run: Run) -> None:
    added = run("add", "dora", "--role", "none", "--in", "shop=editor", "--no-password")
    assert added.output.splitlines()[-1] == "dora may sign in, as none, editor in shop."
    assert run("role", "dora", "none", "--in", "shop").output == "dora is now none, none in shop.\n"
    assert run("role", "dora", "default", "--in", "shop").output == "dora is now none.\n"
    assert "no project" in run("role", "dora", "viewer", "--in", "absent").output
    assert run("add", "emil", "--in", "shop", "--no-password").exit_code == 2


def test_people_reports_what_the_server_refuses(run: Run) -> None:
    assert run("add", "bob", "--no-password").exit_code == 0
    for arguments, typed, words in (
        (("add", "bob", "--no-password"), "", "may sign in already"),
        (("add", "two words", "--no-password"), "", "invalid name"),
        (("add", "carol", "--password-stdin"), "short\n", "12 to 256 characters"),
        (("remove", "nobody"), "", "no person"),
    ):
        result = run(*arguments, typed=typed)
        assert result.exit_code == 1
        assert words in result.output


def test_people_needs_more_than_a_projects_key(run: Run) -> None:
    refused = run("add", "mallory", "--role", "admin", "--no-password", key="ph_key-of-shop")
    assert refused.exit_code == 1
    assert "mallory" not in run("list").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--proxy-header", "X-Forwarded-Email"], "name the proxy's address"),
        (
            ["--proxy-header", "X-Forwarded-Email", "--trusted-proxy", "proxy.internal"],
            "must be an address or a network",
        ),
        (["--proxy-header", "X-Forwarded-Email", "--trusted-proxy", "10.0.0.1", "--proxy-role", "king"], "king"),
    ],
)
def test_proxy_header_needs_the_addresses_of_its_proxy(arguments: list[str], words: str) -> None:
    """A header alone could be anybody's: the server does not start."""
    for command in ("dashboard", "up"):
        result = click.testing.CliRunner().invoke(main, [command, *arguments], prog_name="phospho")
        assert result.exit_code == 2
        assert words in result.output


def test_proxy_without_a_header_is_trusted_for_client_addresses() -> None:
    loaded: list[UpSettings] = []

    @click.command()
    @settings_options(UpSettings)
    def server(settings: UpSettings) -> None:
        loaded.append(settings)

    for arguments in (["--trusted-proxy", "127.0.0.1"], []):
        assert click.testing.CliRunner().invoke(server, arguments).exit_code == 0

    behind_proxy, alone = (settings.dashboard.sign_in for settings in loaded)
    assert (behind_proxy.trusted_proxies, behind_proxy.proxy_header) == (("127.0.0.1",), "")
    assert alone.trusted_proxies == ()
    assert [settings.has_open_pages for settings in loaded] == [False, True]
