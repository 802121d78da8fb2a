"""Cosines are the same to the last bit, whatever they are computed beside."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from trailhound.envs._nearness import similarity
from trailhound.retrievers.vectors._dense import DenseIndex, DenseKind


@pytest.mark.parametrize(
    ("dimension", "kind"), [(1, "exact"), (7, "exact"), (64, "exact"), (384, "exact"), (64, "opq"), (64, "ivfpq")]
)
def test_a_row_does_not_depend_on_its_company(tmp_path: Path, dimension: int, kind: DenseKind) -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(300, dimension)).astype(np.float32)
    DenseIndex.build(tmp_path, vectors, kind)
    index = SimpleNamespace(dense=DenseIndex(tmp_path, kind))  # of an index, its vectors are all that is asked for
    vectors = index.dense.reconstruct(np.arange(300))
    question = generator.normal(size=dimension).astype(np.float32)
    together = similarity(index, np.arange(300), question)  # type: ignore[arg-type]
    np.testing.assert_allclose(together, vectors.astype(np.float64) @ question, rtol=1e-4, atol=1e-4)
    for size in (1, 2, 3, 8, 17, 100):
        rows = generator.choice(300, size, replace=False)
        alone = similarity(index, rows, question)  # type: ignore[arg-type]
        assert alone.tobytes() == together[rows].tobytes()
