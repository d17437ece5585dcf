"""A key that asks too often and a project that logs too much are told when to come back; nobody else notices."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

import pytest
from starlette.requests import Request

from gateway.conftest import ClientMaker
from gateway.recording import RecordingPublisher
from phospho_gateway.access.rate_limit import RateLimit
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.messages import ProjectSettings
from phospho_schemas.settings import BadSetting, load, settings_of
from phospho_schemas.times import utc_now, utc_text
from phospho_store.registry.quotas import DailyQuotas
from phospho_store.registry.registry import NewKey, Registry
from phospho_store.store import Store
from phospho_web.problems import Problem
from store.facts import insert, task

EVENT = {"input": "hello", "output": "hi"}
NOON_S = 1_800_014_400  # 2027-01-15T12:00:00Z


def taken(limit: RateLimit, requests: int) -> int:
    """Return how many of so many requests are taken."""
    count = 0
    for _ in range(requests):
        try:
            limit.take(Request({"type": "http", "headers": []}), "ph_secret")
            count += 1
        except Problem:
            continue
    return count


class TestRateLimit:
    async def test_a_key_that_asks_too_often_gets_429_and_the_time_to_wait(self, make_client: ClientMaker) -> None:
        client = make_client(settings=GatewaySettings(rate_limit="3/minute"))
        answers = [await client.post("/api/v1/events", json=EVENT) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
        assert answers[-1].json()["error"]["code"] == "rate_limited"
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60

    async def test_each_answer_says_how_many_are_left(self, make_client: ClientMaker) -> None:
        client = make_client(settings=GatewaySettings(rate_limit="3/minute"))
        answers = [await client.post("/api/v1/events", json=EVENT) for _ in range(4)]
        assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"3"}

    async def test_one_key_takes_nothing_from_another(self, make_client: ClientMaker, registry: Registry) -> None:
        settings = GatewaySettings(rate_limit="1/minute")
        client = make_client(settings=settings)
        other = {"Authorization": f"Bearer {registry.create_key('shop', 'second').secret}"}
        assert (await client.post("/api/v1/events", json=EVENT)).status_code == 201
        assert (await client.post("/api/v1/events", json=EVENT, headers=other)).status_code == 201
        assert (await client.post("/api/v1/events", json=EVENT)).status_code == 429

    async def test_a_bad_key_gets_401_and_is_not_counted(self, make_client: ClientMaker) -> None:
        client = make_client("ph_unknown", settings=GatewaySettings(rate_limit="1/minute"))
        assert [(await client.post("/api/v1/events", json=EVENT)).status_code for _ in range(3)] == [401] * 3

    def test_what_the_last_window_counted_fades_as_this_one_passes(self) -> None:
        now_s = [600.0]
        limit = RateLimit("10/minute", now_s=lambda: now_s[0])
        assert taken(limit, 12) == 10
        now_s[0] = 660.0 + 30.0
        assert taken(limit, 12) == 5

    async def test_without_the_setting_there_is_no_limit_and_no_header(self, make_client: ClientMaker) -> None:
        answer = await make_client().post("/api/v1/events", json=EVENT)
        assert "RateLimit-Limit" not in answer.headers


class TestQuota:
    @pytest.fixture
    def quotas(self, registry: Registry, store: Store) -> DailyQuotas:
        registry.save_project("bounded", settings=ProjectSettings(max_tasks_per_day=3))
        quotas = DailyQuotas(store, registry, now_s=lambda: NOON_S)
        quotas.refresh()
        return quotas

    @pytest.fixture
    def bounded(self, registry: Registry) -> NewKey:
        return registry.create_key("bounded")

    async def test_a_project_over_its_quota_is_refused_until_midnight(
        self, make_client: ClientMaker, quotas: DailyQuotas, bounded: NewKey, publisher: RecordingPublisher
    ) -> None:
        client = make_client(bounded.secret, quotas=quotas)
        answers = [await client.post("/api/v1/events", json=EVENT) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
        assert answers[-1].json()["error"]["code"] == "quota_exceeded"
        assert answers[-1].headers["Retry-After"] == "10", "some may be stored tasks that were logged again"
        assert len(publisher.messages) == 3

    async def test_a_batch_that_does_not_fit_is_refused_as_a_whole(
        self, make_client: ClientMaker, quotas: DailyQuotas, bounded: NewKey, publisher: RecordingPublisher
    ) -> None:
        client = make_client(bounded.secret, quotas=quotas)
        assert (await client.post("/api/v1/events/batch", json={"events": [EVENT] * 4})).status_code == 429
        assert (await client.post("/api/v1/events/batch", json={"events": [EVENT] * 3})).status_code == 200
        assert len(publisher.messages) == 3

    async def test_feedback_is_taken_still(
        self, make_client: ClientMaker, quotas: DailyQuotas, bounded: NewKey
    ) -> None:
        client = make_client(bounded.secret, quotas=quotas)
        await client.post("/api/v1/events/batch", json={"events": [EVENT] * 3})
        assert (await client.post("/api/v1/events/some/feedback", json={"score": 1})).status_code == 201

    async def test_a_project_without_a_quota_is_not_counted(
        self, make_client: ClientMaker, quotas: DailyQuotas
    ) -> None:
        answer = await make_client(quotas=quotas).post("/api/v1/events/batch", json={"events": [EVENT] * 9})
        assert answer.status_code == 200

    def test_what_is_stored_counts_after_a_restart(self, store: Store, quotas: DailyQuotas) -> None:
        received_at = "2027-01-15T11:00:00.000Z"
        rows = [task("bounded", f"t{number}", received_at=received_at) for number in range(2)]
        insert(store, "task_rows", *rows, task("bounded", "t9", received_at="2027-01-14T23:59:59.000Z"))
        quotas.refresh()
        assert quotas.take("bounded", 2) == 43_200
        assert quotas.take("bounded", 1) is None

    def test_a_new_day_begins_at_zero(self, store: Store, registry: Registry, quotas: DailyQuotas) -> None:
        now_s = [NOON_S + 86_400]
        quotas = DailyQuotas(store, registry, now_s=lambda: now_s[0])
        quotas.refresh()
        assert [quotas.take("bounded", 3), quotas.take("bounded", 1)] == [None, 10]
        now_s[0] += 43_200
        assert quotas.take("bounded", 3) is None

    @pytest.mark.usefixtures("quotas")
    def test_logs_on_their_way_count_until_a_later_one_is_stored(self, store: Store, registry: Registry) -> None:
        """A sink that is behind opens no gap in the quota."""
        now_s = [NOON_S + 4 * 86_400]
        quotas = DailyQuotas(store, registry, now_s=lambda: now_s[0])
        quotas.refresh()
        assert quotas.take("bounded", 3) is None
        for _ in range(3):
            now_s[0] += 10
            quotas.refresh()
            assert quotas.take("bounded", 1) == 10
        rows = [task("bounded", f"late-{n}", received_at="2027-01-19T12:00:01.000Z") for n in range(2)]
        insert(store, "task_rows", *rows)
        quotas.refresh()
        assert [quotas.take("bounded", 1), quotas.take("bounded", 1)] == [None, 10]

    @pytest.mark.usefixtures("quotas")
    def test_yesterdays_count_is_not_written_over_todays(self, registry: Registry) -> None:
        midnight_s = NOON_S + 43_200 + 6 * 86_400
        now_s = [midnight_s - 1]

        class SlowStore:
            def rows(self, sql: str, parameters: object = None) -> list[dict[str, object]]:
                now_s[0] = midnight_s + 1
                return [{"project_id": "bounded", "tasks": 3, "landed_until_s": midnight_s - 2}]

        quotas = DailyQuotas(SlowStore(), registry, now_s=lambda: now_s[0])  # type: ignore[arg-type]
        quotas.refresh()
        assert quotas.take("bounded", 3) is None

    def test_what_was_not_stored_is_given_back(self, store: Store, registry: Registry, quotas: DailyQuotas) -> None:
        fresh = DailyQuotas(store, registry, now_s=lambda: NOON_S + 8 * 86_400)
        fresh.refresh()
        assert fresh.take("bounded", 3) is None
        fresh.give_back("bounded", 3)
        assert fresh.take("bounded", 3) is None


class TestRetention:
    async def test_a_task_that_would_be_deleted_at_once_is_refused(
        self, make_client: ClientMaker, registry: Registry, store: Store, publisher: RecordingPublisher
    ) -> None:
        quotas = DailyQuotas(store, registry)
        registry.save_project("brief", retention_days=30)
        client = make_client(registry.create_key("brief").secret, quotas=quotas)
        now = utc_now()
        times = [utc_text(now - timedelta(days=days)) for days in (29, 31)]
        events = [EVENT | {"created_at": time} for time in times] + [EVENT | {"client_created_at": 1_300_000_000}]
        body = {"events": events}
        results = (await client.post("/api/v1/events/batch", json=body)).json()["results"]
        assert [result["status"] for result in results] == ["accepted", "rejected", "rejected"]
        assert results[1]["error"]["code"] == "expired"
        assert "older than the 30 days that the project brief keeps" in results[1]["error"]["message"]
        assert len(publisher.messages) == 1
        registry.save_project("brief", retention_days=0)
        assert (await client.post("/api/v1/events/batch", json=body)).json()["accepted"] == 3

    def test_a_gateway_learns_of_a_retention_that_another_process_saved(self, registry: Registry, store: Store) -> None:
        quotas = DailyQuotas(store, Registry(store))
        registry.save_project("brief", retention_days=7)
        assert quotas.retention_days("brief") == 0
        quotas.refresh()
        assert quotas.retention_days("brief") == 7


class TestSettings:
    def test_variables_become_settings(self) -> None:
        settings = load(
            GatewaySettings,
            {
                "PHOSPHO_GATEWAY_RATE_LIMIT": "100/second",
                "PHOSPHO_GATEWAY_CORS_ORIGINS": "https://A.example/, https://b.example:8443",
                "PHOSPHO_GATEWAY_ALLOW_FLAG_WITHOUT_KEY": "true",
                "PHOSPHO_GATEWAY_MAX_EVENTS": "7",
                "PATH": "/bin",
            },
        )
        assert settings == GatewaySettings(
            rate_limit="100/second",
            cors_origins=("https://a.example", "https://b.example:8443"),
            allow_flag_without_key=True,
            max_events=7,
        )

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("MAX_EVENTS", "many", "PHOSPHO_GATEWAY_MAX_EVENTS='many' can't be used: it must be a valid integer."),
            ("RATE_LIMIT", "fast", "PHOSPHO_GATEWAY_RATE_LIMIT='fast' can't be used: write a rate such as 100/second"),
            ("CORS_ORIGINS", "https://*.example", "can't be used: write an origin such as https://app.example.com"),
            (
                "RATE_LIMT",
                "1/second",
                "PHOSPHO_GATEWAY_RATE_LIMT is not a setting. Did you mean PHOSPHO_GATEWAY_RATE_LIMIT",
            ),
        ],
    )
    def test_what_can_not_be_used_is_named(self, name: str, value: str, message: str) -> None:
        with pytest.raises(BadSetting) as raised:
            load(GatewaySettings, {f"PHOSPHO_GATEWAY_{name}": value})
        assert message in str(raised.value)

    def test_every_setting_has_a_variable_with_its_meaning(self) -> None:
        settings = settings_of(GatewaySettings)
        assert len({setting.variable for setting in settings}) == len(fields(GatewaySettings))
        assert all(setting.help for setting in settings)
