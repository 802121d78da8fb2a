from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from trailhound.errors import DamagedIndexError, QuestionsError
from trailhound.retrievers.knowledge._fact_encoder import EmbeddingSettings, FactEncoder, embed_facts, folds_of, product
from trailhound.retrievers.knowledge._facts import FactQuery, Facts

SETTINGS = EmbeddingSettings(rank=8, folds=3, epochs=60, batch=16)


def two_families() -> Facts:
    """Every child of a family has each of its parents, and lives in the family's town."""
    triples = []
    for family in ("a", "b", "c"):
        parents = [f"{family}_mother", f"{family}_father"]
        for child in range(5):
            triples += [(f"{family}{child}", "child_of", parent) for parent in parents]
            triples.append((f"{family}{child}", "lives_in", f"{family}_town"))
        triples += [(parent, "lives_in", f"{family}_town") for parent in parents]
    return Facts.of(triples)


@pytest.fixture(scope="module")
def facts() -> Facts:
    return two_families()


@pytest.fixture(scope="module")
def encoder(facts: Facts) -> FactEncoder:
    return FactEncoder.learn(facts, SETTINGS)


def test_the_product_is_that_of_complex_numbers() -> None:
    """(1 + 3i)(5 + 7i) = -16 + 22i and (2 + 4i)(6 + 8i) = -20 + 40i; the score is Re of that times conj(t)."""
    h, r = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[5.0, 6.0, 7.0, 8.0]])
    assert product(h, r).tolist() == [[-16.0, -20.0, 22.0, 40.0]]


def test_vectors_have_length_one_and_inner_products_are_scores(facts: Facts, encoder: FactEncoder) -> None:
    embedding = embed_facts(facts, SETTINGS)
    entities = encoder.entity_vectors()
    assert np.linalg.norm(entities, axis=1) == pytest.approx(np.ones(len(entities)), abs=1e-5)
    for hidden, place in ((None, 0), (4, 1 + int(folds_of(facts, SETTINGS.folds)[4]))):
        query = FactQuery(0, 3)
        vector = encoder.query_vector(query, hidden)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        of = embedding[place]
        expected = product(torch.from_numpy(of.entities[:1]), torch.from_numpy(of.kinds[3:4])).numpy() @ of.entities.T
        assert entities @ vector * encoder.scale == pytest.approx(expected[0], abs=2e-4)


def test_the_vectors_know_the_facts_they_were_made_from(facts: Facts, encoder: FactEncoder) -> None:
    scores = encoder.entity_vectors() @ encoder.encode(["a0 lives_in"])[0]
    assert facts.entities[int(scores.argmax())] == "a_town"


def test_a_fold_is_made_without_its_facts() -> None:
    """A fact that nothing supports (its relation is used once) is known to the whole, and not to its fold."""
    triples = [(f"x{k}", "r", f"y{k}") for k in range(6)]
    triples.append(("x0", "once", "y5"))
    facts = Facts.of(triples)
    encoder = FactEncoder.learn(facts, EmbeddingSettings(rank=8, folds=2, epochs=80, batch=8))
    number = len(triples) - 1
    query, answer = FactQuery(0, facts.relations.index("once")), facts.entity_rows["y5"]
    entities = encoder.entity_vectors()
    whole, fold = entities @ encoder.query_vector(query), entities @ encoder.query_vector(query, number)
    assert whole.argmax() == answer
    assert (whole - whole.mean())[answer] > 2 * abs((fold - fold.mean())[answer])


def test_a_query_names_its_kind_of_edge(facts: Facts, encoder: FactEncoder) -> None:
    kinds = facts.kind_count
    for kind in range(kinds):
        code = encoder.query_vector(FactQuery(1, kind))[-kinds:]
        assert np.flatnonzero(code > 0).tolist() == [kind]


def test_what_is_no_query_is_refused(encoder: FactEncoder) -> None:
    with pytest.raises(QuestionsError, match="knowledge graph"):
        encoder.encode(["who lives there?"])


def test_the_same_facts_give_the_same_encoder_and_it_is_loaded_as_saved(
    facts: Facts, encoder: FactEncoder, tmp_path: Path
) -> None:
    encoder.save(tmp_path)
    loaded = FactEncoder.load(tmp_path, facts)
    assert loaded.name == encoder.name == FactEncoder.learn(facts, SETTINGS).name
    assert np.array_equal(loaded.encode(["a0 lives_in"]), encoder.encode(["a0 lives_in"]))
    assert np.array_equal(loaded.entity_vectors(), encoder.entity_vectors())


@pytest.mark.parametrize("missing", ["heads", "folds", "fewer"])
def test_vectors_of_other_facts_are_refused(facts: Facts, encoder: FactEncoder, tmp_path: Path, missing: str) -> None:
    encoder.save(tmp_path)
    arrays = load_file(tmp_path / "encoder.safetensors")
    if missing == "fewer":
        arrays["heads"] = arrays["heads"][:-1].copy()
    else:
        del arrays[missing]
    save_file(arrays, tmp_path / "encoder.safetensors")
    with pytest.raises(DamagedIndexError, match="build the index again"):
        FactEncoder.load(tmp_path, facts)
