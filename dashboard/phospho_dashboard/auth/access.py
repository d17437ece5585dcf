"""Access control: the visitor behind a request, and the project that it is about."""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.sign_ins import SignedIn, SignIns
from phospho_dashboard.auth.visitors import (
    FORM_FIELD,
    FORM_HEADER,
    LOCAL_USER,
    Visitor,
    check_form,
    check_site,
    form_token,
    key_visitor,
    person_visitor,
)
from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.web.forms import Form, read_form
from phospho_dashboard.web.origins import check_host, is_encrypted, is_from, is_proxied, networks
from phospho_dashboard.web.uploads import Upload, read_upload
from phospho_schemas.messages import Project
from phospho_schemas.rows.people import MAX_NAME_CHARACTERS, GivenRole, Person, Role, Roles, known_name
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.registry import Registry
from phospho_web.problems import Problem, unauthorized, wrong_project
from phospho_web.requests import PROJECT_HEADER, bearer_secret
from phospho_web.threads import StoreThreads

_READING_METHODS = frozenset({"GET", "HEAD"})
_SIGN_IN_HINT = "sign in at /sign-in, or send an API key in the header Authorization: Bearer ph_..."


def cookie_name(request: Request) -> str:
    """Return the name of the cookie; `__Host-` keeps other hosts of the domain from planting one of their own."""
    return "__Host-phospho" if is_encrypted(request) else "phospho"


def set_sign_in_cookie(response: Response, request: Request, token: str, lifetime_s: int) -> None:
    """Give the browser its token, out of reach of scripts and of requests that another site makes it send."""
    response.set_cookie(
        cookie_name(request), token, lifetime_s, path="/", secure=is_encrypted(request), httponly=True, samesite="lax"
    )


def local_cookie_name(secret: str) -> str:
    """Return a name of this server's own: a browser sends the cookies of all ports of a host to each of them."""
    return "phospho-local-" + hashlib.sha256(secret.encode()).hexdigest()[:8]


class Access:
    """
    The checks in front of every endpoint. Each raises Problem with 400, 401, 403, 404 or 421.

    `role` is the role that a person needs. By default a viewer may read, and only an admin may do anything else: an
    endpoint is opened to others where it says so. A visitor is let in who has the role in any project; `project_id`
    decides on the project, and each endpoint about one takes it from there.

    `form_key` signs the forms of people who have not signed in here: the local user, and people named by a proxy.
    """

    def __init__(
        self,
        settings: DashboardSettings,
        *,
        registry: Registry,
        authenticator: Authenticator,
        sign_ins: SignIns,
        threads: StoreThreads,
        form_key: str,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._authenticator = authenticator
        self._sign_ins = sign_ins
        self._threads = threads
        self._form_key = form_key
        self._proxies = networks(settings.sign_in.trusted_proxies)

    async def page_visitor(self, request: Request, role: GivenRole | None = None) -> Visitor:
        """Return the visitor of a page: the bearer of a key, a person, or the local user of open pages."""
        visitor = await self._visitor(request)
        return visitor.needing(role or ("viewer" if request.method in _READING_METHODS else "admin"))

    async def page_visitor_and_project(self, request: Request, role: Role | None = None) -> tuple[Visitor, str]:
        """Return the visitor of a page, and the project in its query."""
        visitor = await self.page_visitor(request, role)
        return visitor, await self.query_project(request, visitor)

    async def form_visitor(self, request: Request, role: GivenRole = "editor") -> tuple[Visitor, Form]:
        """Return the sender of a form of our pages, and the form. Raises Problem 413, 415 and 422 besides."""
        visitor = await self.page_visitor(request, role)
        form = await read_form(request, self._settings.max_body_bytes)
        check_form(request, visitor, form.raw(FORM_FIELD))
        _note_sender(request, visitor)
        return visitor, form

    async def form_visitor_and_project(self, request: Request, role: GivenRole) -> tuple[Visitor, str, Form]:
        """Return the sender of a form of our pages, the project in its query, and the form."""
        visitor, form = await self.form_visitor(request, role)
        return visitor, await self.query_project(request, visitor), form

    async def upload_visitor(self, request: Request, max_bytes: int, role: Role = "editor") -> tuple[Visitor, Upload]:
        """Return the sender of a form with a file, and both; who may not send it has its body read no further."""
        visitor = await self.page_visitor(request, role)
        if visitor.form_token:
            check_site(request)
        upload = await read_upload(request, max_bytes)
        try:
            check_form(request, visitor, upload.form.raw(FORM_FIELD))
        except Problem:
            upload.content.close()
            raise
        _note_sender(request, visitor)
        return visitor, upload

    async def api_visitor(self, request: Request, role: Role | None = None) -> Visitor:
        """Return the caller of the API: the bearer of a key, or a person whose page sends its form token."""
        token = request.headers.get(FORM_HEADER, "")
        if bearer_secret(request) is None and not token:
            raise unauthorized()
        visitor = await self.page_visitor(request, role)
        check_form(request, visitor, token)
        _note_sender(request, visitor)
        return visitor

    async def api_visitor_and_project(self, request: Request, role: Role | None = None) -> tuple[Visitor, str]:
        """Return the caller of the API, and the project of the request."""
        visitor = await self.api_visitor(request, role)
        return visitor, await self.project_id(request, visitor, request.headers.get(PROJECT_HEADER))

    async def api_project(self, request: Request, role: Role | None = None) -> str:
        """Return the project of an API request: the key's, or for callers that see all projects the header's."""
        return (await self.api_visitor_and_project(request, role))[1]

    async def query_project(self, request: Request, visitor: Visitor) -> str:
        """Return the project in the query, or the oldest one."""
        return await self.project_id(request, visitor, request.query_params.get("project") or None)

    async def project_id(self, request: Request, visitor: Visitor, requested: str | None) -> str:
        """
        Return the project of a request: the key's own, else the one requested, else the oldest that the visitor sees.

        Raises Problem 403 where the visitor's role there is too low, and 404 where they have none.
        """
        project_id = await self.visible_project(visitor, requested)
        visitor.check_in(project_id)
        _note_project(request, project_id)
        return project_id

    async def visible_project(self, visitor: Visitor, requested: str | None) -> str:
        """Return the project that is requested, or the oldest that the visitor sees; Problem 404 without one."""
        if visitor.project_id is not None:
            return _own_project(visitor.project_id, requested)
        project_ids = [project.project_id for project in await self.projects(visitor)]
        if requested is None and project_ids:
            return project_ids[0]
        if requested is None and not visitor.is_admin:
            raise Problem(404, "no_project", "there is no project that you may see", "ask an admin for a role")
        if requested is None:
            raise Problem(404, "no_project", "there is no project yet", "create one: phospho projects create NAME")
        if requested not in project_ids:
            hint = "list them: phospho projects list"
            raise Problem(404, "unknown_project", f"there is no project {requested!r}", hint)
        return requested

    async def projects(self, visitor: Visitor) -> list[Project]:
        """Return the projects that a visitor may see, the oldest first."""
        projects = await self._threads.run(self._registry.projects)
        return [
            project
            for project in projects
            if visitor.project_id in (None, project.project_id) and visitor.may_in(project.project_id, "viewer")
        ]

    async def _visitor(self, request: Request) -> Visitor:
        secret = bearer_secret(request)
        if secret is not None:
            return await self._key_visitor(secret)
        visitor = await self._proxy_visitor(request) or await self._cookie_visitor(request)
        if visitor is not None:
            return visitor
        settings = self._settings
        if not settings.pages_open or is_proxied(request) or not _is_opened(request, settings.local_secret):
            raise Problem(401, "unauthorized", "you are not signed in", _SIGN_IN_HINT)
        check_host(request, settings.allowed_hosts)
        return self._visitor_without_cookie(LOCAL_USER, Roles("admin"))

    async def _key_visitor(self, secret: str) -> Visitor:
        principal = self._authenticator.cached(secret)
        if principal is None:
            principal = await self._threads.run(self._authenticator.principal, secret)
        if principal is None:
            raise unauthorized()
        return key_visitor(principal)

    async def _cookie_visitor(self, request: Request) -> Visitor | None:
        token = request.cookies.get(cookie_name(request), "")
        signed_in = await self._signed_in(token) if token else None
        if signed_in is None:
            return None
        person = signed_in.person
        return person_visitor(person.name, person.roles, form_token(token, person.name), has_signed_in=True)

    async def _signed_in(self, token: str) -> SignedIn | None:
        return self._sign_ins.cached(token) or await self._threads.run(self._sign_ins.signed_in, token)

    async def _proxy_visitor(self, request: Request) -> Visitor | None:
        """Return the person named by a trusted proxy, or None: anybody else can send the header too."""
        sign_in = self._settings.sign_in
        name = known_name(request.headers.get(sign_in.proxy_header, "")) if sign_in.proxy_header else ""
        if not name or len(name) > MAX_NAME_CHARACTERS or not is_from(request, self._proxies):
            return None
        person = await self._threads.run(self._sign_ins.directory.people.person, name)
        if person is not None:
            return self._visitor_without_cookie(name, person.roles)
        if sign_in.proxy_role is None:
            raise Problem(403, "unknown_person", f"{name!r} may not see these pages", "ask an admin to add you")
        return self._visitor_without_cookie(name, Roles(sign_in.proxy_role))

    def _visitor_without_cookie(self, name: str, roles: Roles) -> Visitor:
        """Return a person whose browser holds no secret of ours: the server's own key signs their forms."""
        return person_visitor(name, roles, form_token(self._form_key, name))


def _note_sender(request: Request, visitor: Visitor) -> None:
    """Leave for the audit log who sends a request; it belongs to the installation until a project is resolved."""
    request.state.audit = {"author": visitor.author, "project_id": ""}


def _note_project(request: Request, project_id: str) -> None:
    if hasattr(request.state, "audit"):
        request.state.audit["project_id"] = project_id


def note_change(request: Request, person: Person) -> None:
    """Leave for the audit log the roles of a person whom an admin has added or changed."""
    request.state.audit["change"] = f"{person.name} is {person.roles}"


def note_roles(request: Request, person: Person) -> None:
    """Leave for the audit log the roles that a provider's groups give to a person who signs in."""
    request.state.audit = {"author": person.name, "project_id": ""}
    note_change(request, person)


def _own_project(own_project_id: str, requested: str | None) -> str:
    if requested not in (None, own_project_id):
        raise wrong_project()
    return own_project_id


def _is_opened(request: Request, secret: str) -> bool:
    """Tell whether this browser was once opened with the secret; an empty one is everybody's."""
    cookie = request.cookies.get(local_cookie_name(secret), "")
    return not secret or hmac.compare_digest(cookie.encode("utf-8", "replace"), secret.encode())
