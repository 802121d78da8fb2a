"""Learning from answers alone: how far it gets, and what the marginal likelihood over paths adds to PPO.

    python benchmarks/answers_only.py --data ../shared/data --indexes INDEXES --work FOLDER [--sets 2wiki hotpotqa]

INDEXES holds 2wiki-train.index, 2wiki.index and hotpotqa.index. For each set the readers and the posteriors over
evidence sets are made once and shared by all runs, so that seeds differ in the policy alone; where there is no
validation split, each seed holds other questions out, and only the variants of one seed share them. No label is looked
at in training; the figures are recall and return (recall minus price) on dev, by its labels.

Variants: the recipe as it is (warm start on sets drawn from the posterior, then PPO and L_ML); the same with beta = 0;
and both without a warm start, where PPO alone has nothing but the rewards of what it sampled.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from time import monotonic

from inputs import arguments, open_index, parse, recipe_called
from table import Column, by_system, report, show
from trailhound import TrainingSource, load_recipe, train
from trailhound.agent._policy_file import load_policy
from trailhound.envs._question_set import QuestionSet
from trailhound.learning.policy._validation import validate

SETS = {
    "2wiki": ("2wiki-train", "train", "validation", "2wiki", "dev"),
    "hotpotqa": ("hotpotqa", "train", None, "hotpotqa", "dev"),
}
COLD = {
    "imitation_epochs": "0",
    "ppo_iterations": "10",
    "ppo_steps": "24",
    "ppo_passes": "2",
    "ppo_learning_rate": "2e-3",
    "minibatch": "256",
    "patience": "99",
}
VARIANTS = {
    "warm start, PPO + L_ML": {},
    "warm start, PPO alone": {"beta": "0"},
    "cold, PPO + L_ML": {**COLD, "beta": "0.3"},
    "cold, PPO alone": {**COLD, "beta": "0"},
}
SHOWN = tuple(Column(name, digits=3) for name in ("recall@5", "all_recall@5", "return", "calls"))
SHOWN += (Column("seconds", digits=0),)
PREPARED = ("evidence_sets.json", "reader.json", "reader.safetensors", "judge-0", "judge-1")


def prepared(out: Path, source: Path) -> None:
    """Give a run the readers and posteriors of another."""
    out.mkdir(parents=True, exist_ok=True)
    for name in PREPARED:
        if (source / name).is_dir():
            shutil.copytree(source / name, out / name, dirs_exist_ok=True)
        elif (source / name).exists():
            shutil.copy(source / name, out / name)


def measure(parsed: argparse.Namespace, name: str, run: Path) -> dict[str, float]:
    """Return recall, return and calls on the dev questions, by their labels."""
    _, _, _, corpus, split = SETS[name]
    policy = load_policy(run)
    index = open_index(parsed, corpus)
    questions = QuestionSet.load(index, parsed.data / corpus, split, policy.settings, lambda message: None)
    return validate(policy.network, policy.settings, [questions.world(k) for k in range(len(questions))])


def learn(parsed: argparse.Namespace, name: str, variant: str, seed: int, out: Path) -> float:
    """Train one run, unless it is there; returns the seconds it took."""
    corpus, split, validation, _, _ = SETS[name]
    index = open_index(parsed, corpus)
    started = monotonic()
    train(
        [TrainingSource(index, parsed.data / corpus, split)],
        out,
        validation=[TrainingSource(index, parsed.data / corpus, validation)] if validation else (),
        recipe=load_recipe(recipe_called(name), VARIANTS[variant]),
        seed=seed,
        supervision="answers",
        warn=lambda message: None,
    )
    return monotonic() - started


def main() -> None:
    """Train every variant and seed that is not there yet, and print means and spreads."""
    parser = arguments(__doc__, "data", "indexes", "work", "seeds", work=Path("runs/answers"))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parsed = parse(parser)
    everything: dict[str, list[dict[str, float]]] = {}
    for name in parsed.sets:
        first: dict[int, Path] = {}
        for variant in parsed.variants:
            for seed in parsed.seeds:
                held_out = 0 if SETS[name][2] else seed  # the questions held out are the same, or drawn by the seed
                run = parsed.work / name / variant.replace(" ", "-").replace(",", "").replace("+", "and") / str(seed)
                result = run / "dev.json"
                if not result.exists():
                    if held_out in first and not (run / "run.json").exists():
                        prepared(run, first[held_out])
                    seconds = learn(parsed, name, variant, seed, run)
                    result.write_text(json.dumps({**measure(parsed, name, run), "seconds": seconds}))
                first.setdefault(held_out, run)
                figures = json.loads(result.read_text())
                everything.setdefault(f"{name}, {variant}", []).append(figures)
                report(f"{name}, {variant}, seed {seed}: {figures}", everything, parsed)
    show("learning from answers alone", by_system(everything, SHOWN, "set, variant"), parsed)


if __name__ == "__main__":
    main()
