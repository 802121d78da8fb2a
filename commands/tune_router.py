"""``trailhound tune-router``: the router of an index."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import ProgressBar
from ..errors import RouterError
from .arguments import WrongUseError, command_parser, positive
from .opening import open_index, policy_or_shipped, set_threads

if TYPE_CHECKING:
    from ..agent.learning.router_rewards import Earning
    from ..graph.index import Index
    from ..graph.parts import BaseParts
    from ..retrievers.router.docid_pairs import TrainingPair
    from ..retrievers.router.making import Made
    from ..retrievers.words.terms import TermIndex


def add(subcommands: Any) -> None:
    """Add the command to the command line."""
    parser = command_parser(
        subcommands,
        "tune-router",
        run,
        "train the router of an index: shards, docids, and which sub-index to ask first",
        "  trailhound tune-router --index w.index --questions data/w --split train --out runs/w-router\n"
        "  trailhound tune-router --index w.index --questions data/w --split train --policy runs/w --out runs/w-r\n"
        "  trailhound tune-router --index docs.index --shards 16 --out runs/docs-router\n"
        "Routers that are tuned apart, each on the index of its own passages, are joined by lying in one folder:\n"
        "  trailhound tune-router --index a.index --out runs/peers/a\n"
        "  trailhound tune-router --index b.index --out runs/peers/b\n"
        "  trailhound index a b --out both.index\n"
        '  trailhound search both.index "Who ...?" --router runs/peers',
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
    _add_objective(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the router")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def _add_objective(parser: argparse.ArgumentParser) -> None:
    """Add what the router is to be good at."""
    parser.add_argument(
        "--policy",
        type=Path,
        default=None,
        metavar="RUN|shipped",
        help="learn from what this policy's searches of the questions earn: a router need not lead to what it looks up"
        " by titles and links (default: from the labels alone)",
    )
    parser.add_argument(
        "--objective",
        choices=("likelihood", "reward"),
        default="likelihood",
        help="of shards: the likelihood of those of the passages wanted (default), or the expected reward itself",
    )
    parser.add_argument(
        "--balance",
        type=weight,
        default=0.02,
        metavar="W",
        help="weight of how far the shards are from being asked in proportion to their sizes (default: 0.02)",
    )


def weight(text: str) -> float:
    """Read a weight, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number from 0 on, not {text!r}")
    return value


def run(parsed: argparse.Namespace) -> None:
    """Train a router."""
    from ..graph.router_folder import settled, write_router

    if parsed.policy is not None and parsed.questions is None:
        raise WrongUseError(f"--policy {parsed.policy} needs questions to search: give --questions and --split")
    if (parsed.questions is None) != (parsed.split is None):
        raise WrongUseError("--questions and --split belong together: give both, or neither")
    set_threads(parsed.threads or 1)
    index = open_index(parsed.index, parsed.threads)
    parts = settled(index)
    if parsed.shards > len(index):
        raise RouterError(f"{len(index)} passages cannot be parted into {parsed.shards} shards: ask for fewer")
    with ProgressBar(parsed.quiet) as bar:
        lessons = _lessons(index, parts.terms, parsed, bar)
        made = _made(index, parts, lessons, parsed, bar)
        about = {
            "index": str(parsed.index),
            "questions": None if parsed.questions is None else str(parsed.questions),
            "split": parsed.split,
            "policy": None if parsed.policy is None else str(parsed.policy),
            "objective": parsed.objective,
            "balance": parsed.balance,
            "seed": parsed.seed,
            "pairs": len(lessons),
            "figures": dict(made.figures),
        }
        write_router(index, made.router, parsed.out, about, bar.report)
    print(f"{parsed.out}: {', '.join(f'{name} {value:.3f}' for name, value in made.figures.items())} on held-out pairs")


def _lessons(index: Index, terms: TermIndex, parsed: argparse.Namespace, bar: ProgressBar) -> list[Earning]:
    """Return what to learn from: labelled questions, if given, and pairs made of the passages, with their worth."""
    import numpy as np

    from ..agent.learning.router_rewards import of_labels
    from ..retrievers.router.docid_pairs import made_pairs

    bar.report("making training pairs", 0, 0)
    made = made_pairs(list(index.store), terms, np.random.default_rng(parsed.seed), parsed.made)
    labelled = [] if parsed.questions is None else labelled_of(index, parsed, bar)
    if parsed.policy is not None:
        lessons = _earnings(index, parsed, bar) + of_labels(made)
    else:
        lessons = of_labels(labelled + made)
    if len(lessons) < 2:
        raise RouterError(f"{parsed.index} gives {len(lessons)} training pairs: a router needs two, better hundreds")
    return lessons


def _earnings(index: Index, parsed: argparse.Namespace, bar: ProgressBar) -> list[Earning]:
    """Search the questions with the policy."""
    from ..agent.learning.router_rewards import policy_earnings
    from ..agent.learning.training_questions import TrainingSource
    from ..agent.policy_file import load_policy

    folder = policy_or_shipped(None if parsed.policy == Path("shipped") else parsed.policy)
    source = TrainingSource(index, parsed.questions, parsed.split)
    return policy_earnings(source, load_policy(folder), bar.warn, bar.report)


def labelled_of(index: Index, parsed: argparse.Namespace, bar: ProgressBar) -> list[TrainingPair]:
    """Return the pairs of the questions that the command line names.

    What an index of a part of the corpus does not hold is left out of the labels, with a warning.

    Raises:
        RouterError: when the index holds nothing that the labels name.
    """
    from ..retrievers.questions import load_questions
    from ..retrievers.router.docid_pairs import labelled_pairs

    questions, qrels = load_questions(parsed.questions, parsed.split, bar.warn)
    named = {name for question in questions for name, label in qrels.get(question.id, {}).items() if label > 0}
    unknown = {name for name in named if not index.store.has(name)}
    if unknown and unknown == named:
        raise RouterError(
            f"the labels of {parsed.questions} name the passage {min(unknown)!r}, which {parsed.index} does not hold,"
            " and nothing that it holds: give the questions of this index"
        )
    if unknown:
        bar.warn(
            f"{len(unknown)} of the {len(named)} passages that the labels of {parsed.questions} name are not in"
            f" {parsed.index}: nothing is learned of them"
        )
    own = {
        question.id: {name: label for name, label in qrels.get(question.id, {}).items() if name not in unknown}
        for question in questions
    }
    return labelled_pairs(questions, own, index.store.row_of)


def _made(
    index: Index,
    parts: BaseParts,
    lessons: list[Earning],
    parsed: argparse.Namespace,
    bar: ProgressBar,
) -> Made:
    import numpy as np

    from ..graph.edges import Relation
    from ..retrievers.router.clues import Corpus
    from ..retrievers.router.examples import encoded, examples_of
    from ..retrievers.router.making import RouterSettings, make_router
    from ..retrievers.router.training import RouterTraining

    corpus = Corpus(parts.dense.reconstruct(np.arange(len(index))), parts.terms, parts.entity)
    pairs = [lesson.pair for lesson in lessons]
    rewards, in_shards = ([getattr(lesson, name) for lesson in lessons] for name in ("rewards", "in_shards"))
    examples = examples_of(pairs, encoded(pairs, index.encoder, bar.report), corpus, rewards, in_shards)
    training = RouterTraining(objective=parsed.objective, balance=parsed.balance)
    edges = parts.graph.edges
    linked = edges.relation == Relation.TITLE_MENTION
    return make_router(
        corpus,
        examples,
        RouterSettings(parsed.shards, training=training),
        parsed.seed,
        (edges.source[linked], edges.target[linked]),
        list(index.sub_indexes.values()),
        bar.report,
    )
