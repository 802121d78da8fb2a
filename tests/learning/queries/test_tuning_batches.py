import numpy as np
from trailhound.learning.queries.tuning_batches import like_length_batches

ITEMS = [(source, length) for source in (0, 1) for length in range(50)]


def batches(seed: int) -> list[list[tuple[int, int]]]:
    generator = np.random.default_rng(seed)
    drawn = [ITEMS[k] for k in generator.permutation(len(ITEMS))]
    return like_length_batches(drawn, lambda item: item[0], lambda part: [item[1] for item in part], 4, generator)


def test_every_item_is_in_one_batch_of_its_source_and_of_like_length() -> None:
    made = batches(0)
    assert sorted(item for batch in made for item in batch) == ITEMS
    for batch in made:
        assert len(batch) <= 4
        assert len({source for source, _ in batch}) == 1
    spreads = [max(length for _, length in batch) - min(length for _, length in batch) for batch in made]
    assert np.mean(spreads) < 8, "of 50 lengths, drawn four at a time, the spread would be 30"


def test_batches_depend_on_the_generator_alone() -> None:
    assert batches(1) == batches(1) != batches(2)
