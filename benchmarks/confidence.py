"""How well searches know that they do not know, on sets that nothing was fitted on.

For every set the confidence is fitted on the train questions of all other sets, and held against its dev questions, and
such as its corpus does not answer: the questions without the passages that answer them, questions of other sets, and
nonsense. With `--write` it is also fitted on the train questions of all sets, and kept in the policy's folder.

    python benchmarks/confidence.py --indexes FOLDER --data FOLDER --sets techdocs medical ... [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from trailhound.agent._confidence import Confidence
from trailhound.agent._policy_file import load_policy, save_confidence
from trailhound.agent._rollout import search_worlds
from trailhound.agent._systems import shipped_policy
from trailhound.envs._question_set import QuestionSet
from trailhound.envs._world import QuestionWorld
from trailhound.index.index import Index
from trailhound.learning.policy._unanswerable import WithoutEvidence, asked_over, nonsense
from trailhound.learning.policy._validation import JudgedSearch, examples_of, judged_searches
from trailhound.retrievers._calibration import calibration_error
from trailhound.retrievers.questions._labelled import load_questions

TYPED = (
    *("SELECT * FROM users", "asdf qwer zxcv", "lorem ipsum dolor sit amet", "purple monkey dishwasher", "hello"),
    *("git push origin master --force", "<div class='btn'>hello</div>", "0x7ffee3b0 segfault at line 33", "E = mc^2"),
    *("why do blorbs frindle?", "colourless green ideas sleep furiously", "my cat ate my homework", "12345 67890"),
    *("npm install left-pad", "best pizza near me", "when does the bus to Narnia leave", "is it?", "aaaaaaa bbbbbb"),
)
"""Nonsense that people type."""

RANKINGS = 4
"""Searches that are judged for one question: the policy's and those of three fixed systems."""

SYSTEMS = ("policy", "hybrid", "lexical")
KINDS = ("answered", "without evidence", "of another set", "nonsense")

Searches = dict[str, list[JudgedSearch]]
"""By kind of question."""


class Sets:
    """The questions of all sets, as a policy searches for them."""

    def __init__(self, indexes: Path, data: Path, names: Sequence[str], policy: Path, most: int) -> None:
        self._indexes, self._data, self._names, self._most = indexes, data, names, most
        self._policy = load_policy(policy)
        self._hop_encoder = self._policy.hop_encoder(threads=1)

    def searches(self, name: str, split: str) -> Searches:
        """Search for the questions of a split of one set, and for such as its corpus does not answer."""
        rng = np.random.default_rng([len(name), split == "dev"])
        index, settings = Index.open(self._indexes / f"{name}.index"), self._policy.settings
        questions = QuestionSet.load(index, self._data / name, split, settings, hop_encoder=self._hop_encoder)
        drawn = sorted(rng.permutation(len(questions))[: self._most].tolist())
        own = [world for world in map(questions.world, drawn) if world.gold]
        typed = list(TYPED) if split == "dev" else []
        texts = {
            "of another set": [self._of_another(name, split, rng) for _ in own],
            "nonsense": typed + [nonsense(world, rng) for world in own[len(typed) // 2 :]],
        }
        worlds: dict[str, list[QuestionWorld]] = {
            "answered": own,
            "without evidence": [WithoutEvidence(world, self._hop_encoder) for world in own],
        }
        for kind, given in texts.items():
            worlds[kind] = [asked_over(own[0], text, self._hop_encoder) for text in given]
        return {kind: self._searched(worlds[kind]) for kind in KINDS}

    def _of_another(self, name: str, split: str, rng: np.random.Generator) -> str:
        other = str(rng.choice([one for one in self._names if one != name]))
        questions, _ = load_questions(self._data / other, split)
        return questions[int(rng.integers(len(questions)))].text

    def _searched(self, worlds: list[QuestionWorld]) -> list[JudgedSearch]:
        outcomes = search_worlds(self._policy.scorer, self._policy.settings, worlds, 16, ranker=self._policy.ranker)
        return [one for pair in zip(worlds, outcomes, strict=True) for one in judged_searches(*pair)]


def learned(searches: Searches) -> list[JudgedSearch]:
    """Return what is learned from: as many questions without an answer as with one, in the shares of training."""
    own = len(searches["answered"])
    counts = (own, own // 4, own * 3 // 8, own * 3 // 8)
    return [one for kind, count in zip(KINDS, counts, strict=True) for one in searches[kind][: RANKINGS * count]]


def auroc(answered: NDArray[np.float64], unanswered: NDArray[np.float64]) -> float:
    """Return the share of pairs in which the answered question stands above the other."""
    ranks = rankdata(np.concatenate((answered, unanswered)))
    n = len(answered)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(unanswered)))


def figures(confidence: Confidence, searches: Searches, system: str) -> list[float]:
    """Return the row of one set."""
    of_system = {kind: [one for one in ones if one.system == system] for kind, ones in searches.items()}
    stated = {kind: [confidence.of(one.kind, one.signals) for one in ones] for kind, ones in of_system.items()}
    sure = {kind: np.array([one.confidence for one in ones]) for kind, ones in stated.items()}
    refused = {kind: np.mean([one.unanswered for one in ones]) for kind, ones in stated.items()}
    complete = np.array([one.complete for one in of_system["answered"]])
    everything = np.concatenate([sure[kind] for kind in KINDS])
    truth = np.concatenate((complete, np.zeros(len(everything) - len(complete), np.bool_)))
    return [
        *(auroc(sure["answered"], sure[kind]) for kind in KINDS[1:]),
        1 - refused["answered"],
        *(refused[kind] for kind in KINDS[1:]),
        calibration_error(sure["answered"], complete),
        calibration_error(everything, truth),
        calibration_error(*of_passages(confidence, of_system)),
        sure["answered"].mean(),
        complete.mean(),
    ]


def of_passages(confidence: Confidence, searches: Searches) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of every passage listed to support its question, and whether it does."""
    likely, truth = [], []
    for one in (one for ones in searches.values() for one in ones):
        found = confidence.of_passages(one.kind, confidence.of(one.kind, one.signals), one.listed)
        assert found is not None  # its curve is fitted with the others
        likely.append(found)
        truth.append(one.supporting)
    return np.concatenate(likely), np.concatenate(truth)


def main() -> None:
    """Measure every set, and print a table for each system."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--indexes", type=Path, required=True, help="folder of SET.index")
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--policy", type=Path, default=shipped_policy(), help="default: the one that ships")
    parser.add_argument("--most", type=int, default=40, help="questions of each split")
    parser.add_argument("--write", action="store_true", help="keep what was fitted on all sets in the policy's folder")
    args = parser.parse_args()
    sets = Sets(args.indexes, args.data, args.sets, args.policy, args.most)
    with_train = [name for name in args.sets if (args.data / name / "qrels/train.tsv").exists()]
    train = {name: sets.searches(name, "train") for name in with_train}
    if args.write:
        everything = [one for searches in train.values() for one in learned(searches)]
        save_confidence(args.policy, Confidence.fit(examples_of(everything)))
    rows: dict[str, list[list[float]]] = {system: [] for system in SYSTEMS}
    for name in args.sets:
        others = [one for other, searches in train.items() if other != name for one in learned(searches)]
        confidence, dev = Confidence.fit(examples_of(others)), sets.searches(name, "dev")
        for system in SYSTEMS:
            rows[system].append(figures(confidence, dev, system))
            print(f"| {system} | {name} | {' | '.join(f'{value:.2f}' for value in rows[system][-1])} |", flush=True)
    for system in SYSTEMS:
        print(f"| {system} | mean | {' | '.join(f'{value:.2f}' for value in np.mean(rows[system], axis=0))} |")


if __name__ == "__main__":
    main()
