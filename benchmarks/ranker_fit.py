"""What fitting the ranker costs, and what the result is worth on lists held out: CPU seconds and nDCG@10, a row a seed.

    python benchmarks/ranker_fit.py --index 2wiki-train.index --questions data/2wiki-train --held-out validation

Lists are what searches of the shipped policy have seen. Each fit is from nothing, on one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from trailhound import Index
from trailhound.agent._policy_file import load_policy
from trailhound.agent._systems import shipped_policy
from trailhound.envs._question_set import QuestionSet
from trailhound.learning.policy._ranked_lists import RankedList, looked_at
from trailhound.learning.policy._ranking import fit_ranker


def lists_of(index: Index, questions: Path, split: str, most: int) -> list[RankedList]:
    """Return what the shipped policy's searches see of the first questions of a split."""
    shipped = shipped_policy()
    if shipped is None:
        raise SystemExit("no policy comes with this copy of the package")
    policy = load_policy(shipped)
    asked = QuestionSet.load(index, questions, split, policy.settings)
    return looked_at(policy, [asked.world(k) for k in range(min(most, len(asked)))], {id(index): 0})


def main() -> None:
    """Fit with every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--index", "--questions"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--split", default="train", help="default: train")
    parser.add_argument("--held-out", default="dev", help="split that is ranked; default: dev")
    parser.add_argument("--most", type=int, default=2000, help="questions of each split at most; default: 2000")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    index = Index.open(parsed.index, threads=1)
    lists, held = (lists_of(index, parsed.questions, one, parsed.most) for one in (parsed.split, parsed.held_out))
    fit_ranker(lists[:20], 1, 0)  # imports are not counted
    print(f"| seed | CPU s of a fit on {len(lists)} lists | nDCG@10 of {len(held)} held out |")
    print("|---|---|---|")
    for seed in range(parsed.seeds):
        begun = time.process_time()
        ranker = fit_ranker(lists, 300, seed)
        seconds = time.process_time() - begun
        gains = [one.gain(np.argsort(-ranker.scores(one.seen), kind="stable")) for one in held]
        print(f"| {seed} | {seconds:.1f} | {100 * np.mean(gains):.2f} |", flush=True)


if __name__ == "__main__":
    main()
