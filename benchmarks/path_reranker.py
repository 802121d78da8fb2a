"""What a path re-ranker adds: a policy's results with and without it, side by side, on dev questions.

    python benchmarks/path_reranker.py --policy runs/eb --path-reranker runs/eb-reranker

Prints a table in Markdown; milliseconds are the median of a question, on one thread. --weights shows what the re-ranker
does to these questions with other weights than the fitted one, for who wants to know; choosing by it would be cheating.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch
from trailhound import Index, evaluate

FIGURES = ("recall@2", "recall@5", "recall@20", "all_recall@5")


def row(name: str, system: str, figures: dict[str, float]) -> str:
    """Return one line of the table; shares in percent."""
    shares = [f"{100 * figures[figure]:.2f}" for figure in FIGURES]
    return f"| {name} | {system} | {' | '.join(shares)} | {figures['latency_ms_p50']:.0f} |"


def weighed(folder: Path, weight: float, place: Path) -> Path:
    """Return a copy of a path re-ranker, in ``place``, whose weight is another."""
    copy = Path(shutil.copytree(folder, place / str(weight), ignore=shutil.ignore_patterns("tensorboard")))
    described = json.loads((copy / "path_reranker.json").read_text())
    (copy / "path_reranker.json").write_text(json.dumps(described | {"weight": weight}))
    return copy


def measure(parsed: argparse.Namespace, folders: dict[str, Path | None]) -> None:
    """Print the table."""
    print("| set | system | R@2 | R@5 | R@20 | all R@5 | ms |")
    print("|---|---|---|---|---|---|---|")
    for name in parsed.sets:
        index = Index.open(parsed.indexes / f"{name}.index", threads=1)
        for system, folder in folders.items():
            measured = evaluate(index, parsed.data / name, parsed.split, policy=parsed.policy, path_reranker=folder)
            print(row(name, system, measured.figures), flush=True)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", type=Path, default=None, help="default: the one that ships")
    parser.add_argument("--path-reranker", type=Path, required=True, help="what `trailhound tune-reranker` made")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--indexes", type=Path, default=Path("runs/quality"), help="folder of SET.index")
    parser.add_argument("--sets", nargs="+", default=["entailmentbank", "hotpotqa", "musique"])
    parser.add_argument("--split", default="dev")
    parser.add_argument("--weights", nargs="+", type=float, default=[])
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    weight = json.loads((parsed.path_reranker / "path_reranker.json").read_text())["weight"]
    print(f"policy {parsed.policy or 'that ships'}, path re-ranker {parsed.path_reranker}\n")
    folders: dict[str, Path | None] = {"policy": None, f"re-ranked, fitted weight {weight}": parsed.path_reranker}
    with tempfile.TemporaryDirectory() as place:
        for other in parsed.weights:
            folders[f"re-ranked, weight {other}"] = weighed(parsed.path_reranker, other, Path(place))
        measure(parsed, folders)


if __name__ == "__main__":
    main()
