"""``trailhound tune-router``: the router of an index."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar
from ..errors import RouterError
from .arguments import WrongUseError, command_parser, positive
from .opening import open_index, set_threads

if TYPE_CHECKING:
    from ..graph.index import Index
    from ..retrievers.docid_pairs import TrainingPair
    from ..retrievers.docids import DocidTree
    from ..retrievers.router.making import Made


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "tune-router",
        run,
        "train the router of an index: shards, docids, and which sub-index to ask first",
        "  trailhound tune-router --index w.index --questions data/w --split train --out runs/w-router\n"
        "  trailhound tune-router --index docs.index --shards 16 --out runs/docs-router",
    )
    parser.add_argument("--index", type=Path, required=True, metavar="INDEX")
    parser.add_argument(
        "--questions",
        type=Path,
        default=None,
        metavar="DIR",
        help="queries.jsonl with qrels/, or a native file (default: learn from pairs made of the passages alone)",
    )
    parser.add_argument("--split", default=None, metavar="SPLIT", help="of the questions")
    parser.add_argument("--shards", type=positive, default=8, metavar="N", help="default: 8")
    parser.add_argument(
        "--made", type=positive, default=2000, metavar="N", help="pairs made of the passages (default: 2000)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the router")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def run(parsed: argparse.Namespace) -> None:
    """Train a router."""
    from ..retrievers.atomic_file import write_json
    from ..retrievers.router.router_file import save_router

    if (parsed.questions is None) != (parsed.split is None):
        raise WrongUseError("--questions and --split belong together: give both, or neither")
    set_threads(parsed.threads or 1)
    index = open_index(parsed.index, parsed.threads)
    if parsed.shards > len(index):
        raise RouterError(f"{len(index)} passages cannot be parted into {parsed.shards} shards: ask for fewer")
    with ProgressBar(parsed.quiet) as bar:
        pairs = _pairs(index, parsed, bar)
        made = _made(index, pairs, parsed, bar)
        about = {
            "index": str(parsed.index),
            "questions": None if parsed.questions is None else str(parsed.questions),
            "split": parsed.split,
            "seed": parsed.seed,
            "pairs": len(pairs),
            "figures": dict(made.figures),
        }
        save_router(parsed.out, made.router, about)
        bar.report("describing docids", 0, 0)
        write_json(parsed.out / "prefixes.json", _described(index, made.router.tree))
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in made.figures.items())} on held-out pairs")


def _described(index: Index, tree: DocidTree) -> dict[str, list[str]]:
    """Return what every docid prefix ("3", "3.17") is about."""
    from ..retrievers.docid_descriptors import describe_prefixes

    texts = (f"{passage.title}\n{passage.text}" for passage in index.store)
    described = describe_prefixes(tree, index.terms, texts)
    return {".".join(map(str, prefix)): list(words) for prefix, words in sorted(described.items())}


def _pairs(index: Index, parsed: argparse.Namespace, bar: ProgressBar) -> list[TrainingPair]:
    """Return what to learn from: labelled questions, if given, and pairs made of the passages."""
    import numpy as np

    from ..retrievers.docid_pairs import labelled_pairs, made_pairs
    from ..retrievers.questions import load_questions

    bar.report("making training pairs", 0, 0)
    pairs = made_pairs(list(index.store), index.terms, np.random.default_rng(parsed.seed), parsed.made)
    if parsed.questions is not None:
        questions, qrels = load_questions(parsed.questions, parsed.split, bar.warn)
        try:
            pairs = labelled_pairs(questions, qrels, index.store.row_of) + pairs
        except KeyError as error:
            raise RouterError(
                f"the labels of {parsed.questions} name the passage {error}, which {parsed.index} does not hold:"
                " give the questions of this index"
            ) from error
    if len(pairs) < 2:
        raise RouterError(f"{parsed.index} gives {len(pairs)} training pairs: a router needs two, better hundreds")
    return pairs


def _made(index: Index, pairs: list[TrainingPair], parsed: argparse.Namespace, bar: ProgressBar) -> Made:
    import numpy as np

    from ..graph.edges import Relation
    from ..retrievers.router.clues import Corpus
    from ..retrievers.router.examples import encoded, examples_of
    from ..retrievers.router.making import RouterSettings, make_router

    corpus = Corpus(np.ascontiguousarray(index.dense.vectors), index.terms, index.entity)
    examples = examples_of(pairs, encoded(pairs, index.encoder, bar.report), corpus)
    edges = index.graph.edges
    linked = edges.relation == Relation.TITLE_MENTION
    return make_router(
        corpus,
        examples,
        RouterSettings(parsed.shards),
        parsed.seed,
        (edges.source[linked], edges.target[linked]),
        list(index.sub_indexes.values()),
        bar.report,
    )
