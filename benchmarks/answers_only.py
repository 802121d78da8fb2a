"""Learning from answers alone: how far it gets, and what the marginal likelihood over paths adds to PPO.

    python benchmarks/answers_only.py --data ../shared/data --indexes INDEXES --out FOLDER [--sets 2wiki hotpotqa]

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

import numpy as np
import torch
from trailhound import Index, TrainingSource, load_recipe, train
from trailhound.agent.policy_file import load_policy
from trailhound.envs.question_set import QuestionSet
from trailhound.learning.policy.validation import validate

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
PREPARED = ("evidence_sets.json", "reader.json", "reader.safetensors", "judge-0", "judge-1")


def prepared(out: Path, source: Path) -> None:
    """Give a run the readers and posteriors of another."""
    out.mkdir(parents=True, exist_ok=True)
    for name in PREPARED:
        if (source / name).is_dir():
            shutil.copytree(source / name, out / name, dirs_exist_ok=True)
        elif (source / name).exists():
            shutil.copy(source / name, out / name)


def measure(name: str, run: Path, data: Path, indexes: Path) -> dict[str, float]:
    """Return recall, return and calls on the dev questions, by their labels."""
    _, _, _, corpus, split = SETS[name]
    policy = load_policy(run)
    index = Index.open(indexes / f"{corpus}.index", threads=1)
    questions = QuestionSet.load(index, data / corpus, split, policy.settings, lambda message: None)
    return validate(policy.network, policy.settings, [questions.world(k) for k in range(len(questions))])


def learn(name: str, variant: str, seed: int, out: Path, data: Path, indexes: Path) -> float:
    """Train one run, unless it is there; returns the seconds it took."""
    corpus, split, validation, _, _ = SETS[name]
    index = Index.open(indexes / f"{corpus}.index", threads=1)
    started = monotonic()
    train(
        [TrainingSource(index, data / corpus, split)],
        out,
        validation=[TrainingSource(index, data / corpus, validation)] if validation else (),
        recipe=load_recipe(name, VARIANTS[variant]),
        seed=seed,
        supervision="answers",
        warn=lambda message: None,
    )
    return monotonic() - started


def main() -> None:
    """Train every variant and seed that is not there yet, and print means and spreads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--indexes", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.sets:
        first: dict[int, Path] = {}
        for variant in chosen.variants:
            figures = []
            for seed in chosen.seeds:
                held_out = 0 if SETS[name][2] else seed  # the questions held out are the same, or drawn by the seed
                run = chosen.out / name / variant.replace(" ", "-").replace(",", "").replace("+", "and") / str(seed)
                result = run / "dev.json"
                if not result.exists():
                    if held_out in first and not (run / "run.json").exists():
                        prepared(run, first[held_out])
                    seconds = learn(name, variant, seed, run, chosen.data, chosen.indexes)
                    found = {**measure(name, run, chosen.data, chosen.indexes), "seconds": seconds}
                    result.write_text(json.dumps(found))
                    print(f"  {name} | {variant} | seed {seed} | {found}", flush=True)
                first.setdefault(held_out, run)
                figures.append(json.loads(result.read_text()))
            cells = [
                f"{metric} {np.mean([f[metric] for f in figures]):.3f} ± {np.std([f[metric] for f in figures]):.3f}"
                for metric in ("recall@5", "all_recall@5", "return", "calls", "seconds")
            ]
            print(f"{name} | {variant} | {' | '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
