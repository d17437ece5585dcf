"""The look-up of API keys: cached, revocable, and good for a while without a store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from fixtures.clickhouse_server import ClickHouseServer
from phospho_schemas.messages import KEY_SCOPES, ApiKey
from phospho_schemas.times import utc_now
from phospho_store.clickhouse import remote
from phospho_store.errors import StoreUnavailable
from phospho_store.migrations import migrate
from phospho_store.registry.authentication import Authenticator, Principal
from phospho_store.registry.registry import Registry


class Clock:
    """Seconds that pass when a test says so."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(registry: Registry, clock: Clock) -> Authenticator:
    return Authenticator(registry, admin_secret="the administrator", ttl_s=5, clock=clock)


def test_a_secret_tells_its_project(authenticator: Authenticator, registry: Registry, project_id: str) -> None:
    secret = registry.create_key(project_id).secret
    assert authenticator.cached(secret) is None
    assert authenticator.principal(secret) == Principal(project_id)
    assert authenticator.cached(secret) == Principal(project_id)


def test_a_key_has_the_scopes_it_was_created_with(
    authenticator: Authenticator, registry: Registry, project_id: str
) -> None:
    principals = [
        authenticator.principal(registry.create_key(project_id, scopes=scopes).secret)
        for scopes in (["ingest"], ["read"], ["ingest", "read"], ["admin"])
    ]
    granted = [
        [scope for scope in KEY_SCOPES if principal is not None and principal.has_scope(scope)]
        for principal in principals
    ]
    assert granted == [["ingest"], ["read"], ["ingest", "read"], ["ingest", "read", "admin"]]


def test_a_key_expires_also_while_it_is_cached(
    authenticator: Authenticator, registry: Registry, project_id: str, clock: Clock
) -> None:
    past, soon = utc_now() - timedelta(seconds=1), utc_now() + timedelta(hours=1)
    assert authenticator.principal(registry.create_key(project_id, expires_at=past).secret) is None
    secret = registry.create_key(project_id, expires_at=soon).secret
    assert authenticator.principal(secret) is not None
    clock.now_s += 3599 - 600
    assert authenticator.principal(secret) is not None
    clock.now_s += 601
    assert authenticator.cached(secret) is None
    assert authenticator.stale(secret) is None


def test_the_administrator_needs_no_query(authenticator: Authenticator) -> None:
    assert authenticator.cached("the administrator") == Principal(None, is_admin=True)


@pytest.mark.parametrize("secret", ["", "unknown", "the administrator ", "\udc80", "é" * 1000])
def test_an_unknown_secret_is_nobody(authenticator: Authenticator, secret: str) -> None:
    assert authenticator.principal(secret) is None
    assert authenticator.principal(secret) is None


def test_without_an_admin_secret_nobody_is_the_administrator(registry: Registry) -> None:
    assert Authenticator(registry, admin_secret="").principal("") is None


def test_a_revoked_key_works_for_the_ttl_and_no_longer(
    authenticator: Authenticator, registry: Registry, project_id: str, clock: Clock
) -> None:
    new = registry.create_key(project_id)
    authenticator.principal(new.secret)
    registry.revoke_key(project_id, new.key.key_id)
    clock.now_s += 5
    assert authenticator.principal(new.secret) == Principal(project_id)
    clock.now_s += 0.001
    assert authenticator.cached(new.secret) is None
    assert authenticator.principal(new.secret) is None


def test_a_key_made_after_it_was_refused_works_after_the_ttl(
    authenticator: Authenticator, registry: Registry, project_id: str, clock: Clock
) -> None:
    secret = f"chosen-secret-of-{project_id}"
    assert authenticator.principal(secret) is None
    registry.create_key(project_id, secret=secret)
    clock.now_s += 5.001
    assert authenticator.principal(secret) == Principal(project_id)


class AwayRegistry:
    """A registry that counts who asks, and whose store can be taken away."""

    def __init__(self, registry: Registry) -> None:
        self.registry, self.is_away, self.asked = registry, False, 0

    def key_of_secret(self, secret: str) -> ApiKey | None:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("away")
        return self.registry.key_of_secret(secret)


def test_a_stale_answer_stands_for_the_ttl_and_never_beyond_the_stale_time(
    registry: Registry, project_id: str, clock: Clock
) -> None:
    away, secret = AwayRegistry(registry), registry.create_key(project_id).secret
    authenticator = Authenticator(away, ttl_s=5, stale_s=20, clock=clock)  # type: ignore[arg-type]
    assert authenticator.stale(secret) is None
    authenticator.principal(secret)
    clock.now_s += 6
    assert authenticator.cached(secret) is None
    assert authenticator.stale(secret) == Principal(project_id)
    assert authenticator.cached(secret) == Principal(project_id)
    clock.now_s += 5.001
    assert authenticator.cached(secret) is None
    clock.now_s += 8
    assert authenticator.stale(secret) == Principal(project_id)
    clock.now_s += 1
    assert authenticator.cached(secret) is None
    assert authenticator.stale(secret) is None


def test_while_the_store_is_away_it_is_asked_once_in_a_ttl(registry: Registry, project_id: str, clock: Clock) -> None:
    away, secret = AwayRegistry(registry), registry.create_key(project_id).secret
    authenticator = Authenticator(away, ttl_s=5, clock=clock)  # type: ignore[arg-type]
    authenticator.principal(secret)
    away.is_away = True
    clock.now_s += 6
    assert {authenticator.principal(secret) for _ in range(10)} == {Principal(project_id)}
    assert away.asked == 2


def test_a_revoked_key_has_no_stale_answer(registry: Registry, project_id: str, clock: Clock) -> None:
    new = registry.create_key(project_id)
    registry.revoke_key(project_id, new.key.key_id)
    authenticator = Authenticator(registry, ttl_s=5, clock=clock)
    assert authenticator.principal(new.secret) is None
    assert authenticator.stale(new.secret) is None


def test_while_the_store_is_away_a_known_key_stays_good_for_the_stale_time(tmp_path: Path, clock: Clock) -> None:
    with ClickHouseServer(tmp_path / "clickhouse") as server:
        store = remote(server.url, size=1)
        list(migrate(store))
        registry = Registry(store)
        good, revoked = registry.create_key("shop"), registry.create_key("shop")
        registry.revoke_key("shop", revoked.key.key_id)
        authenticator = Authenticator(registry, ttl_s=5, stale_s=600, clock=clock)
        assert authenticator.principal(good.secret) == Principal("shop")
        assert authenticator.principal(revoked.secret) is None
    clock.now_s += 600
    assert authenticator.principal(good.secret) == Principal("shop")
    for secret in (revoked.secret, "never seen"):
        with pytest.raises(StoreUnavailable):
            authenticator.principal(secret)
    clock.now_s += 0.001
    with pytest.raises(StoreUnavailable):
        authenticator.principal(good.secret)
    store.close()
