"""Quality on real questions: every recipe, three seeds, beside the fixed systems, by the command line as a user would.

    python benchmarks/quality.py --data ../shared/data --work runs/quality --json runs/quality.json
    python benchmarks/quality.py --sets 2wiki --seeds 0 1 2

Indexes and policies are kept in --work and used again. Prints a table in Markdown and writes every figure as JSON.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from inputs import anew, arguments, evaluated, index_folder, parse, run, settings
from table import Column, by_system, show, write

SYSTEMS = ("lexical", "dense", "hybrid", "ppr")
SHOWN = ("recall@2", "recall@5", "all_recall@5", "recall@20", "return_mean", "calls_mean")
SHOWN += ("latency_ms_p50", "latency_ms_p95", Column("train_seconds", digits=0), "train_gib")

TEXTS = ("entailmentbank", "hotpotqa", "musique", "scifact", "2wiki-train")
"""Every train split there is."""


@dataclass(frozen=True)
class Setting:
    """What to learn from, what to measure on; ``tuned`` are the train splits that the hop encoder is tuned on."""

    recipe: str | None
    train: tuple[str, ...]
    corpus: str
    validation: str | None = None
    tuned: tuple[str, ...] = ()
    split: str = "dev"


def _without(name: str) -> tuple[str, ...]:
    return tuple(text for text in TEXTS if text != name)


SETTINGS = {
    "2wiki": Setting("2wiki", ("2wiki-train",), "2wiki", "2wiki-train:validation"),
    "exhaustive": Setting("exhaustive", ("2wiki-train",), "2wiki", "2wiki-train:validation"),
    "hotpotqa": Setting("hotpotqa", ("hotpotqa",), "hotpotqa", tuned=TEXTS),
    "musique": Setting("musique", ("musique", "hotpotqa", "2wiki-train"), "musique", tuned=TEXTS),
    "entailmentbank": Setting("entailmentbank", ("entailmentbank",), "entailmentbank", tuned=TEXTS),
    "2wiki-unseen": Setting(None, _without("2wiki-train"), "2wiki", tuned=_without("2wiki-train")),
    "hotpotqa-unseen": Setting(None, _without("hotpotqa"), "hotpotqa", tuned=_without("hotpotqa")),
}


def sources(parsed: argparse.Namespace, names: tuple[str, ...]) -> list[object]:
    """Return the arguments that name train splits."""
    pairs = [("--index", index_folder(parsed, name), "--questions", parsed.data / name) for name in names]
    return [part for pair in pairs for part in pair]


def hop_encoder(parsed: argparse.Namespace, names: tuple[str, ...]) -> list[object]:
    """Tune a hop encoder on train splits, unless it is there; returns the arguments that name it."""
    if not names:
        return []
    if parsed.hop_encoder:
        return ["--hop-encoder", parsed.hop_encoder]
    left_out = "-".join(name for name in TEXTS if name not in names)
    place = parsed.work / f"hop-{'without-' + left_out if left_out else 'all'}"
    run(["tune", *sources(parsed, names), "--split", "train", "--epochs", 3, "--threads", 1, "--out", place])
    return ["--hop-encoder", place]


def evaluate(parsed: argparse.Namespace, setting: Setting, label: str, *options: object) -> dict[str, float]:
    """Evaluate one system on the setting's questions."""
    index, questions = index_folder(parsed, setting.corpus), parsed.data / setting.corpus
    return evaluated(parsed.work / f"{label}.json", index, questions, setting.split, options)


def measure(parsed: argparse.Namespace, name: str) -> dict[str, list[dict[str, float]]]:
    """Train one policy per seed and evaluate it; unless ``--alone``, also exhaustively, and the fixed systems once."""
    setting = SETTINGS[name]
    fixed = () if parsed.alone else SYSTEMS
    results = {system: [evaluate(parsed, setting, f"{name}-{system}", "--system", system)] for system in fixed}
    results |= {"policy": []} | ({} if parsed.alone else {"the policy, exhaustive": []})
    for seed in parsed.seeds:
        out = parsed.work / f"{name}{''.join(settings(parsed)).replace('--set', '-')}-{seed}"
        learn = [*sources(parsed, setting.train), "--split", "train", *hop_encoder(parsed, setting.tuned)]
        learn += ["--validation", parsed.data / setting.validation] if setting.validation else []
        spent = out.with_suffix(".training.json")
        if not spent.exists():
            seconds, gibibytes = run(
                ["train", *learn, *anew(setting.recipe), "--seed", seed, "--out", out, *settings(parsed)]
            )
            spent.write_text(json.dumps({"train_seconds": seconds, "train_gib": gibibytes}))
        figures = evaluate(parsed, setting, f"{out.name}-policy", "--policy", out)
        results["policy"].append(figures | json.loads(spent.read_text()))
        if not parsed.alone:
            exhaustive = evaluate(parsed, setting, f"{out.name}-exhaustive", "--policy", out, "--system", "exhaustive")
            results["the policy, exhaustive"].append(exhaustive)
    return results


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "data", "indexes", "work", "seeds", "set", work=Path("runs/quality"))
    parser.add_argument("--sets", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--alone", action="store_true", help="the policy alone, without what it is compared with")
    parser.add_argument("--hop-encoder", default=None, metavar="DIR|shipped", help="use this one, do not tune one")
    parsed = parse(parser)
    everything = {}
    for name in parsed.sets:
        everything[name] = measure(parsed, name)
        show(name, by_system(everything[name], SHOWN), parsed)
        write(everything, parsed)


if __name__ == "__main__":
    main()
