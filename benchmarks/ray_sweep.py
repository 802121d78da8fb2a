"""What a sweep finds and costs, with early stopping and without it, against the settings as they stand.

    python benchmarks/ray_sweep.py

Trials train small policies on an invented corpus, by the recipe of the demo with fewer rounds. Counted is the CPU of
all processes that a sweep starts, Ray's own and imports included. Sweeps choose by the validation questions; the dev
questions say what the chosen policies are worth on others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ray_indexing import cpu_of
from trailhound import Index
from trailhound.agent._policy_file import load_policy
from trailhound.demo._encyclopedia import generate, write_beir
from trailhound.envs._question_set import QuestionSet
from trailhound.learning.policy._validation import validate

TRIED = ("imitation_learning_rate=2e-4..2e-2", "ppo_learning_rate=1e-4..1e-2", "entropy_weight=0..0.03")
SHORT = ("imitation_epochs=3", "ppo_iterations=3", "ppo_lanes=16", "ppo_steps=24", "max_steps=12", "reader_epochs=0")


def score(index: Index, questions: Path, run: Path) -> float:
    """Return the score of a run's policy on dev questions."""
    policy = load_policy(run)
    asked = QuestionSet.load(index, questions, "dev", policy.settings)
    return validate(policy.network, policy.settings, [asked.world(k) for k in range(len(asked))])["score"]


def swept(house: Path, index: Index, seed: int, trials: int, stopping: bool) -> str:
    """Sweep; returns cells of the table: score of the best policy, on dev, seconds of CPU, and of time."""
    out = house / f"{seed}-{stopping}"
    sources = ["--index", house / "index", "--questions", house / "corpus", "--split", "train"]
    sources += ["--validation", f"{house / 'corpus'}:validation", "--from", "none", "--recipe", "demo"]
    how = [part for one in TRIED for part in ("--try", one)] + ([] if stopping else ["--no-early-stopping"])
    how += [part for one in SHORT for part in ("--set", one)]
    sizes = ["--trials", trials, "--seed", seed, "--out", out, "--quiet"]
    cpu, seconds, _ = cpu_of("-m", "trailhound", "sweep", *map(str, (*sources, *how, *sizes)))
    result = json.loads((out / "sweep.json").read_text("utf-8"))
    best, stopped = result["trials"][result["best"] - 1], [t for t in result["trials"] if t["outcome"] == "stopped"]
    sys.stderr.write(
        f"seed {seed}: {best}, {len(stopped)} of {trials} stopped after {[t['rounds'] for t in stopped]}\n"
    )
    return f"{best['score']:.3f} | {score(index, house / 'corpus', out):.3f} | {cpu:.0f} | {seconds:.0f}"


def main() -> None:
    """Sweep with every seed, both ways, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=150, help="default: 150")
    parser.add_argument("--questions", type=int, default=75, help="default: 75")
    parser.add_argument("--trials", type=int, default=8, help="default: 8")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trailhound-sweep-") as folder:
        house = Path(folder)
        write_beir(generate(parsed.articles, parsed.questions, seed=0), house / "corpus")
        build = ["index", house / "corpus", "--out", house / "index", "--quiet"]
        subprocess.run([sys.executable, "-m", "trailhound", *map(str, build)], check=True, stdout=subprocess.DEVNULL)
        index = Index.open(house / "index", threads=1)
        print(
            "| seed | as it stands | on dev | without stopping | on dev | CPU s | s | stopping | on dev | CPU s | s |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        for seed in range(parsed.seeds):
            first = house / f"{seed}-False" / "trials" / "1"
            rows = [swept(house, index, seed, parsed.trials, stopping) for stopping in (False, True)]
            as_it_stands = json.loads((first / "metrics.json").read_text("utf-8"))["score"]
            given = f"{as_it_stands:.3f} | {score(index, house / 'corpus', first):.3f}"
            print(f"| {seed} | {given} | {' | '.join(rows)} |", flush=True)


if __name__ == "__main__":
    main()
