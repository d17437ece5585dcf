"""Who may see and do what: keys for the API, people for the pages, and the project that a request means."""

from __future__ import annotations

from starlette.requests import Request

from phospho_dashboard.auth.local_user import is_opened
from phospho_dashboard.auth.sign_in import SignedIn
from phospho_dashboard.auth.visitors import LOCAL_USER, Visitor, key_visitor, person_visitor
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import FORM_FIELD, FORM_HEADER, Form, check_form, form_token, read_form
from phospho_dashboard.web.origins import check_host, is_encrypted, is_from, is_passed_on, networks
from phospho_schemas.messages import Project
from phospho_schemas.people import MAX_NAME_CHARACTERS, Role, known_name
from phospho_store.registry.authentication import Principal
from phospho_web.access import PROJECT_HEADER, bearer_secret
from phospho_web.problems import Problem, unauthorized, wrong_project

_READING = frozenset({"GET", "HEAD"})
_SIGN_IN = "sign in at /sign-in, or send an API key in the header Authorization: Bearer ph_..."


def cookie_name(request: Request) -> str:
    """Return the name of the cookie; `__Host-` keeps other hosts of the domain from planting one of their own."""
    return "__Host-phospho" if is_encrypted(request) else "phospho"


class Access:
    """
    The checks in front of every endpoint. Each raises Problem with 400, 401, 403, 404 or 421.

    `needs` is the role that a person must have. Where none is named, a viewer may read, and an admin alone do what is
    no reading: an endpoint is opened to others where it says so.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sign_in = services.settings.sign_in
        self._proxies = networks(self._sign_in.trusted_proxies)

    async def of_api(self, request: Request, needs: Role | None = None) -> Visitor:
        """Return who asks the API: the bearer of a key, or a person whose page sends its form token along."""
        token = request.headers.get(FORM_HEADER, "")
        if bearer_secret(request) is None and not token:
            raise unauthorized()
        visitor = await self.of_page(request, needs)
        check_form(request, visitor, token)
        return visitor

    async def of_page(self, request: Request, needs: Role | None = None) -> Visitor:
        """Return who asks for a page: the bearer of a key, who has signed in, or the local user of open pages."""
        visitor = await self._visitor(request)
        visitor.check(needs or ("viewer" if request.method in _READING else "admin"))
        return visitor

    async def of_form(self, request: Request, needs: Role = "editor") -> tuple[Visitor, Form]:
        """Return who has sent a form from a page of ours, and the form. Raises Problem 413, 415 and 422 besides."""
        visitor = await self.of_page(request, needs)
        form = await read_form(request, self._services.settings.max_body_bytes)
        check_form(request, visitor, form.raw(FORM_FIELD))
        return visitor, form

    async def project_id(self, principal: Principal, wanted: str | None) -> str:
        """Return the project that a request is about: the key's own, else the one named, else the oldest."""
        if principal.project_id is not None:
            return _own_project(principal.project_id, wanted)
        projects = await self.projects(principal)
        known = [project.project_id for project in projects]
        if wanted is None and known:
            return known[0]
        if wanted is None:
            raise Problem(404, "no_project", "there is no project yet", "create one: phospho projects create NAME")
        if wanted not in known:
            raise Problem(404, "unknown_project", f"there is no project {wanted!r}", "list them: phospho projects list")
        return wanted

    async def projects(self, principal: Principal) -> list[Project]:
        """Return the projects that `principal` may see, the oldest first."""
        projects = await self._services.threads.run(self._services.registry.projects)
        return [p for p in projects if principal.project_id in (None, p.project_id)]

    async def of_api_project(self, request: Request, needs: Role | None = None) -> str:
        """Return the project of an API request: the key's, or for who may see all of them the header's."""
        return (await self.of_api_with_project(request, needs))[1]

    async def of_api_with_project(self, request: Request, needs: Role | None = None) -> tuple[Visitor, str]:
        """Return who asks the API, and the project of the request."""
        visitor = await self.of_api(request, needs)
        return visitor, await self.project_id(visitor, request.headers.get(PROJECT_HEADER))

    async def _visitor(self, request: Request) -> Visitor:
        secret = bearer_secret(request)
        if secret is not None:
            return await self._of_key(secret)
        visitor = await self._of_proxy(request) or await self._of_cookie(request)
        if visitor is not None:
            return visitor
        settings = self._services.settings
        if not settings.pages_open or is_passed_on(request) or not is_opened(request, settings.local_secret):
            raise Problem(401, "unauthorized", "you are not signed in, or not any more", _SIGN_IN)
        check_host(request, settings.allowed_hosts)
        return self._unsigned(LOCAL_USER, "admin")

    async def _of_key(self, secret: str) -> Visitor:
        authenticator = self._services.authenticator
        known = authenticator.cached(secret) or await self._services.threads.run(authenticator.principal, secret)
        if known is None:
            raise unauthorized()
        return key_visitor(known)

    async def _of_cookie(self, request: Request) -> Visitor | None:
        token = request.cookies.get(cookie_name(request), "")
        signed_in = await self._signed_in(token) if token else None
        if signed_in is None:
            return None
        name, role = signed_in.person.name, signed_in.person.role
        return person_visitor(name, role, form_token(token, name), has_signed_in=True)

    async def _signed_in(self, token: str) -> SignedIn | None:
        desk = self._services.desk
        return desk.cached(token) or await self._services.threads.run(desk.signed_in, token)

    async def _of_proxy(self, request: Request) -> Visitor | None:
        """Return whom a trusted proxy names; None where none does: anybody can send a header."""
        header = self._sign_in.proxy_header
        name = known_name(request.headers.get(header, "")) if header else ""
        if not name or len(name) > MAX_NAME_CHARACTERS or not is_from(request, self._proxies):
            return None
        person = await self._services.threads.run(self._services.desk.directory.people.person, name)
        role = person.role if person is not None else self._sign_in.proxy_role
        if role is None:
            raise Problem(403, "unknown_person", f"{name!r} may not see these pages", "ask an admin to add you")
        return self._unsigned(name, role)

    def _unsigned(self, name: str, role: Role) -> Visitor:
        """Return somebody whose browser holds no secret of ours: this server's own signs their forms."""
        return person_visitor(name, role, form_token(self._services.form_key, name))


def _own_project(own: str, wanted: str | None) -> str:
    if wanted not in (None, own):
        raise wrong_project()
    return own
