"""
Other ways to group the same texts: k-means that is told the number of topics, and BERTopic's defaults.

The latter are sentence vectors of all-MiniLM-L6-v2, UMAP to five dimensions and HDBSCAN. They are measured where the
packages `umap-learn` and `hdbscan` are installed, which this project doesn't need.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from statistics import fmean
from typing import Any

import numpy as np

from phospho_workers.detection.evaluation.theme_changes import LabelledText
from phospho_workers.detection.semantic.encoder import MINILM, encoder
from phospho_workers.detection.text.embedding import Vectors, unit
from phospho_workers.detection.text.reading import whole
from phospho_workers.detection.themes.agreement import adjusted_mutual_information
from phospho_workers.detection.themes.clustering import k_means, nearest, spread_out

_ITERATIONS = 20
_MAX_TOPICS = 1_000
# BERTopic's.
_NEIGHBOURS = 15
_COMPONENTS = 5
_MIN_CLUSTER_SIZE = 10


def baselines(tasks: Sequence[LabelledText], seeds: Sequence[int]) -> dict[str, Any]:
    """Return the agreement with the topics of each other way, the mean over the seeds; None where it can't be had."""
    labelled = [task for task in tasks if task.topic]
    return {
        "k_means_of_static_embeddings_with_true_k": _k_means(labelled, seeds),
        "minilm_umap_hdbscan": _bertopic(tasks, seeds),
    }


def _k_means(tasks: Sequence[LabelledText], seeds: Sequence[int]) -> dict[str, float] | None:
    topics = [task.topic for task in tasks]
    count = len(set(topics))
    if not 2 <= count <= min(_MAX_TOPICS, len(tasks) - 1):
        return None
    rows = unit(whole([task.text for task in tasks])).astype(np.float32)
    agreements = []
    for seed in seeds:
        centers = k_means(rows, spread_out(rows, count, np.random.default_rng(seed)), _ITERATIONS)
        agreements.append(_agreement(topics, nearest(rows, centers)[0]))
    return {"ami": round(fmean(agreements), 4)}


def _bertopic(tasks: Sequence[LabelledText], seeds: Sequence[int]) -> dict[str, float] | None:
    model = encoder(MINILM)
    if model is None or find_spec("umap") is None or find_spec("hdbscan") is None or len(tasks) <= _NEIGHBOURS:
        return None
    vectors = model.vectors([task.text for task in tasks])
    topics = np.array([task.topic for task in tasks])
    runs = []
    for seed in seeds:
        labels = _hdbscan_labels(vectors, seed)
        is_labelled, is_assigned = topics != "", labels >= 0
        both = is_labelled & is_assigned
        runs.append(
            {
                "ami": _agreement(topics[is_labelled], labels[is_labelled]),
                "ami_of_assigned": _agreement(topics[both], labels[both]),
                "share_assigned": float(is_assigned.mean()),
            }
        )
    return {name: round(fmean(run[name] for run in runs), 4) for name in runs[0]}


def _hdbscan_labels(vectors: Vectors, seed: int) -> Any:
    reducer = import_module("umap").UMAP(
        n_neighbors=_NEIGHBOURS, n_components=_COMPONENTS, min_dist=0.0, metric="cosine", random_state=seed
    )
    clusterer = import_module("hdbscan").HDBSCAN(min_cluster_size=_MIN_CLUSTER_SIZE)
    return clusterer.fit_predict(reducer.fit_transform(vectors))


def _agreement(topics: Any, labels: Any) -> float:
    return adjusted_mutual_information(list(map(str, topics)), list(map(str, labels))) if len(topics) else 0.0
