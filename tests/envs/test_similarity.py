"""Cosines are the same to the last bit, whatever they are computed beside."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from trailhound.envs.similarity import similarity
from trailhound.retrievers.dense import DenseIndex


@pytest.mark.parametrize("dimension", [1, 7, 64, 384])
def test_a_row_does_not_depend_on_its_company(tmp_path: Path, dimension: int) -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(300, dimension)).astype(np.float32)
    DenseIndex.build(tmp_path, vectors)
    index = SimpleNamespace(dense=DenseIndex(tmp_path))  # of an index, its vectors are all that is asked for
    question = generator.normal(size=dimension).astype(np.float32)
    together = similarity(index, np.arange(300), question)  # type: ignore[arg-type]
    np.testing.assert_allclose(together, vectors.astype(np.float64) @ question, rtol=1e-4, atol=1e-4)
    for size in (1, 2, 3, 8, 17, 100):
        rows = generator.choice(300, size, replace=False)
        alone = similarity(index, rows, question)  # type: ignore[arg-type]
        assert alone.tobytes() == together[rows].tobytes()
