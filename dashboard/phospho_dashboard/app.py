"""The routes of the API and of the pages, and the app that serves them."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from phospho_dashboard.answers import Endpoint, answered
from phospho_dashboard.dead_letters_api import DeadLettersApi
from phospho_dashboard.export_pages import ExportPages
from phospho_dashboard.pages import Pages
from phospho_dashboard.registry_api import RegistryApi
from phospho_dashboard.services import DefinitionCheck, Publisher, Services
from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.sql_api import SqlApi
from phospho_dashboard.static_files import static_routes
from phospho_store.threads import StoreThreads
from phospho_dashboard.views import View, ViewEndpoints
from phospho_store.auth import Authenticator
from phospho_store.registry import Registry
from phospho_store.store import Store


def create_services(
    settings: DashboardSettings,
    store: Store,
    registry: Registry,
    authenticator: Authenticator,
    publisher: Publisher | None,
    check_definition: DefinitionCheck,
) -> Services:
    """Return what the routes stand on; share it where one process serves both lists of routes."""
    threads = StoreThreads(settings.store_threads, settings.max_waiting_requests)
    sql_threads = StoreThreads(settings.sql_queries, settings.max_waiting_requests)
    sql_store = store.sibling(settings.sql_queries)
    return Services(
        settings, store, registry, authenticator, publisher, check_definition, threads, sql_store, sql_threads
    )


def create_app(
    settings: DashboardSettings,
    store: Store,
    registry: Registry,
    authenticator: Authenticator,
    publisher: Publisher | None,
    check_definition: DefinitionCheck,
) -> Starlette:
    """Return one app with the API and the pages."""
    services = create_services(settings, store, registry, authenticator, publisher, check_definition)
    return Starlette(routes=[*api_routes(services), *page_routes(services)])


def api_routes(services: Services) -> list[BaseRoute]:
    """Return the routes under /api/v1 that are not the gateway's. Every answer and every error is JSON."""
    people, letters, endpoints = RegistryApi(services), DeadLettersApi(services), ViewEndpoints(services)
    return [
        _api("POST", "/sql", SqlApi(services).query),
        _api("GET", "/definitions", people.definitions),
        _api("POST", "/definitions", people.apply_definitions),
        _api("DELETE", "/definitions/{name:any_text}", people.delete_definition),
        _api("GET", "/keys", people.keys),
        _api("POST", "/keys", people.create_key),
        _api("DELETE", "/keys/{key_id}", people.revoke_key),
        _api("GET", "/projects", people.projects),
        _api("POST", "/projects", people.create_project),
        *(endpoints.api_route(view) for view in _views(services)),
        _api("GET", "/dead-letters", letters.dead_letters),
        _api("GET", "/dead-letters/{dead_letter_id}", letters.dead_letter),
        _api("POST", "/dead-letters/{dead_letter_id}/replay", letters.replay),
    ]


def page_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of the pages, their JSON twins and their static files."""
    endpoints = ViewEndpoints(services)
    pages = [route for view in _views(services) for route in endpoints.routes(view)]
    return [*ExportPages(services).routes(), *pages, *static_routes()]


def _views(services: Services) -> list[View]:
    return Pages(services.store, services.registry, services.settings.prices).views()


def _api(method: str, path: str, endpoint: Endpoint) -> Route:
    return Route(f"/api/v1{path}", answered(endpoint), methods=[method])
