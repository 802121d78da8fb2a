"""The docid decoder beside the dense sub-index: how often the first passage is a supporting one.

    python benchmarks/docid_decoder.py --data ../shared/data --indexes INDEXES --work runs/docids

2Wiki: trained on the questions of 2wiki-train over its own corpus, and on pairs made from the passages of 2Wiki;
measured on 2Wiki's dev questions. SciFact: five folds over its train questions, each measured by a decoder that learned
from the other four and from made pairs. Hits@1 counts a question when the first passage is any of its supporting
passages (the files name no first one), for both systems alike. `--choose` measures 2Wiki on 2wiki-train's validation
split, and SciFact on one fold.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from inputs import open_index, parse
from router_runs import arguments, corpus_of, labelled, made
from table import Figures, by_figure, report, show
from trailhound.learning.router._examples import Examples, joined
from trailhound.learning.router._training import RouterTraining, train_decoder
from trailhound.retrievers.router._clues import Corpus, stacked
from trailhound.retrievers.router._decoder import DecoderSettings, DocidDecoder, TreeView
from trailhound.retrievers.router._docids import DocidTree
from trailhound.retrievers.router._router import BEAM

FOLDS = 5
SLICE = 64
VARIANTS = ((True, "decoder"), (False, "vector-only decoder"))


def figures(found: np.ndarray, examples: Examples, name: str) -> dict[str, float]:
    """Return Hits@1 and recall@5 of rankings [n, k]."""
    right = (found[:, :, None] == examples.wanted[:, None, :]) & (examples.wanted >= 0)[:, None, :]
    counts = (examples.wanted >= 0).sum(axis=1)
    recall = (right[:, :5].any(axis=1).sum(axis=1) / counts).mean()
    return {f"{name} hits@1": float(right[:, 0].any(axis=1).mean()), f"{name} recall@5": float(recall)}


def dense(corpus: Corpus, examples: Examples) -> dict[str, float]:
    """Return the figures of comparing with every passage."""
    scores = stacked(examples.clues) @ corpus.vectors.T
    return figures(np.argsort(-scores, axis=1, kind="stable")[:, :20], examples, "dense")


def decoded(decoder: DocidDecoder, view: TreeView, examples: Examples, name: str, beam: int = BEAM) -> dict[str, float]:
    """Return the figures of a decoder, and the share of passages and nodes it compares with the query."""
    found, compared = [], []
    start = time.perf_counter()
    with torch.no_grad():
        for first in range(0, len(examples), SLICE):
            answer = decoder.decode(view, examples.clues[first : first + SLICE], beam)
            found.append(answer.found[:, :20].numpy())
            compared.append((answer.passages + answer.nodes).numpy())
    milliseconds = 1000 * (time.perf_counter() - start) / len(examples)
    share = float(np.concatenate(compared).mean()) / len(view.corpus)
    return figures(np.concatenate(found), examples, name) | {f"{name} compared": share, f"{name} ms": milliseconds}


def trained(sources: list[tuple[TreeView, Examples]], words: bool, seed: int) -> DocidDecoder:
    """Train a decoder with a seed."""
    torch.manual_seed(seed)
    depth = max(view.depth for view, _ in sources)
    decoder = DocidDecoder(DecoderSettings(sources[0][0].corpus.vectors.shape[1], depth, words=words))
    train_decoder(decoder, sources, RouterTraining(), seed)
    return decoder


def view_of(corpus: Corpus, seed: int) -> TreeView:
    """Give the passages docids."""
    return TreeView(DocidTree.build(corpus.vectors, np.random.default_rng(seed)), corpus)


def wiki(parsed: argparse.Namespace, seed: int) -> dict[str, float]:
    """Train on 2wiki-train and pairs made of 2Wiki, measure on 2Wiki (or on 2wiki-train's validation)."""
    indexes = {name: open_index(parsed, name) for name in ("2wiki-train", "2wiki")}
    corpora = {name: corpus_of(index) for name, index in indexes.items()}
    views = {name: view_of(corpus, seed) for name, corpus in corpora.items()}
    over = "2wiki-train" if parsed.choose else "2wiki"
    split = "validation" if parsed.choose else "dev"
    train = labelled(indexes["2wiki-train"], corpora["2wiki-train"], parsed.data / "2wiki-train", "train", parsed.work)
    pairs = made(indexes[over], corpora[over], parsed.made, parsed.work)
    test = labelled(indexes[over], corpora[over], parsed.data / over, split, parsed.work)
    results = dense(corpora[over], test)
    for words, name in VARIANTS[: 2 if parsed.ablate else 1]:
        decoder = trained([(views["2wiki-train"], train), (views[over], pairs)], words, seed)
        results |= decoded(decoder, views[over], test, name)
    return results


def scifact(parsed: argparse.Namespace, seed: int) -> dict[str, float]:
    """Return the means over five folds, weighed by their questions."""
    index = open_index(parsed, "scifact")
    corpus = corpus_of(index)
    view = view_of(corpus, seed)
    everything = labelled(index, corpus, parsed.data / "scifact", "train", parsed.work)
    pairs = made(index, corpus, parsed.made // 2, parsed.work)
    order = np.random.default_rng(0).permutation(len(everything))
    folds = []
    for fold in range(1 if parsed.choose else FOLDS):
        test = everything.take(order[fold::FOLDS])
        train = joined(everything.take(np.setdiff1d(order, order[fold::FOLDS])), pairs)
        results = dense(corpus, test)
        for words, name in VARIANTS[: 2 if parsed.ablate else 1]:
            results |= decoded(trained([(view, train)], words, seed), view, test, name)
        folds.append((len(test), results))
    total = sum(count for count, _ in folds)
    return {name: sum(count * results[name] for count, results in folds) / total for name in folds[0][1]}


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "runs/docids", 1000)
    parser.add_argument("--sets", nargs="+", choices=("2wiki", "scifact"), default=["2wiki", "scifact"])
    parser.add_argument("--ablate", action="store_true", help="also a decoder that sees no words")
    parsed = parse(parser)
    everything: dict[str, list[Figures]] = {}
    for name, measure in (("2wiki", wiki), ("scifact", scifact)):
        if name not in parsed.sets:
            continue
        everything[name] = []
        for seed in parsed.seeds:
            everything[name].append(measure(parsed, seed))
            report(f"{name}, seed {seed}: {everything[name][-1]}", everything, parsed)
        show(name, by_figure(everything[name]), parsed)


if __name__ == "__main__":
    main()
