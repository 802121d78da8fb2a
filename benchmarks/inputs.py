"""What several benchmarks take: their options, indexes (made where they are missing), and the commands they run."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trailhound import Index
from trailhound.envs._question_set import supporting_rows
from trailhound.retrievers.questions._label_targets import settle_labels
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Question

_OPTIONS: dict[str, dict[str, Any]] = {
    "data": {"type": Path, "default": Path("../shared/data"), "metavar": "DIR", "help": "folder of the data sets"},
    "indexes": {"type": Path, "metavar": "DIR", "help": "where SET.index lie, made where missing (default: --work)"},
    "work": {"type": Path, "metavar": "DIR", "help": "what is made is kept here and used again (default: %(default)s)"},
    "index": {"type": Path, "required": True, "metavar": "INDEX"},
    "questions": {"type": Path, "required": True, "metavar": "DIR", "help": "with queries.jsonl and qrels/"},
    "split": {"default": "dev", "help": "to measure on (default: %(default)s)"},
    "policy": {"type": Path, "metavar": "RUN", "help": "default: the one that ships"},
    "seeds": {"type": int, "nargs": "+", "default": [0, 1, 2], "metavar": "N", "help": "default: 0 1 2"},
    "set": {"action": "append", "default": [], "metavar": "NAME=VALUE", "help": "of every recipe; may be repeated"},
    "most": {"type": int, "default": 500, "metavar": "N", "help": "questions of a split (default: %(default)s)"},
}


def arguments(about: str | None, *options: str, **defaults: Any) -> argparse.ArgumentParser:
    """Return a parser with ``--json`` and the shared options that a benchmark takes.

    Args:
        about: the script's docstring, shown by ``--help``.
        options: names of shared options: data, indexes, work, index, questions, split, policy, seeds, set, most.
        defaults: of these options, where they differ from the usual ones.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in options:
        described = dict(_OPTIONS[name])
        if name in defaults:
            described |= {"default": defaults[name], "required": False}
        if described.get("action") == "append":
            described["default"] = list(described["default"])
        parser.add_argument(f"--{name}", **described)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    return parser


def add_corpora(parser: argparse.ArgumentParser) -> None:
    """Add ``--index``, ``--questions`` and ``--split``, each as often as there are corpora."""
    parser.add_argument("--index", type=Path, action="append", required=True, metavar="INDEX", help="may be repeated")
    parser.add_argument("--questions", type=Path, action="append", required=True, metavar="DIR", help="one per --index")
    parser.add_argument("--split", action="append", required=True, help="one per --index")


def corpora(parsed: argparse.Namespace) -> list[tuple[Path, Path, str]]:
    """Return (index folder, questions folder, split) of every corpus."""
    return list(zip(parsed.index, parsed.questions, parsed.split, strict=True))


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line; the folder for work is made, and torch and FAISS keep to one thread."""
    parsed = parser.parse_args()
    import faiss
    import torch

    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    if getattr(parsed, "work", None) is not None:
        parsed.work.mkdir(parents=True, exist_ok=True)
    if "indexes" in parsed:
        parsed.indexes = parsed.indexes or parsed.work
    return parsed


def index_folder(parsed: argparse.Namespace, name: str) -> Path:
    """Return the folder of a set's index in ``--indexes``; the set is indexed where there is none."""
    place: Path = parsed.indexes / f"{name}.index"
    if not place.exists():
        run(["index", parsed.data / name, "--out", place])
    return place


def open_index(parsed: argparse.Namespace, name: str) -> Index:
    """Open a set's index on one thread."""
    return Index.open(index_folder(parsed, name), threads=1, verify=False)


def supporting(
    index: Index, folder: Path, split: str, most: int | None = None
) -> tuple[list[Question], list[set[int]]]:
    """Return a split's questions (at most so many, drawn by seed 0) and the rows of their supporting passages."""
    import numpy as np

    questions, qrels = load_questions(folder, split)
    if most is not None:
        chosen = np.sort(np.random.default_rng(0).permutation(len(questions))[:most])
        questions = [questions[number] for number in chosen.tolist()]
    rows = supporting_rows(index, questions, settle_labels(index.store, qrels))
    return questions, [set(rows[question.id]) for question in questions]


def recipe_called(name: str) -> str:
    """Return a recipe of this folder as its file, and the name of one that comes with the package as it is."""
    file = Path(__file__).with_name("recipes") / f"{name}.toml"
    return str(file) if file.exists() else name


def anew(recipe: str | None = None) -> list[str]:
    """Return the options that train a policy from the beginning, by a recipe or by the default one."""
    return ["--from", "none", *(["--recipe", recipe_called(recipe)] if recipe else [])]


def run(command: Sequence[object]) -> tuple[float, float]:
    """Run one trailhound command in a process of its own; returns its seconds and its peak memory in GiB."""
    started = time.perf_counter()
    words = [str(word) for word in command]
    process = subprocess.Popen([sys.executable, "-m", "trailhound", *words, "--quiet"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"trailhound {' '.join(words)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 2**20


def evaluated(figures: Path, index: Path, questions: Path, split: str, options: Sequence[object]) -> dict[str, float]:
    """Return what ``trailhound evaluate`` writes into ``figures``; it runs where the file is missing."""
    if not figures.exists():
        run(["evaluate", "--index", index, "--questions", questions, "--split", split, "--json", figures, *options])
    read: dict[str, float] = json.loads(figures.read_text())
    return read


def settings(parsed: argparse.Namespace) -> list[str]:
    """Return ``--set NAME=VALUE`` as ``trailhound train`` takes it."""
    return [part for setting in parsed.set for part in ("--set", setting)]


def write_split(source: Path, folder: Path, labels: dict[str, Sequence[str]]) -> None:
    """Write a questions folder with the questions of ``source`` and splits of its label lines.

    Args:
        source: a BEIR folder.
        folder: where to write; a folder that is there is left as it is.
        labels: split -> lines of a qrels file, without its heading.
    """
    if (folder / "qrels").exists():
        return
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_bytes((source / "queries.jsonl").read_bytes())
    for name, lines in labels.items():
        (folder / "qrels" / f"{name}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n")


def label_lines(folder: Path, split: str) -> list[str]:
    """Return the lines of a split's qrels file, without its heading."""
    lines = (folder / "qrels" / f"{split}.tsv").read_text().splitlines()
    return [line for line in lines[1:] if line.strip()]


def folds(names: Sequence[str], count: int) -> list[list[str]]:
    """Deal names out into folds, by seed 0."""
    import random

    order = sorted(names)
    random.Random(0).shuffle(order)
    return [order[fold::count] for fold in range(count)]
