"""Themes follow what texts are about, keep their ids from model to model, and are assigned text by text."""

from __future__ import annotations

import random

import pytest

from phospho_workers.detection.learning.student_fitting import worthwhile_student
from phospho_workers.detection.themes.agreement import adjusted_mutual_information
from phospho_workers.detection.themes.discovery import MIN_TEXTS, Discovery, Previous, discover
from phospho_workers.detection.themes.model import BadThemeModel, ThemeModel
from workers.detection.themes.requests import NEAR_REQUESTS, NEW_REQUESTS, mixed

PAIRS = mixed()
TEXTS = [text for text, _ in PAIRS]


@pytest.fixture(scope="module")
def discovery() -> Discovery:
    found = discover(TEXTS, "shop", 1, student=worthwhile_student(TEXTS))
    assert found is not None
    return found


def themes_of(model: ThemeModel, texts: list[str]) -> list[str]:
    return [assignment.theme for assignment in model.assign(texts)]


def test_themes_are_what_texts_are_about(discovery: Discovery) -> None:
    themes = themes_of(discovery.model, TEXTS)
    assert adjusted_mutual_information(themes, [topic for _, topic in PAIRS]) > 0.4
    assert sum(map(bool, themes)) > 0.8 * len(themes)
    assert {fact.kind for fact in discovery.facts} == {"birth"}


def test_themes_of_few_texts_are_none() -> None:
    assert discover(TEXTS[: MIN_TEXTS - 1], "shop", 1) is None
    assert discover(["", "…", "?!"] * 100, "shop", 1) is None


def test_assignment_is_the_same_alone_in_a_batch_and_from_json(discovery: Discovery) -> None:
    again = ThemeModel.from_json(discovery.model.to_json(), 1)
    texts = [*TEXTS[:40], "", "what is the capital of France?", "🙂", "refund " * 5000]
    assert discovery.model.assign(texts) == [again.assign([text])[0] for text in texts]


def test_discovery_again_keeps_every_theme_id(discovery: Discovery) -> None:
    later = discover(TEXTS[: len(TEXTS) // 2], "shop", 2, previous=Previous(discovery.model))
    assert later is not None
    assert later.facts == []
    old, new = themes_of(discovery.model, TEXTS), themes_of(later.model, TEXTS)
    assert sum(a == b for a, b in zip(old, new, strict=True)) >= 0.95 * len(TEXTS)


def test_new_requests_become_a_new_theme_beside_the_old(discovery: Discovery) -> None:
    later = discover([*TEXTS, *NEW_REQUESTS], "shop", 2, previous=Previous(discovery.model))
    assert later is not None
    born = [fact.theme_id for fact in later.facts if fact.kind == "birth"]
    assert set(discovery.model.theme_ids) < set(later.model.theme_ids)
    assert sum(theme in born for theme in themes_of(later.model, NEW_REQUESTS)) > 0.8 * len(NEW_REQUESTS)
    titles = " ".join(theme.name.title.lower() for theme in later.themes if theme.theme_id in born)
    assert any(word in titles for word in ("haircut", "hairdresser", "barber"))


def test_new_requests_near_an_old_theme_become_a_theme_of_their_own(discovery: Discovery) -> None:
    texts = [*TEXTS, *NEAR_REQUESTS]
    is_new = [False] * len(TEXTS) + [True] * len(NEAR_REQUESTS)
    old_themes = themes_of(discovery.model, NEAR_REQUESTS)
    assert sum(map(bool, old_themes)) > 0.5 * len(NEAR_REQUESTS)
    later = discover(texts, "shop", 2, previous=Previous(discovery.model, is_new))
    assert later is not None
    born = [fact.theme_id for fact in later.facts if fact.kind == "birth"]
    assert set(discovery.model.theme_ids) < set(later.model.theme_ids)
    assert sum(theme in born for theme in themes_of(later.model, NEAR_REQUESTS)) > 0.8 * len(NEAR_REQUESTS)
    assert sum(fact.share for fact in later.facts if fact.kind == "birth") > 0.8
    assert "rude" in " ".join(theme.name.title.lower() for theme in later.themes if theme.theme_id in born)
    before, after = themes_of(discovery.model, TEXTS), themes_of(later.model, TEXTS)
    assert sum(a == b for a, b in zip(before, after, strict=True)) >= 0.98 * len(TEXTS)


def test_new_texts_like_the_old_ones_are_no_new_theme(discovery: Discovery) -> None:
    rng = random.Random(1)
    later = discover(TEXTS, "shop", 2, previous=Previous(discovery.model, [rng.random() < 0.3 for _ in TEXTS]))
    assert later is not None
    assert later.facts == []


def test_clustering_anew_matches_themes_to_the_previous_ones(discovery: Discovery) -> None:
    later = discover([*NEW_REQUESTS, *TEXTS], "shop", 2, previous=Previous(discovery.model, is_fresh=True))
    assert later is not None
    assert len(set(discovery.model.theme_ids) & set(later.model.theme_ids)) >= len(discovery.themes) / 2


def test_theme_without_members_dies_unless_it_is_kept(discovery: Discovery) -> None:
    texts = [text for text, topic in PAIRS if topic != "invoice"]
    later = discover(texts, "shop", 2, previous=Previous(discovery.model))
    assert later is not None
    dead = {fact.theme_id for fact in later.facts if fact.kind == "death"}
    assert dead
    assert not dead & set(later.model.theme_ids)
    kept = discover(texts, "shop", 2, previous=Previous(discovery.model, kept=dead))
    assert kept is not None
    assert dead <= set(kept.model.theme_ids)


def test_split_theme_keeps_its_id_for_the_larger_part(discovery: Discovery) -> None:
    name = max(discovery.themes, key=lambda theme: theme.texts).theme_id
    later = discover(TEXTS, "shop", 2, previous=Previous(discovery.model, to_split={name}))
    assert later is not None
    [fact] = [fact for fact in later.facts if fact.kind == "split"]
    assert fact.other_id == name
    assert {name, fact.theme_id} <= set(later.model.theme_ids)
    assert {name, fact.theme_id} <= set(themes_of(later.model, TEXTS))


def test_template_around_requests_is_not_read(discovery: Discovery) -> None:
    template = "You are the assistant of a large shop. Answer in two sentences, and be polite at all times. "
    wrapped = discover([template + text for text in TEXTS], "shop", 1)
    bare = discover(TEXTS, "shop", 1)
    assert wrapped is not None
    assert bare is not None
    assert themes_of(wrapped.model, [template + text for text in TEXTS]) == themes_of(bare.model, TEXTS)
    assert not any("polite" in theme.name.title for theme in wrapped.themes)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 99}', '{"format": 1, "space": 3}'])
def test_model_of_another_format_is_refused(text: str) -> None:
    with pytest.raises(BadThemeModel):
        ThemeModel.from_json(text)
