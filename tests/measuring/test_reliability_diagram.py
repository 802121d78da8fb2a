"""The reliability diagram is a picture of its bins, and never breaks out of its SVG."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from trailhound.errors import PolicyError
from trailhound.measuring._metrics import draw_reliability, write_reliability

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_as_high_as_the_share_and_dots_stand_at_the_confidence() -> None:
    stated = np.array([0.95, 0.95, 0.95, 0.95, 0.25])
    truth = np.array([True, True, True, False, False])
    root = ElementTree.fromstring(draw_reliability("the policy <x> & more", stated, truth))
    dots = [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in root.iter(f"{SVG}circle")]
    diagonal = next(path for path in root.iter(f"{SVG}path") if path.get("stroke-dasharray"))
    left, bottom, right, top = (float(part) for part in diagonal.get("d", "").replace("M", "").replace("L", "").split())
    side = right - left
    assert dots == [
        pytest.approx((left + 0.25 * side, bottom)),
        pytest.approx((left + 0.95 * side, bottom - 0.75 * side)),
    ]
    assert bottom - top == side
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert "the policy <x> & more" in texts
    assert {"4", "1"} <= set(texts), "how many searches each bin holds"
    assert any("5 searches, calibration error 0.210" in text for text in texts)


def test_no_confidence_no_picture(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="fixed system: hybrid does not say how sure it is"):
        write_reliability(tmp_path / "x.svg", "fixed system: hybrid", np.zeros(0), np.zeros(0, np.bool_))
    assert not (tmp_path / "x.svg").exists()
