"""The app of the query API and the pages: the routes of each feature, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from phospho_dashboard.alerts.api import AlertsApi
from phospho_dashboard.alerts.pages import AlertPages
from phospho_dashboard.analytics.api import SessionsApi, analytics_operations
from phospho_dashboard.analytics.exports import ExportPages
from phospho_dashboard.analytics.pages import analytics_views
from phospho_dashboard.analytics.similar import MeaningReader
from phospho_dashboard.analytics.whole_logs import WholeLogsApi
from phospho_dashboard.annotations.annotations import FeedbackReader
from phospho_dashboard.annotations.api import AnnotationsApi
from phospho_dashboard.annotations.pages import AnnotationForms
from phospho_dashboard.audit.log import Audit, AuditLog
from phospho_dashboard.audit.pages import AuditApi, AuditPages
from phospho_dashboard.backups.api import BackUp, BackupsApi
from phospho_dashboard.changes.pages import ChangesPage, changes_operations
from phospho_dashboard.dead_letters.api import DeadLettersApi
from phospho_dashboard.dead_letters.pages import DeadLetterPages
from phospho_dashboard.definitions.api import DefinitionsApi, VersionsApi
from phospho_dashboard.definitions.backfills import BackfillPages, Backfills, BackfillsApi
from phospho_dashboard.definitions.library import LibraryPage
from phospho_dashboard.definitions.pages import DefinitionPages
from phospho_dashboard.definitions.quality import DefinitionQuality
from phospho_dashboard.definitions.trial_pages import LabelQueuePages, VersionPages
from phospho_dashboard.detection import Detection, checked_definition
from phospho_dashboard.explore.api import BoardsApi, explore_operations
from phospho_dashboard.explore.board_pages import BoardForms, BoardPages
from phospho_dashboard.explore.pages import ExploreCsv, ExplorePage
from phospho_dashboard.health.freshness import dead_letter_count, freshness
from phospho_dashboard.health.pages import HealthPages
from phospho_dashboard.health.processes import MetricsReader
from phospho_dashboard.imports.pages import ImportPages
from phospho_dashboard.imports.pull import Fetch
from phospho_dashboard.imports.run import EventIntake
from phospho_dashboard.judgements.llm_usage import JudgementPages, JudgementsApi
from phospho_dashboard.layout.view_endpoints import ViewEndpoints
from phospho_dashboard.layout.views import View
from phospho_dashboard.ledger.api import LedgerApi
from phospho_dashboard.ledger.pages import LedgerPages
from phospho_dashboard.people.account_pages import AccountPages
from phospho_dashboard.people.api import PeopleApi
from phospho_dashboard.people.pages import PeoplePages
from phospho_dashboard.people.sign_in_pages import SignInPages
from phospho_dashboard.privacy.api import ForgetApi
from phospho_dashboard.privacy.pages import ForgetForm
from phospho_dashboard.privacy.reports import ReportSigner
from phospho_dashboard.projects.api import KeysApi, ProjectsApi
from phospho_dashboard.projects.pages import KeyPages, ProjectPages
from phospho_dashboard.projects.sample_data import DefinitionReader, SampleDataApi, SampleDataForm, SampleSource
from phospho_dashboard.projects.settings_pages import SettingsPages
from phospho_dashboard.saved_views.api import SavedViewForms, SavedViewsApi
from phospho_dashboard.services import ApiEndpoints, Services
from phospho_dashboard.sql.api import SavedQueriesApi, SqlApi
from phospho_dashboard.sql.pages import SqlPages
from phospho_dashboard.themes.api import ThemesApi, theme_operations
from phospho_dashboard.themes.pages import ThemeForms, theme_views
from phospho_dashboard.web.rendering import static_routes
from phospho_dashboard.web.transfer import light_responses
from phospho_dashboard.webhooks.api import WebhooksApi
from phospho_dashboard.webhooks.pages import WebhookPages
from phospho_dashboard.webhooks.webhooks import WebhookSending
from phospho_web import openapi
from phospho_web.openapi import Api, Json, Operation, Problems, header_parameter


@dataclass(frozen=True)
class Integrations:
    """
    Functions of other packages, handed in by the process: this package imports neither gateway nor workers.

    `intake` is None where nothing can be logged, `fetch` where nothing can be pulled from other systems,
    `read_feedback` where flags can't be set, `own_metrics` where the process shows no metrics of its own, `sample`
    where it has no sample data.
    `secret_key` signs reports of what was forgotten; without it nothing is forgotten.
    `back_up` is None where the store is not in this process.
    """

    detection: Detection
    meaning: MeaningReader
    webhooks: WebhookSending
    intake: EventIntake | None = None
    fetch: Fetch | None = None
    read_feedback: FeedbackReader | None = None
    own_metrics: MetricsReader | None = None
    sample: SampleSource | None = None
    secret_key: str = field(default="", repr=False)
    back_up: BackUp | None = None


def create_app(services: Services, integrations: Integrations) -> Starlette:
    """Return one app with the API and the pages."""
    routes = [*api_routes(services, integrations), *page_routes(services, integrations)]
    return Starlette(routes=routes, middleware=[*light_responses(), *audited(services)])


def audited(services: Services) -> list[Middleware]:
    """Return the middleware that records changes."""
    return [Middleware(Audit, log=AuditLog(services.store, services.clock))]


_APIS: tuple[type[ApiEndpoints], ...] = (
    SqlApi,
    SavedQueriesApi,
    SavedViewsApi,
    DefinitionsApi,
    VersionsApi,
    BackfillsApi,
    ProjectsApi,
    KeysApi,
    SampleDataApi,
    PeopleApi,
    AnnotationsApi,
    SessionsApi,
    WholeLogsApi,
    JudgementsApi,
    DeadLettersApi,
    LedgerApi,
    WebhooksApi,
    ForgetApi,
    BackupsApi,
    AuditApi,
    ThemesApi,
    AlertsApi,
    BoardsApi,
)


# Those that need more than the services.
_API_BUILDERS: Mapping[type[ApiEndpoints], Callable[[Services, Integrations], ApiEndpoints]] = {
    DefinitionsApi: lambda services, given: DefinitionsApi(services, given.detection),
    VersionsApi: lambda services, given: VersionsApi(services, given.detection),
    BackfillsApi: lambda services, given: BackfillsApi(services, given.detection),
    SampleDataApi: lambda services, given: SampleDataApi(services, given.sample, _definition_reader(given.detection)),
    WebhooksApi: lambda services, given: WebhooksApi(services, given.webhooks),
    ForgetApi: lambda services, given: ForgetApi(services, ReportSigner(given.secret_key)),
    BackupsApi: lambda services, given: BackupsApi(services, given.back_up),
    ThemesApi: lambda services, given: ThemesApi(services, given.detection),
    AlertsApi: lambda services, given: AlertsApi(services, given.webhooks),
}


def api_routes(services: Services, integrations: Integrations) -> list[BaseRoute]:
    """Return the routes under /api/v1 that are not the gateway's. Every answer and every error is JSON."""
    views = ViewEndpoints(services)
    return [
        *(route for api in _APIS for route in _built(api, services, integrations).routes()),
        *(views.api_route(view) for view in _views(services, integrations)),
        *openapi_routes(api_operations),
    ]


def _built(api: type[ApiEndpoints], services: Services, integrations: Integrations) -> ApiEndpoints:
    build = _API_BUILDERS.get(api)
    return api(services) if build is None else build(services, integrations)


def api_operations() -> list[Operation]:
    """Return the descriptions of all API routes."""
    of_views = [*analytics_operations(), *theme_operations(), *changes_operations(), *explore_operations()]
    return [*of_views, *(operation for api in _APIS for operation in api.operations())]


def page_routes(services: Services, integrations: Integrations) -> list[BaseRoute]:
    """Return the routes of the pages, their JSON twins and their static files."""
    endpoints = ViewEndpoints(services)
    return [
        *ExportPages(services).routes(),
        *ExploreCsv(services).routes(),
        *WholeLogsApi(services).page_routes(),
        *(route for view in _views(services, integrations) for route in endpoints.page_routes(view)),
        endpoints.filter_values_route(),
        *AnnotationForms(services, integrations.read_feedback).routes(),
        *DefinitionPages(services, integrations.detection).routes(),
        *LibraryPage(services, integrations.detection).routes(),
        *LabelQueuePages(services, integrations.detection).routes(),
        *BackfillPages(services, integrations.detection).routes(),
        *VersionPages(services, integrations.detection).routes(),
        *ForgetForm(services, ReportSigner(integrations.secret_key)).routes(),
        *SignInPages(services).routes(),
        *AccountPages(services).routes(),
        *PeoplePages(services).routes(),
        *SettingsPages(services).routes(),
        *KeyPages(services).routes(),
        *ProjectPages(services).routes(),
        *SampleDataForm(services, integrations.sample, _definition_reader(integrations.detection)).routes(),
        *ImportPages(services, integrations.intake, integrations.fetch).routes(),
        *SqlPages(services).routes(),
        *SavedViewForms(services).routes(),
        *AlertPages(services, integrations.webhooks).routes(),
        *WebhookPages(services, integrations.webhooks).routes(),
        *ThemeForms(services, integrations.detection).routes(),
        *BoardForms(services).routes(),
        *JudgementPages(services).routes(),
        *DeadLetterPages(services).routes(),
        *LedgerPages(services).routes(),
        *AuditPages(services).routes(),
        *HealthPages(services, integrations.own_metrics).routes(),
        *static_routes(),
    ]


def _definition_reader(detection: Detection) -> DefinitionReader:
    return lambda project_id, item: checked_definition(project_id, dict(item), detection.check)


def _views(services: Services, integrations: Integrations) -> list[View]:
    backfills = Backfills(services, integrations.detection)
    changes = ChangesPage(services)
    analytics = analytics_views(
        services,
        changes=changes.of,
        meaning=integrations.meaning,
        freshness=partial(freshness, services.store),
        count_dead_letters=partial(dead_letter_count, services.store),
        quality=DefinitionQuality(services.store).read,
        backfills=backfills.of_event,
        unchecked_tasks=backfills.unchecked_tasks,
    )
    explore = [*changes.views(), *ExplorePage(services).views(), *BoardPages(services).views()]
    return [*analytics, *theme_views(services.store), *explore]


_API = Api(
    title="phospho: query and management",
    description="Read tasks, sessions and events, and manage definitions. Ingest is described in /openapi.json of "
    "the same server. Errors have one shape: code, message, hint. Lists come in pages: send `next_cursor` of one as "
    "`cursor` of the next, until it is null; rows that come meanwhile move nothing.",
    problems=Problems(
        {
            400: "The query or the body can't be read.",
            401: "The API key is missing, unknown or revoked.",
            403: "The key is another project's, or may not do this.",
            404: "There is nothing of that name.",
            409: "It is there already, or stands in the way of something.",
            413: "The body is too large.",
            422: "The content is not valid; the message says what and why.",
            503: "ClickHouse or Kafka does not answer: send the same request again after the time in Retry-After.",
        }
    ),
    parameters=(
        header_parameter(
            "X-Phospho-Project", "The project, for an administrator's key; the oldest one where it is missing."
        ),
    ),
    prefix="/api/v1",
)


def document(operations: Iterable[Operation]) -> Json:
    """Return the document."""
    return openapi.document(_API, operations)


def openapi_routes(operations: Callable[[], Iterable[Operation]]) -> list[BaseRoute]:
    """Return the route of the document, which the first request makes. It needs no key: it names no project."""

    async def openapi_json(request: Request) -> Response:
        return Response(_encoded_document(operations), media_type=openapi.JSON)

    return [Route("/api/openapi.json", openapi_json)]


@cache
def _encoded_document(operations: Callable[[], Iterable[Operation]]) -> bytes:
    return openapi.encoded(document(operations()))
