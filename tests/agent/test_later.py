"""What a result computes later is computed once, by whoever looks first, and is the value to all others."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import pytest
from trailhound.agent._later import Later, LaterField


@dataclass(frozen=True)
class Found:
    name: str
    size: LaterField[int | None] = LaterField(None)  # noqa: RUF009


def test_it_is_computed_when_it_is_looked_at_and_once() -> None:
    asked = []
    found = Found("a", Later(lambda: asked.append(1) or 7))
    other = Found("b", Later(lambda: asked.append(2) or 8))
    assert asked == []
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: found.size, range(50))) == {7}
    assert asked == [1]
    assert other.size == 8


def test_it_equals_prints_and_is_copied_as_its_value() -> None:
    later = Found("a", Later(lambda: 7))
    assert later == Found("a", 7)
    assert repr(later) == "Found(name='a', size=7)"
    assert asdict(later) == {"name": "a", "size": 7}
    assert replace(later, name="b") == Found("b", 7)
    assert pickle.loads(pickle.dumps(Found("a", Later(lambda: 7)))) == later
    assert Found("a").size is None


def test_a_failure_is_told_again_and_can_be_mended() -> None:
    outcomes = iter([ValueError("the endpoint is gone"), 3])

    def compute() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, ValueError):
            raise outcome
        return outcome

    found = Found("a", Later(compute))
    with pytest.raises(ValueError, match="the endpoint is gone"):
        _ = found.size
    assert found.size == 3
