"""Parting documents by what they are about: clusters of nearly equal weight, of which each is a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph._edges import Relation
from ..graph._linking import link_titles
from ..retrievers.compiling._chunking import chunk
from ..retrievers.compiling._window import Window
from ..retrievers.records import Document, Rows, Vectors
from ..retrievers.router._clusters import SLACK, balanced_clusters, priced, smoothed
from ..retrievers.words._titles import TitleMatcher

SMOOTHING = 0.5
"""What the mean of the documents that a document is linked with weighs beside its own vector."""


@dataclass(frozen=True)
class FirstPassages:
    """What documents are placed by.

    Attributes:
        texts: what is embedded of the first passage of each, as their index will embed it.
        weights: how many passages each has, float64 [n].
    """

    texts: list[str]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, documents: Sequence[Document], window: Window, tokens: int) -> FirstPassages:
        """Cut documents as an index of so many tokens a passage does."""
        cut = [chunk(document, tokens, window) for document in documents]
        texts = window.embedded([passages[0] for passages in cut], [""] * len(cut))
        return cls(texts, np.array(list(map(len, cut)), np.float64))


class Sample:
    """Documents of which the clusters are learned, and which others may mention by their titles.

    Args:
        documents: of the corpus, drawn at random.
        vectors: of their first passages, float32 [n, d], unit length.
    """

    def __init__(self, documents: Sequence[Document], vectors: Vectors) -> None:
        self._titles = [document.title for document in documents]
        self._matcher = TitleMatcher(self._titles)
        self._vectors = vectors
        edges = link_titles(self._titles, [document.text for document in documents], self._matcher)
        linked = edges.relation == Relation.TITLE_MENTION
        self.smoothed = smoothed(vectors, edges.source[linked], edges.target[linked], SMOOTHING)

    def smoothed_with(self, documents: Sequence[Document], vectors: Vectors) -> Vectors:
        """Return the vectors [n, d] of other documents, each drawn to those of the sample that it mentions."""
        source: list[int] = []
        target: list[int] = []
        for place, document in enumerate(documents):
            mentions = [one for one in self._matcher.find(document.text) if one.kind == "title"]
            rows = {row for one in mentions for row in one.rows if self._titles[row] != document.title}
            source += [place] * len(rows)
            target += [len(vectors) + row for row in sorted(rows)]
        both = np.concatenate([vectors, self._vectors])
        links = np.array(source, np.int64), np.array(target, np.int64)
        return smoothed(both, *links, SMOOTHING)[: len(vectors)]


@dataclass(frozen=True)
class TopicPartition:
    """Clusters with what it costs to be in them; dearer ones would be too large.

    Attributes:
        centroids: unit vectors, float32 [S, d].
        prices: float32 [S], in units of cosine similarity.
    """

    centroids: Vectors
    prices: NDArray[np.float32]

    @classmethod
    def learned(
        cls, vectors: Vectors, weights: NDArray[np.float64], shards: int, rng: np.random.Generator
    ) -> TopicPartition:
        """Learn so many clusters of vectors [n, d] of documents, by the weights [n] of these."""
        _, centroids = balanced_clusters(vectors, shards, rng)
        return cls(centroids, priced(vectors @ centroids.T, np.zeros(shards, np.float32), weights))

    def placed(self, vectors: Vectors, weights: NDArray[np.float64]) -> Rows:
        """Return the cluster of every document of a random part of the corpus, int64 [n].

        The prices are those of the whole. Each cluster takes its share of the part and a little more at most.
        """
        similarity = vectors @ self.centroids.T
        return _within(similarity - priced(similarity, self.prices, weights), weights)


def _within(liking: NDArray[np.float32], weights: NDArray[np.float64]) -> Rows:
    """Assign rows to clusters, those first that lose most by their second choice; none becomes too heavy."""
    count, clusters = liking.shape
    most = float(np.ceil(weights.sum() / clusters * SLACK))
    ranked = np.argsort(-liking, axis=1, kind="stable")
    ordered = np.take_along_axis(liking, ranked, axis=1)
    regret = ordered[:, 0] - ordered[:, min(1, clusters - 1)]
    loads = np.zeros(clusters)
    assigned = np.zeros(count, np.int64)
    for row in np.argsort(-regret, kind="stable").tolist():
        fits = [cluster for cluster in ranked[row].tolist() if loads[cluster] + weights[row] <= most]
        assigned[row] = fits[0] if fits else int(loads.argmin())
        loads[assigned[row]] += weights[row]
    return assigned
