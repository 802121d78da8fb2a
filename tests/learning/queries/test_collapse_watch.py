import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from trailhound.errors import CollapseError
from trailhound.learning.queries.collapse_watch import LOG, PICTURE, CollapseWatch
from trailhound.retrievers.differentiable.collapse import CollapseMeasures

BEFORE = CollapseMeasures(alignment=0.9, uniformity=-3.0, effective_rank=80.0, same_top_share=0.05)
LATER = CollapseMeasures(alignment=0.7, uniformity=-3.2, effective_rank=85.0, same_top_share=0.04)
GONE = CollapseMeasures(alignment=0.1, uniformity=-0.2, effective_rank=2.0, same_top_share=0.9)


def rounds(folder: Path) -> list[int]:
    return [json.loads(line)["round"] for line in (folder / LOG).read_text().splitlines()]


def test_every_check_is_logged_and_drawn(tmp_path: Path) -> None:
    watch = CollapseWatch(tmp_path)
    assert not watch.started
    watch.see(BEFORE)
    assert watch.see(LATER) == LATER.to_json()
    assert rounds(tmp_path) == [-1, 0]
    root = ElementTree.fromstring((tmp_path / PICTURE).read_text())
    words = " ".join(text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text"))
    for name in ("alignment", "uniformity", "effective rank", "same top passage"):
        assert name in words
    dashed = [path for path in root.iter("{http://www.w3.org/2000/svg}path") if path.get("stroke-dasharray")]
    assert len(dashed) == 3, "a limit for each measure but alignment, which is better the lower it is"


def test_a_collapse_is_on_record_before_training_stops(tmp_path: Path) -> None:
    watch = CollapseWatch(tmp_path)
    watch.see(BEFORE)
    with pytest.raises(CollapseError, match=r"-0\.2"):
        watch.see(GONE)
    assert rounds(tmp_path) == [-1, 0]
    assert ">-0.2<" in (tmp_path / PICTURE).read_text()


def test_a_run_that_goes_on_remembers_how_it_began(tmp_path: Path) -> None:
    first = CollapseWatch(tmp_path)
    for measures in (BEFORE, LATER, LATER):
        first.see(measures)
    again = CollapseWatch(tmp_path, rounds=1)  # the second round was not finished
    assert again.started
    again.see(LATER)
    assert rounds(tmp_path) == [-1, 0, 1]
    with pytest.raises(CollapseError):
        again.see(GONE)
