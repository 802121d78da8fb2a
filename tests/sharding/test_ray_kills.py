"""Nodes of a Ray cluster that are killed while it searches, adds and indexes: `make test-scale`."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs Ray: make test-scale")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
"""Ray's own, which it raises while it starts and ends."""

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ray_kills.py"


def test_what_is_acknowledged_and_what_is_found_survives_the_loss_of_nodes() -> None:
    spec = importlib.util.spec_from_file_location("ray_kills", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    outcomes = list(module.measure(kills=1, articles=60, seldom=4.0, seed=1))
    assert [outcome.kills for outcome in outcomes] == [1, 1, 1, 1]
    for outcome in outcomes:
        assert outcome.done > 0, outcome
        assert (outcome.wrong, outcome.lost) == (0, 0), outcome
    assert outcomes[2].failed == 0
