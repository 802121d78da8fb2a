"""Incremental retraining: what a router forgets, and what it learns, when passages come later.

    python benchmarks/router_refresh.py --data ../shared/data --indexes INDEXES --work runs/refresh

A fifth of the train questions and every supporting passage of theirs come later. The first router never saw them; the
second was refreshed with the new pairs, with replay and distillation and without. Old and new are measured on
questions held out of each (a fifth, never trained on): the share of supporting passages in the first two shards, and
Hits@1 of the docids. The train split alone is used.
"""

from __future__ import annotations

import argparse

import numpy as np
from inputs import open_index, parse
from router_runs import arguments, corpus_of, labelled, made, mentions
from table import Figures, by_figure, report, show
from trailhound.index.index import Index
from trailhound.learning.router._examples import Examples, joined
from trailhound.learning.router._training import RouterSettings, make_router, measured
from trailhound.learning.router.router_tuning import RefreshSettings, refresh
from trailhound.retrievers.records import Rows
from trailhound.retrievers.router._clues import Corpus, clues_of
from trailhound.retrievers.router._ensemble import local_corpus
from trailhound.retrievers.router._router import Router

SHOWN = ("shards@2", "docid_hits@1")


def reordered(examples: Examples, place: Rows, corpus: Corpus) -> Examples:
    """Return examples over a corpus in which row r stands at ``place[r]``, 0 or more for every wanted row."""
    wanted = np.where(examples.wanted < 0, -1, place[np.maximum(examples.wanted, 0)])
    clues = [clues_of(query, corpus) for query in examples.queries]
    return Examples(examples.queries, clues, wanted, examples.weights, examples.labelled)


def measure(parsed: argparse.Namespace, index: Index, seed: int) -> dict[str, float]:
    """Train, let passages come, refresh; measure before and after."""
    rng = np.random.default_rng(seed)
    whole = corpus_of(index)
    titles, _ = index.store.columns()
    questions = labelled(index, whole, parsed.data / parsed.set, "train", parsed.work)
    late = np.sort(rng.permutation(len(questions))[: len(questions) // 5])
    late_rows = np.unique(questions.wanted[late][questions.wanted[late] >= 0])
    order = np.concatenate([np.setdiff1d(np.arange(len(whole)), late_rows), late_rows])
    first = len(order) - len(late_rows)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    before, after = local_corpus(whole, titles, order[:first]), local_corpus(whole, titles, order)
    early = np.intersect1d(np.setdiff1d(np.arange(len(questions)), late), questions.within(order[:first]))
    pairs = made(index, whole, parsed.made, parsed.work)
    pairs = pairs.take(pairs.within(order[:first]))
    old, old_test = questions.take(early).parted(0.2, rng)
    new, new_test = questions.take(late).parted(0.2, rng)
    source, target = (place[rows] for rows in mentions(index))
    there = (source < first) & (target < first)
    trained = joined(old, pairs)
    router = make_router(
        before, reordered(trained, place, before), RouterSettings(), seed, (source[there], target[there])
    ).router
    test = {"old": reordered(old_test, place, after), "new": reordered(new_test, place, after)}
    fresh, replayed = reordered(new, place, after), reordered(trained, place, after)
    grown = Router(after, router.partition, router.tree, router.networks, router.temperatures)
    plain = RefreshSettings(replay=0, distillation=0)
    routers = {
        "before": grown,
        "refreshed": refresh(router, after, fresh, replayed, RefreshSettings(), seed),
        "without replay": refresh(router, after, fresh, replayed, plain, seed),
    }
    results = {}
    for name, system in routers.items():
        for kind, held_out in test.items():
            figures = measured(system, held_out)
            results |= {f"{name}, {kind}, {shown}": figures[shown] for shown in SHOWN}
    return results


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "runs/refresh", 1000)
    parser.add_argument("--set", default="hotpotqa")
    parsed = parse(parser)
    index = open_index(parsed, parsed.set)
    results: list[Figures] = []
    for seed in parsed.seeds:
        results.append(measure(parsed, index, seed))
        report(f"seed {seed}: {results[-1]}", results, parsed)
    show(parsed.set, by_figure(results), parsed)


if __name__ == "__main__":
    main()
