"""The routes of the API and of the pages, and the app that serves them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from phospho_dashboard.analytics.export_pages import ExportPages
from phospho_dashboard.analytics.pages import Pages
from phospho_dashboard.annotations.api import ActingApi
from phospho_dashboard.annotations.pages import acting_routes
from phospho_dashboard.auth.account_pages import account_routes
from phospho_dashboard.auth.local_user import local_routes
from phospho_dashboard.auth.passwords import Passwords
from phospho_dashboard.auth.sign_in import SignInDesk
from phospho_dashboard.auth.sign_in_pages import sign_in_routes
from phospho_dashboard.dead_letters.api import DeadLettersApi
from phospho_dashboard.dead_letters.pages import dead_letter_routes
from phospho_dashboard.definitions.backfill_pages import backfill_routes
from phospho_dashboard.definitions.backfills import BackfillDesk
from phospho_dashboard.definitions.label_queue_pages import label_queue_routes
from phospho_dashboard.definitions.pages import definition_routes
from phospho_dashboard.definitions.preview_api import PreviewApi
from phospho_dashboard.definitions.registry_api import RegistryApi
from phospho_dashboard.definitions.version_pages import version_routes
from phospho_dashboard.health.health import Metrics
from phospho_dashboard.health.pages import health_routes
from phospho_dashboard.job_tools import Tools
from phospho_dashboard.judgements.api import LlmApi
from phospho_dashboard.judgements.pages import llm_routes
from phospho_dashboard.layout.views import View, ViewEndpoints
from phospho_dashboard.openapi.document import openapi_routes
from phospho_dashboard.people.api import PeopleApi
from phospho_dashboard.people.directory import Directory
from phospho_dashboard.people.pages import people_routes
from phospho_dashboard.projects.settings_pages import settings_routes
from phospho_dashboard.services import DefinitionCheck, FeedbackReading, Preview, Publisher, Services
from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.sql.api import SqlApi
from phospho_dashboard.web.routes import api_route
from phospho_dashboard.web.static_files import static_routes
from phospho_dashboard.webhooks.api import job_routes
from phospho_dashboard.webhooks.pages import webhook_routes
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.people import People
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_store.threads import StoreThreads


def create_services(
    settings: DashboardSettings,
    store: Store,
    registry: Registry,
    authenticator: Authenticator,
    publisher: Publisher | None,
    check_definition: DefinitionCheck,
    tools: Tools,
    *,
    read_feedback: FeedbackReading | None = None,
    preview: Preview | None = None,
    own_metrics: Metrics | None = None,
    passwords: Passwords | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Services:
    """Return what the routes stand on; share it where one process serves both lists of routes."""
    waiting = settings.max_waiting_requests
    directory = Directory(People(store), passwords or Passwords(), now)
    return Services(
        settings,
        store,
        registry,
        authenticator,
        publisher,
        check_definition,
        tools,
        threads=StoreThreads(settings.store_threads, waiting),
        sql_store=store.sibling(settings.sql_queries),
        sql_threads=StoreThreads(settings.sql_queries, waiting),
        export_store=store.sibling(settings.exports),
        export_threads=StoreThreads(settings.exports, waiting),
        slow_threads=StoreThreads(settings.slow_calls, waiting),
        desk=SignInDesk(directory, settings.sign_in, now),
        password_threads=StoreThreads(settings.password_threads, waiting),
        form_key=settings.form_key or secrets.token_urlsafe(32),
        read_feedback=read_feedback,
        preview=preview,
        own_metrics=own_metrics,
    )


def create_app(services: Services) -> Starlette:
    """Return one app with the API and the pages."""
    return Starlette(routes=[*api_routes(services), *page_routes(services)])


def api_routes(services: Services) -> list[BaseRoute]:
    """Return the routes under /api/v1 that are not the gateway's. Every answer and every error is JSON."""
    registry, letters, endpoints = RegistryApi(services), DeadLettersApi(services), ViewEndpoints(services)
    people, acting = PeopleApi(services), ActingApi(services)
    return [
        api_route("POST", "/sql", SqlApi(services).query),
        api_route("GET", "/definitions", registry.definitions),
        api_route("POST", "/definitions", registry.apply_definitions),
        api_route("POST", "/definitions/preview", PreviewApi(services).preview),
        api_route("POST", "/definitions/delete", registry.delete_definitions),
        api_route("DELETE", "/definitions/{name:any_text}", registry.delete_definition),
        api_route("GET", "/keys", registry.keys),
        api_route("POST", "/keys", registry.create_key),
        api_route("DELETE", "/keys/{key_id}", registry.revoke_key),
        api_route("GET", "/projects", registry.projects),
        api_route("POST", "/projects", registry.create_project),
        api_route("PATCH", "/projects/{project_id}", registry.change_project),
        api_route("GET", "/people", people.people),
        api_route("POST", "/people", people.add),
        api_route("PATCH", "/people/{name:any_text}", people.change),
        api_route("DELETE", "/people/{name:any_text}", people.remove),
        api_route("GET", "/labels", acting.labels),
        api_route("POST", "/labels", acting.save_labels),
        api_route("POST", "/tasks/{task_id:any_text}/notes", acting.write_note),
        api_route("DELETE", "/tasks/{task_id:any_text}/notes/{note_id}", acting.delete_note),
        *(endpoints.api_route(view) for view in _views(services)),
        api_route("GET", "/llm-usage", LlmApi(services).usage),
        api_route("GET", "/dead-letters", letters.dead_letters),
        api_route("GET", "/dead-letters/{dead_letter_id}", letters.dead_letter),
        api_route("POST", "/dead-letters/{dead_letter_id}/replay", letters.replay),
        *job_routes(services),
        *openapi_routes(),
    ]


def page_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of the pages, their JSON twins and their static files."""
    endpoints = ViewEndpoints(services)
    pages = [route for view in _views(services) for route in endpoints.routes(view)]
    return [
        *ExportPages(services).routes(),
        *pages,
        *acting_routes(services),
        *definition_routes(services),
        *label_queue_routes(services),
        *backfill_routes(services),
        *version_routes(services),
        *sign_in_routes(services),
        *local_routes(services),
        *account_routes(services),
        *people_routes(services),
        *settings_routes(services),
        *webhook_routes(services),
        *llm_routes(services),
        *dead_letter_routes(services),
        *health_routes(services),
        *static_routes(),
    ]


def _views(services: Services) -> list[View]:
    backfills = BackfillDesk(services.registry, services.tools)
    return Pages(services.store, services.registry, services.settings.prices, backfills).views()
