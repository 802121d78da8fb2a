from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound.agent._tuned_queries import MEMORY_FILE, load_memory, memory_over, moved, save_memory
from trailhound.errors import PolicyError
from trailhound.index._mentioned_vectors import mentioned_vectors
from trailhound.index.index import Index
from trailhound.retrievers.differentiable.operators import OPERATORS


def test_a_question_moves_towards_what_the_passages_it_is_near_mention(small_index: Index) -> None:
    memory = memory_over(small_index, most=1, temperature=0.05, gate=0.5, operator="softmax")
    row = int(np.flatnonzero(small_index.graph.out_degree > 0)[0])
    query = torch.from_numpy(small_index.dense.vectors[row : row + 1].copy())
    expected = query + 0.5 * torch.from_numpy(mentioned_vectors(small_index)[row])
    assert torch.allclose(moved(query, memory), expected / expected.norm(), atol=1e-6)


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_a_memory_learned_goes_with_it_to_another_index(operator: str, small_index: Index, tmp_path: Path) -> None:
    memory = memory_over(small_index, most=5, temperature=0.1, gate=0.7, operator=operator)
    save_memory(tmp_path, memory)
    assert (tmp_path / MEMORY_FILE).stat().st_size < 10_000, "keys and values belong to the index"
    loaded = load_memory(tmp_path, small_index)
    assert loaded is not None
    queries = torch.from_numpy(small_index.dense.vectors[:4].copy())
    assert torch.equal(moved(queries, loaded), moved(queries, memory.eval()))
    shared = memory.over(memory.keys[:9], memory.values[:9])
    assert shared.gate is memory.gate
    assert shared.most == 5


def test_a_folder_without_a_memory_has_none_and_a_damaged_one_is_refused(small_index: Index, tmp_path: Path) -> None:
    assert load_memory(tmp_path, small_index) is None
    memory = memory_over(small_index, most=5, temperature=0.1, gate=0.7, operator="softmax")
    with torch.no_grad():
        memory.gate.fill_(torch.nan)
    save_memory(tmp_path, memory)
    with pytest.raises(PolicyError, match="not finite"):
        load_memory(tmp_path, small_index)
    content = bytearray((tmp_path / MEMORY_FILE).read_bytes())
    content[-1] ^= 1
    (tmp_path / MEMORY_FILE).write_bytes(content)
    with pytest.raises(PolicyError, match=f"{MEMORY_FILE} is damaged.*tune the queries again"):
        load_memory(tmp_path, small_index)
