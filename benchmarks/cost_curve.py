"""Recall against cost: the policy at several prices, beside every fixed pipeline and what is left without its parts.

    python benchmarks/cost_curve.py --data ../shared/data --work runs/cost --json runs/cost.json --svg docs/cost.svg
    python benchmarks/cost_curve.py --sets 2wiki --seeds 0 --indexes INDEXES

Trains one policy for each price, for each ablation at the recipe's own price and for each seed, and keeps them in
--work. Costs are sub-index calls and hops, and milliseconds to the ranking (median), of `trailhound evaluate` on the
dev split.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from html import escape
from pathlib import Path

from inputs import anew, arguments, evaluated, index_folder, parse, run, settings
from table import Column, by_system, show, write

PRICES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05)
"""Recall that a millisecond is worth."""

FIXED = ("lexical", "dense", "hybrid", "hops", "ppr")

ABLATIONS = {
    "imitation alone": ["--set", "ppo_iterations=0"],
    "PPO alone": ["--set", "beta=0"],
}
"""At the recipe's own price; the policy of that price has both, PPO and marginal likelihood."""

FIGURES = ("recall@5", "all_recall@5", Column("return_mean", digits=3), "calls_mean", "latency_ms_p50")
FIGURES += (Column("calibration_error", digits=3), Column("brier_score", digits=3))


@dataclass(frozen=True)
class Setting:
    """What to learn from, at which price, what to measure on."""

    recipe: str
    price: float
    train: str
    validation: str | None
    corpus: str


SETTINGS = {
    "2wiki": Setting("2wiki", 0.01, "2wiki-train", "2wiki-train:validation", "2wiki"),
    "hotpotqa": Setting("hotpotqa", 0.002, "hotpotqa", None, "hotpotqa"),
}


def train(parsed: argparse.Namespace, setting: Setting, out: Path, seed: int, extra: list[str]) -> Path:
    """Train a policy, unless it is there."""
    if not (out / "metrics.json").exists():
        over = ["--index", index_folder(parsed, setting.train), "--questions", parsed.data / setting.train]
        validation = ["--validation", parsed.data / setting.validation] if setting.validation else []
        recipe = [*anew(setting.recipe), "--seed", seed, *settings(parsed), *extra]
        run(["train", *over, "--split", "train", *validation, *recipe, "--threads", 1, "--out", out])
    return out


def evaluate(parsed: argparse.Namespace, setting: Setting, label: str, *options: object) -> dict[str, float]:
    """Evaluate one system on the dev split, unless it was."""
    index, questions = index_folder(parsed, setting.corpus), parsed.data / setting.corpus
    return evaluated(parsed.work / f"{label}.json", index, questions, "dev", [*options, "--threads", 1])


def measure(parsed: argparse.Namespace, name: str) -> dict[str, list[dict[str, float]]]:
    """Return system -> its figures, one for each seed (a fixed system has one)."""
    setting, work = SETTINGS[name], parsed.work
    results = {kind: [evaluate(parsed, setting, f"{name}-{kind}", "--system", kind)] for kind in FIXED}
    for runs in results.values():
        runs[0].pop("return_mean", None)  # a fixed system takes nothing: there is no return to speak of
    for seed in parsed.seeds:
        for price in parsed.prices:
            out = train(parsed, setting, work / f"{name}-{price}-{seed}", seed, ["--set", f"price_per_ms={price}"])
            figures = evaluate(parsed, setting, f"{name}-{price}-{seed}-figures", "--policy", out)
            results.setdefault(f"policy, price {price:g}", []).append(figures)
        for label, extra in ABLATIONS.items():
            out = train(parsed, setting, work / f"{name}-{label.replace(' ', '-')}-{seed}", seed, extra)
            results.setdefault(label, []).append(evaluate(parsed, setting, f"{out.name}-figures", "--policy", out))
        whole = train(parsed, setting, work / f"{name}-{setting.price}-{seed}", seed, [])
        options = ["--policy", whole, "--system", "exhaustive"]
        results.setdefault("exhaustive", []).append(evaluate(parsed, setting, f"{name}-exhaustive-{seed}", *options))
    return results


_LETTER, _LINE = 5.6, 12.0
"""Width of a letter and height of a line of a label."""


def draw(everything: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    """Return the curves as one SVG: recall@5 over calls and over milliseconds, a row for each set."""
    width, height, left, top = 420, 300, 70, 50
    parts = []
    for row, (name, results) in enumerate(everything.items()):
        for column, (axis, said) in enumerate(
            (("calls_mean", "calls per question"), ("latency_ms_p50", "milliseconds per question (median)"))
        ):
            place = f"translate({left + column * (width + 90)} {top + row * (height + 110)})"
            parts.append(f'<g transform="{place}">{_plot(name, results, axis, said, width, height)}</g>')
    size = f'width="{left + 2 * width + 150}" height="{top + len(everything) * (height + 110)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n'
    return head + f'<rect {size} fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"


def _plot(name: str, results: dict[str, list[dict[str, float]]], axis: str, said: str, width: int, height: int) -> str:
    """Return one plot: dots of the fixed systems and ablations, a line through the policy's prices."""
    points = {
        system: (
            statistics.mean(figures[axis] for figures in runs),
            100 * statistics.mean(figures["recall@5"] for figures in runs),
        )
        for system, runs in results.items()
    }
    most = 1.08 * max(x for x, _ in points.values())
    least = 5 * int(min(y for _, y in points.values()) / 5)

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return point[0] / most * width, height * (1 - (point[1] - least) / (100 - least))

    parts = [f'<text x="0" y="-18" font-size="14" font-weight="bold">{escape(name)}: recall@5 against {said}</text>']
    for share in range(least, 101, 5):
        y = at((0, share))[1]
        parts.append(f'<path d="M0 {y:.1f} H{width}" stroke="#ddd"/>')
        parts.append(f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{share}</text>')
    step = next(size for size in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 1e9) if most / size <= 7)
    for tick in range(int(most / step) + 1):
        x, value = tick * step / most * width, tick * step
        parts.append(f'<text x="{x:.1f}" y="{height + 18}" text-anchor="middle">{value:.3g}</text>')
    parts.append(f'<text x="{width / 2}" y="{height + 38}" text-anchor="middle">{said}</text>')
    curve = sorted(at(point) for system, point in points.items() if system.startswith("policy"))
    if curve:
        line = " L".join(f"{x:.1f} {y:.1f}" for x, y in curve)
        parts.append(f'<path d="M{line}" stroke="#14568c" stroke-width="2" fill="none"/>')
    taken: list[tuple[float, float, float]] = []
    for system, point in sorted(points.items(), key=lambda item: -item[1][1]):
        x, y = at(point)
        colour = "#14568c" if system.startswith("policy") else "#2a8f4f" if system in ABLATIONS else "#c0392b"
        label = system.removeprefix("policy, ")
        left = x + 9 if x < 0.75 * width else x - 9 - _LETTER * len(label)
        at_height = _free(left, y, label, taken)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
        if at_height > y:
            parts.append(
                f'<path d="M{x:.1f} {y:.1f} L{left:.1f} {at_height:.1f}" stroke="{colour}" stroke-width="0.5"/>'
            )
        written = f'x="{left:.1f}" y="{at_height + 4:.1f}" font-size="10" fill="{colour}"'
        parts.append(f"<text {written}>{escape(label)}</text>")
    return "\n".join(parts)


def _free(left: float, y: float, label: str, taken: list[tuple[float, float, float]]) -> float:
    """Return the first height from ``y`` downwards at which a label runs over none of those that are there."""
    right = left + _LETTER * len(label)
    while any(first < right and left < last and abs(y - height) < _LINE for first, last, height in taken):
        y += _LINE
    taken.append((left, right, y))
    return y


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "data", "indexes", "work", "seeds", "set", work=Path("runs/cost"))
    parser.add_argument("--sets", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--prices", nargs="+", type=float, default=list(PRICES))
    parser.add_argument("--svg", type=Path, default=None, metavar="FILE", help="draw the curves there")
    parsed = parse(parser)
    everything = {}
    for name in parsed.sets:
        everything[name] = measure(parsed, name)
        show(name, by_system(everything[name], FIGURES), parsed)
        write(everything, parsed)
        if parsed.svg:
            parsed.svg.write_text(draw(everything))


if __name__ == "__main__":
    main()
