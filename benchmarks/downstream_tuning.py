"""Queries tuned by a downstream loss alone: HotpotQA, its train questions and answers, no passage labels.

    python benchmarks/downstream_tuning.py --indexes INDEXES --data ../shared/data --work runs/downstream --seeds 0

INDEXES holds hotpotqa.index. Tunes on the train questions with answers (a tenth of them held out: their loss decides
which epoch is kept), then measures dev over the whole corpus, with the question alone as the query: recall of all
supporting passages, by the labels of dev. Variants:

    untuned                the index's own encoder
    encoder + memory       `trailhound tune-query` as it is
    ... memory left out    the encoder that it made, without the memory: what --hop-encoder would use
    memory alone           --rank 0: the encoder stays as it is
    encoder alone          --memory 0

A tuned folder in --work is used again. ``--variants`` chooses; ``--sets`` adds train questions of other sets.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from inputs import arguments, open_index, parse
from table import by_system, show, write
from trailhound import Index, TrainingSource
from trailhound.agent._systems import open_system
from trailhound.agent._tuned_queries import MEMORY_FILE
from trailhound.learning.queries.downstream_tuning import DownstreamSettings, tune_query
from trailhound.measuring._metrics import evaluate_run, mean
from trailhound.measuring.evaluation import DEPTH
from trailhound.retrievers.questions._labelled import load_questions

SHOWN = ("recall@2", "recall@5", "recall@10", "recall@20", "all_recall@5", "ndcg@10")
VARIANTS = {
    "encoder + memory": DownstreamSettings(),
    "memory alone": DownstreamSettings(rank=0),
    "encoder alone": DownstreamSettings(memory=0),
}


def tuned(sources: list[TrainingSource], work: Path, variant: str, seed: int) -> tuple[Path, dict[str, float]]:
    """Tune a variant, unless it is there; returns its folder and the figures of the kept epoch."""
    folder = work / f"{variant.replace(' + ', '-').replace(' ', '-')}-{seed}"
    started = time.process_time()
    figures = tune_query(sources, folder, settings=VARIANTS[variant], seed=seed)
    return folder, {**figures, "cpu_seconds": time.process_time() - started}


def without_memory(folder: Path) -> Path:
    """Return a copy of a tuned folder that lacks the memory."""
    copy = folder.with_name(f"{folder.name}-no-memory")
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    (copy / MEMORY_FILE).unlink()
    return copy


def measure(index: Index, data: Path, system: str, folder: Path | None) -> dict[str, float]:
    """Return the figures of dev, as `trailhound evaluate` computes them, without reading answers."""
    questions, qrels = load_questions(data / "hotpotqa", "dev")
    chosen = open_system(index, system, query_encoder=folder)
    run = {}
    for question in questions:
        found = chosen.rank(question.text, DEPTH)
        names = [passage.id for passage in index.store.passages(found.rows.tolist())]
        run[question.id] = dict(zip(names, found.scores.tolist(), strict=True))
    return mean(evaluate_run(qrels, run))


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "data", "indexes", "work", "seeds", work=Path("runs/downstream"), seeds=[0])
    parser.add_argument("--sets", nargs="+", default=["hotpotqa"], help="whose train questions are learned from")
    every = ["untuned", *VARIANTS]
    parser.add_argument("--variants", nargs="+", default=every, choices=every)
    parser.add_argument("--systems", nargs="+", default=["dense", "hybrid"])
    parsed = parse(parser)
    indexes = {name: open_index(parsed, name) for name in {*parsed.sets, "hotpotqa"}}
    sources = [TrainingSource(indexes[name], parsed.data / name, "train") for name in parsed.sets]
    results: dict[str, list[dict[str, float]]] = {}
    for system in parsed.systems if "untuned" in parsed.variants else ():
        results[f"{system}, untuned"] = [measure(indexes["hotpotqa"], parsed.data, system, None)]
    for variant in (one for one in parsed.variants if one in VARIANTS):
        for seed in parsed.seeds:
            folder, training = tuned(sources, parsed.work, variant, seed)
            folders = {variant: folder}
            if variant == "encoder + memory":
                folders[f"{variant}, memory left out"] = without_memory(folder)
            for label, place in folders.items():
                for system in parsed.systems if label == variant else ("dense",):
                    figures = measure(indexes["hotpotqa"], parsed.data, system, place)
                    results.setdefault(f"{system}, {label}", []).append({**figures, **training, "seed": seed})
                    write(results, parsed)
    show(f"HotpotQA dev, learned from {', '.join(parsed.sets)}", by_system(results, SHOWN), parsed)


if __name__ == "__main__":
    main()
