"""The docid decoder: against brute force, constrained by the trie, and what its loss says."""

import numpy as np
import pytest
import torch
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.router._clues import Clues, Corpus, clues_of
from trailhound.retrievers.router._decoder import DecoderSettings, DocidDecoder, TreeView, averaged
from trailhound.retrievers.router._docids import DocidSettings, DocidTree
from trailhound.retrievers.words._terms import TermIndex
from trailhound.retrievers.words._titles import EntityIndex

WORDS = ["apple", "pear", "plum", "quince", "fig", "olive", "melon"]
COUNT = 60


def unit(seed: int, count: int) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, 12)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


TEXTS = [f"{WORDS[row % 7]} {WORDS[row % 5]} number{row}" for row in range(COUNT)]
CORPUS = Corpus(unit(0, COUNT), TermIndex.build(TEXTS), EntityIndex([f"Garden {row}" for row in range(COUNT)]))
TREE = DocidTree.build(CORPUS.vectors, np.random.default_rng(0), DocidSettings(4, 0.75))
QUERIES = [
    Query(f"the {word} of Garden {3 * place}", vector)
    for place, (word, vector) in enumerate(zip(WORDS, unit(1, 7), strict=True))
]
CLUES = [clues_of(query, CORPUS) for query in QUERIES]


def decoder(words: bool = True, seed: int = 0) -> DocidDecoder:
    torch.manual_seed(seed)
    made = DocidDecoder(DecoderSettings(12, TREE.depth, hidden=16, words=words))
    for parameter in made.parameters():  # nothing silent: every part must be right
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def score_by_walking(made: DocidDecoder, view: TreeView, clues: Clues, docid: tuple[int, ...]) -> float:
    """Score one docid alone, code by code, straight from the formula."""
    vector = torch.from_numpy(clues.vector)
    query = made.adapted(vector[None])[0]
    state = torch.tanh(made.start(vector[None]))
    node, levels = 0, view.node_clues([clues])
    for level, code in enumerate(docid):
        child = int(TREE.children[node, code])
        last = level == TREE.depth - 1
        entered = torch.from_numpy(CORPUS.vectors[child] if last else TREE.centroids[child])
        known = (
            view.passage_clues([clues], np.array([[child]]))[0, 0]
            if last
            else levels[level][0, view.place_in_level[child]]
        )
        if not made.settings.words:
            known = torch.zeros_like(known)
        plain, turned = query @ entered, (query + made.read(state)[0]) @ entered
        score = made.sharpness[level].exp() * turned + made.judges[level](torch.cat([plain[None], known]))[0]
        state, node = made.walk(entered[None], state), child
    return float(score.detach())


@pytest.mark.parametrize("words", [True, False])
@torch.no_grad()
def test_a_beam_that_holds_everything_ranks_as_brute_force_does(words: bool) -> None:
    made, view = decoder(words), TreeView(TREE, CORPUS)
    found = made.decode(view, CLUES, COUNT)
    for place, clues in enumerate(CLUES):
        scores = [score_by_walking(made, view, clues, TREE.docid(row)) for row in range(COUNT)]
        order = np.argsort(-np.array(scores), kind="stable")
        assert found.found[place].tolist() == order.tolist()
        np.testing.assert_allclose(found.scores[place].numpy(), np.array(scores)[order], rtol=1e-3, atol=1e-4)
    assert found.passages.tolist() == [COUNT] * len(CLUES)


@torch.no_grad()
def test_an_untrained_decoder_compares_vectors() -> None:
    made = DocidDecoder(DecoderSettings(12, TREE.depth, hidden=16, words=False)).eval()
    found = made.decode(TreeView(TREE, CORPUS), CLUES, COUNT)
    nearest = [np.argmax(CORPUS.vectors @ clues.vector) for clues in CLUES]
    # The last judge has no weights on words here, and a random slope on the cosine: it may not turn the order round.
    assert np.mean(found.found[:, 0].numpy() == nearest) == 1


@torch.no_grad()
def test_deleted_passages_are_never_spelled() -> None:
    gone = [0, 5, 17, 40]
    found = decoder().decode(TreeView(TREE.without(gone), CORPUS), CLUES, COUNT)
    there = found.found[found.found >= 0]
    assert not set(gone) & set(there.tolist())
    assert (found.found >= 0).sum(dim=1).tolist() == [COUNT - len(gone)] * len(CLUES)


@torch.no_grad()
def test_a_query_is_decoded_alone_as_in_a_batch_and_a_beam_bounds_the_cost() -> None:
    made, view = decoder(), TreeView(TREE, CORPUS)
    together = made.decode(view, CLUES, 4)
    for place, clues in enumerate(CLUES):
        alone = made.decode(view, [clues], 4)
        assert alone.found[0].tolist() == together.found[place].tolist()
    assert int(together.passages.max()) <= 4 * TREE.branching
    assert int(together.nodes.max()) <= (1 + 4 * (TREE.depth - 2)) * TREE.branching


def test_the_loss_is_the_likelihood_of_the_wanted_paths() -> None:
    made, view = decoder(), TreeView(TREE, CORPUS)
    wanted = torch.tensor([[3, 9]] * len(CLUES))
    losses = made.losses(view, CLUES, wanted, COUNT)
    for place, clues in enumerate(CLUES):
        scores = torch.tensor([score_by_walking(made, view, clues, TREE.docid(row)) for row in range(COUNT)])
        shares = scores.softmax(dim=0)
        by_hand = -torch.log(shares[3] + shares[9])
        assert float(losses[place, -1].detach()) == pytest.approx(float(by_hand), rel=1e-3)
    assert torch.isfinite(losses).all()
    losses.sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_wanted_paths_stay_in_a_narrow_beam() -> None:
    made, view = decoder(), TreeView(TREE, CORPUS)
    every = torch.arange(COUNT)[:, None]
    losses = made.losses(view, [CLUES[0]] * COUNT, every, 1)
    assert float(losses.detach().max()) < 100  # a path that had fallen out would cost 1e9


def test_a_tree_of_more_passages_than_the_corpus_is_refused() -> None:
    with pytest.raises(ValueError, match="docids are of 62 passages, the corpus has 60"):
        TreeView(TREE.with_added(unit(4, 2)), CORPUS)


def test_all_decoders_of_one_shape_begin_alike_whatever_was_drawn_before() -> None:
    torch.manual_seed(3)
    first = DocidDecoder.at_start(DecoderSettings(8, 2, 4))
    before = torch.random.get_rng_state()
    second = DocidDecoder.at_start(DecoderSettings(8, 2, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, second.state_dict()[name]), name


def test_the_mean_of_decoders_is_that_of_their_weights() -> None:
    decoders = [DocidDecoder.at_start(DecoderSettings(8, 2, 4)) for _ in range(3)]
    for number, decoder in enumerate(decoders):
        with torch.no_grad():
            decoder.sharpness.fill_(float(number))
            decoder.start.weight.mul_(number)
    mean = averaged(decoders)
    assert mean.sharpness.tolist() == [1, 1]
    torch.testing.assert_close(mean.start.weight, decoders[1].start.weight)
    with pytest.raises(ValueError, match="cannot be averaged"):
        averaged([decoders[0], DocidDecoder.at_start(DecoderSettings(8, 3, 4))])
