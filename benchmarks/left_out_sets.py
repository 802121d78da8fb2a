"""What the policy and a ranker find in corpora that the ranker was not fitted on: each set is left out once.

    python benchmarks/left_out_sets.py --indexes FOLDER --data FOLDER --made FOLDER --work FOLDER --sets techdocs ...

For every set the ranker is fitted to searches for the train questions of all other sets, as they are and in other
words, and for the questions made over them (--made, as benchmarks/made_questions.py writes them). Then the order of
lexical, of dense, of their fusion, of the policy and of the ranker is measured over the questions of --split. What
searches have seen is kept in --work and used again. Sets of --also are learned from and not measured. With --adapt each
ranker is also adapted, as `train --from` does it: to so many train questions of the set, or to those made over it.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from table import column, markdown, report, show
from trailhound.agent._policy_file import load_policy
from trailhound.agent._ranker import PRIOR
from trailhound.agent._systems import shipped_policy
from trailhound.envs._question_set import QuestionSet
from trailhound.envs._seen import SEEN_FEATURES
from trailhound.index.index import Index
from trailhound.learning.policy._misworded import misworded
from trailhound.learning.policy._ranked_lists import RankedList, looked_at
from trailhound.learning.policy._ranking import fit_ranker
from trailhound.learning.policy.recipe import Recipe
from trailhound.retrievers.questions._left_out import load_left_out

STEPS = Recipe().ranker_steps
SHOWN = [column(name) for name in ("ndcg@10", "recall@5", "recall@20")]

Order = Callable[[RankedList], NDArray[np.float32]]
"""Scores the passages of a list, float32 [n]; higher stands first."""

Results = dict[str, dict[str, list[dict[str, float]]]]
"""Set -> system -> the figures of each seed."""


def by(place: int) -> Order:
    """Order by one feature of what was seen."""
    return lambda one: one.seen.features[:, place]


RANKED, MADE, MISWORDED = "with ranker", "made", "misworded"
FIXED = {
    "lexical": by(SEEN_FEATURES.index("lexical_rank")),
    "dense": by(SEEN_FEATURES.index("dense")),
    "hybrid": by(PRIOR),
    "policy": by(SEEN_FEATURES.index("policy_rank")),
}


def searched(parsed: argparse.Namespace, name: str, what: str, number: int) -> list[RankedList]:
    """Return what searches for at most ``--most`` questions have seen, from --work if it is there.

    What they are is a split, or ``made``, or ``misworded``: the train questions in other words.
    """
    folder = (parsed.made if what == MADE else parsed.data) / name
    split = "train" if what in (MADE, MISWORDED) else what
    kept = parsed.work / f"{name}-{what}.pickle"
    if not kept.exists():
        policy = load_policy(parsed.policy)
        index = Index.open(parsed.indexes / f"{name}.index", threads=1)
        how = (policy.settings, lambda _: None, policy.hop_encoder(threads=1))
        questions = QuestionSet.load(index, folder, split, *how)
        drawn = np.random.default_rng(0).permutation(len(questions))[: parsed.most].tolist()
        hidden = load_left_out(folder)
        lists = []
        for k in drawn:
            worlds = [questions.world(k)]
            if what == MISWORDED:
                worlds = misworded(worlds, np.random.default_rng(k)) if k % 2 else []
            found = looked_at(policy, worlds, {id(index): number})
            lists += [_without(one, index, hidden.get(questions.items[k].question.id, ())) for one in found]
        kept.write_bytes(pickle.dumps(lists))
        print(f"{kept.stem}: {len(lists)} searches", flush=True)
    return list(pickle.loads(kept.read_bytes()))  # our own file


def _without(one: RankedList, index: Index, hidden: Sequence[str]) -> RankedList:
    """Leave out what a question's set says must not be ranked."""
    if not hidden:
        return one
    passages = index.store.passages(one.seen.rows.tolist())
    stays = np.array([p.id not in hidden and p.document_id not in hidden for p in passages])
    edges = one.seen.edges[:, stays][:, :, stays]
    seen = replace(one.seen, rows=one.seen.rows[stays], features=one.seen.features[stays], edges=edges)
    return replace(one, seen=seen, met=one.met[stays])


def figures(lists: Sequence[RankedList], order: Order) -> dict[str, float]:
    """Return the means over questions; each label counts where it is first met."""
    each = []
    for one in lists:
        ranking = np.argsort(-order(one), kind="stable")
        found = [len(set(one.met[ranking[:k]].tolist()) - {-1}) / max(one.labels, 1) for k in (5, 20)]
        each.append((one.gain(ranking), *found))
    return dict(zip((shown.name for shown in SHOWN), np.mean(each, axis=0).tolist(), strict=True))


def mean_over_sets(results: Results, system: str) -> list[dict[str, float]]:
    """Return the means over sets, for each seed."""
    runs = zip(*(of[system] for of in results.values()), strict=True)
    return [{shown.name: float(np.mean([run[shown.name] for run in each])) for shown in SHOWN} for each in runs]


def table(results: Results) -> str:
    """Return a row for every set, and one for their mean."""
    systems = list(next(iter(results.values())))
    everything = {**results, "mean": {system: mean_over_sets(results, system) for system in systems}}
    rows = [
        [name, *(" / ".join(shown.cell(of[system]) for shown in SHOWN) for system in systems)]
        for name, of in everything.items()
    ]
    return markdown(["set", *systems], rows)


def main() -> None:
    """Fit a ranker without each set in turn, and print what it finds there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, said in (("indexes", "folder of SET.index"), ("data", "folder of the sets"), ("work", "what is kept")):
        parser.add_argument(f"--{name}", type=Path, required=True, help=said)
    parser.add_argument("--made", type=Path, help="folder of the questions made over each set")
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--also", nargs="*", default=[])
    parser.add_argument("--policy", type=Path, default=shipped_policy(), help="default: the one that ships")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--most", type=int, default=300, help="questions of a split")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--adapt", nargs="*", default=[], help=f"numbers of questions, or {MADE}")
    parser.add_argument("--without-messages", action="store_true", help="pass none between neighbours: the ablation")
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    parsed.work.mkdir(parents=True, exist_ok=True)
    own, reworded, made = ({name: [] for name in (*parsed.sets, *parsed.also)} for _ in range(3))
    for number, name in enumerate(own):
        own[name] = searched(parsed, name, "train", number)
        reworded[name] = searched(parsed, name, MISWORDED, number)
        if parsed.made is not None:
            made[name] = searched(parsed, name, MADE, len(own) + number)
    results: Results = {}
    for number, name in enumerate(parsed.sets):
        others = [one for part in (own, reworded, made) for other in own if other != name for one in part[other]]
        rankers = {RANKED: [fit_ranker(others, STEPS, seed, not parsed.without_messages) for seed in parsed.seeds]}
        for how in parsed.adapt:
            known = made[name] if how == MADE else own[name][: int(how)]
            rankers[f"adapted to {how}"] = [
                fit_ranker(known, STEPS, seed, start=ranker)
                for seed, ranker in zip(parsed.seeds, rankers[RANKED], strict=True)
            ]
        lists = searched(parsed, name, parsed.split, number)
        results[name] = {system: [figures(lists, order)] * len(parsed.seeds) for system, order in FIXED.items()}
        for system, fitted in rankers.items():
            results[name][system] = [figures(lists, lambda one, r=ranker: r.scores(one.seen)) for ranker in fitted]
        report(f"{name}: {len(lists)} questions, rankers fitted to {len(others)} others", results, parsed)
    show(f"{parsed.split}: {' / '.join(shown.name for shown in SHOWN)}", table(results), parsed)


if __name__ == "__main__":
    main()
