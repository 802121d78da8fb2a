"""The loop of epochs: batches, the rate, what is kept, and that a killed run goes on to the same weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound.errors import CollapseError, PolicyError
from trailhound.learning._epochs import EpochRun, Report, learn_batches, like_length_batches, run_epochs, schedule
from trailhound.retrievers.differentiable.collapse import CollapseMeasures

ITEMS = [(source, length) for source in (0, 1) for length in range(50)]
HEALTHY = CollapseMeasures(alignment=0.9, uniformity=-3.0, effective_rank=80.0, same_top_share=0.05)
GONE = CollapseMeasures(alignment=0.1, uniformity=-0.2, effective_rank=2.0, same_top_share=0.9)


class Line:
    """A line that is fitted to noisy points, epoch by epoch; its validation scores are given."""

    def __init__(self, out: Path, scores: list[float], measures: list[CollapseMeasures] | None = None) -> None:
        self.network = torch.nn.Linear(1, 1)
        with torch.no_grad():
            self.network.weight.fill_(0.0)
            self.network.bias.fill_(0.0)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.1)
        self.scores, self.measures, self.kept, self.seen = scores, measures, [], 0
        watch = None if measures is None else lambda: measures[min(self.seen, len(measures) - 1)]
        self.run = EpochRun(
            out,
            {"scores": scores},
            "fitting",
            len(scores) - 1,
            self.network,
            self.optimizer,
            self.learn,
            self.validate,
            lambda figures: self.kept.append(self.network.weight.item()),
            watch,
        )

    def learn(self, number: int, report: Report) -> float:
        generator = np.random.default_rng(number)
        points = [torch.tensor([[float(x)]]) for x in generator.normal(size=4)]
        self.seen = number + 1
        return learn_batches(points, lambda x: (self.network(x) - 2 * x).pow(2).mean(), self.optimizer, report)

    def validate(self) -> dict[str, float]:
        return {"score": self.scores[self.seen]}


def test_the_best_epoch_is_kept(tmp_path: Path) -> None:
    line = Line(tmp_path, [0.1, 0.5, 0.9, 0.7])
    figures = run_epochs(line.run)
    assert (figures["epoch"], figures["score"], figures["untuned_score"]) == (1, 0.9, 0.1)
    assert len(line.kept) == 2, "the third epoch is not better"
    logged = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["score"] for row in logged] == [0.5, 0.9, 0.7]


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_killed_run_goes_on_to_the_same_weights(epoch: int, tmp_path: Path) -> None:
    scores = [0.1, 0.5, 0.9, 0.7]
    whole = Line(tmp_path / "whole", scores)
    expected = run_epochs(whole.run)

    def kill(stage: str, done: int, total: int) -> None:
        if f"epoch {epoch}/3" in stage and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_epochs(Line(tmp_path / "killed", scores).run, kill)
    again = Line(tmp_path / "killed", scores)
    figures = run_epochs(again.run)
    assert {**figures, "seconds": 0} == {**expected, "seconds": 0}
    assert torch.equal(again.network.weight, whole.network.weight)
    assert (tmp_path / "killed" / "log.jsonl").read_bytes() == (tmp_path / "whole" / "log.jsonl").read_bytes()
    assert run_epochs(Line(tmp_path / "killed", scores).run) == figures, "a run that is done has nothing left to do"


def test_progress_says_the_best_validation_score(tmp_path: Path) -> None:
    stages: list[str] = []
    run_epochs(Line(tmp_path, [0.1, 0.5, 0.4]).run, lambda stage, done, total: stages.append(stage))
    assert list(dict.fromkeys(stages)) == [
        "fitting, epoch 1/2, validation 0.100",
        "fitting, epoch 2/2, validation 0.500",
    ]


def test_a_collapse_stops_the_run_and_is_on_record(tmp_path: Path) -> None:
    line = Line(tmp_path, [0.1, 0.5, 0.9, 0.95], [HEALTHY, HEALTHY, GONE])
    with pytest.raises(CollapseError, match=r"-0\.2"):
        run_epochs(line.run)
    assert len(line.kept) == 1, "a network that has collapsed is not kept"
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["uniformity"] == -0.2


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    run_epochs(Line(tmp_path, [0.1, 0.5]).run)
    with pytest.raises(PolicyError, match="other settings"):
        run_epochs(Line(tmp_path, [0.1, 0.6]).run)


def test_the_rate_rises_and_falls() -> None:
    rates = [schedule(step, 120) for step in range(121)]
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == rates[20] == 1.0
    assert rates[70] == pytest.approx(0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi / 2)))
    assert rates[120] == pytest.approx(0.05)


def batches(seed: int) -> list[list[tuple[int, int]]]:
    generator = np.random.default_rng(seed)
    drawn = [ITEMS[k] for k in generator.permutation(len(ITEMS))]
    return like_length_batches(drawn, lambda item: item[0], lambda part: [item[1] for item in part], 4, generator)


def test_every_item_is_in_one_batch_of_its_source_and_of_like_length() -> None:
    made = batches(0)
    assert made == batches(0) != batches(1)
    assert sorted(item for batch in made for item in batch) == ITEMS
    for batch in made:
        assert len(batch) <= 4
        assert len({source for source, _ in batch}) == 1
    spreads = [max(length for _, length in batch) - min(length for _, length in batch) for batch in made]
    assert np.mean(spreads) < 8, "of 50 lengths, drawn four at a time, the spread would be 30"
