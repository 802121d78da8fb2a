import numpy as np
from trailhound.index._mentioned_vectors import mentioned_vectors
from trailhound.index.index import Index


def test_each_passage_has_the_mean_of_what_it_mentions(small_index: Index) -> None:
    values = mentioned_vectors(small_index)
    assert values.dtype == np.float32
    mentioning = 0
    for row in range(len(small_index)):
        mentioned = sorted(set(small_index.graph.neighbours(row, "mentions").rows.tolist()))
        mentioning += len(mentioned) > 1
        expected = small_index.dense.vectors[mentioned].mean(axis=0) if mentioned else np.zeros(values.shape[1])
        assert np.allclose(values[row], expected, atol=1e-6)
    assert mentioning > 5
