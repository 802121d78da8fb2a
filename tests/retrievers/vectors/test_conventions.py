"""What the folder of an encoder says of its use is done: by hand, and against sentence-transformers itself."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import save_file
from trailhound.errors import EncoderError
from trailhound.retrievers.protocols import QueryEncoder, query_vectors
from trailhound.retrievers.vectors._conventions import POOLINGS, Chosen
from trailhound.retrievers.vectors._encoder import load_encoder
from trailhound.retrievers.vectors._minilm import model_folder
from trailhound.retrievers.vectors._transformers import TransformersEncoder
from transformers import AutoTokenizer, BertModel

TEXTS = ["a red fox and a dog", "The ferry leaves Warsaw at noon.", "queen"]
FLAGS = {mode: f"pooling_mode_{mode}_tokens" for mode in POOLINGS} | {
    "cls": "pooling_mode_cls_token",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
TYPES = "sentence_transformers.models."

Folder = Callable[..., Path]


@pytest.fixture
def folder_of(tiny_folder: Path, tmp_path: Path) -> Folder:
    """Makes a folder of sentence-transformers, with a pooling, prompts and whatever else."""

    def made(
        pooling: dict[str, Any] | None = None,
        prompts: dict[str, str] | None = None,
        name: str = "some-encoder",
        modules: list[tuple[str, str]] | None = None,
    ) -> Path:
        folder = tmp_path / name
        shutil.copytree(tiny_folder, folder)
        if pooling is not None:
            listed = modules or [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
            written = [{"idx": k, "path": path, "type": TYPES + kind} for k, (kind, path) in enumerate(listed)]
            (folder / "modules.json").write_text(json.dumps(written))
            (folder / "1_Pooling").mkdir()
            (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
        if prompts is not None:
            (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
        return folder

    return made


def states(folder: Path, text: str) -> np.ndarray:
    """The vectors of a text's tokens, by transformers itself, [l, 16]."""
    model = BertModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        return model(**AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")).last_hidden_state[0].numpy()


def by_hand(mode: str, tokens: np.ndarray) -> np.ndarray:
    weights = np.arange(1, len(tokens) + 1)[:, None]
    return {
        "cls": tokens[0],
        "max": tokens.max(axis=0),
        "mean": tokens.mean(axis=0),
        "mean_sqrt_len_tokens": tokens.sum(axis=0) / np.sqrt(len(tokens)),
        "weightedmean": (tokens * weights).sum(axis=0) / weights.sum(),
        "lasttoken": tokens[-1],
    }[mode]


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("older", [True, False], ids=["flag", "name"])
@pytest.mark.parametrize("mode", POOLINGS)
def test_pooling_of_the_folder(folder_of: Folder, mode: str, older: bool) -> None:
    said = dict.fromkeys(FLAGS.values(), False) | {FLAGS[mode]: True} if older else {"pooling_mode": mode}
    folder = folder_of(said)
    encoder = TransformersEncoder(str(folder))
    for text, vector in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        assert_allclose(vector, unit(by_hand(mode, states(folder, text))), atol=1e-6)
    assert encoder.notice == ""


def test_several_poolings_are_one_vector_after_the_other(folder_of: Folder) -> None:
    folder = folder_of({FLAGS["mean"]: True, FLAGS["max"]: True})
    encoder = TransformersEncoder(str(folder))
    assert encoder.dimension == 32
    tokens = states(folder, TEXTS[0])
    expected = unit(np.concatenate([by_hand("max", tokens), by_hand("mean", tokens)]))
    assert_allclose(encoder.encode(TEXTS[:1])[0], expected, atol=1e-6)


def test_prompts_of_the_folder_stand_before_queries_and_passages(folder_of: Folder, tiny_folder: Path) -> None:
    encoder = TransformersEncoder(str(folder_of({"pooling_mode": "mean"}, {"query": "ask: ", "document": "told: "})))
    plain = TransformersEncoder(str(tiny_folder))
    assert isinstance(encoder, QueryEncoder)
    assert_allclose(query_vectors(encoder, TEXTS), plain.encode([f"ask: {text}" for text in TEXTS]), atol=1e-6)
    assert_allclose(encoder.encode(TEXTS), plain.encode([f"told: {text}" for text in TEXTS]), atol=1e-6)
    assert encoder.max_tokens == plain.max_tokens - 2  # of its window, "told" and ":" take two
    assert encoder.count_tokens(TEXTS[0]) == plain.count_tokens(TEXTS[0])


def test_a_prompt_that_does_not_count_in_the_pooling(folder_of: Folder) -> None:
    folder = folder_of({"pooling_mode": "mean", "include_prompt": False}, {"query": "ask me: ", "passage": ""})
    encoder = TransformersEncoder(str(folder))
    tokens = states(folder, f"ask me: {TEXTS[1]}")[4:]  # without the mark at the beginning, "ask", "me" and ":"
    assert_allclose(encoder.encode_queries(TEXTS[1:2])[0], unit(tokens.mean(axis=0)), atol=1e-6)
    assert_allclose(encoder.encode(TEXTS[1:2])[0], unit(states(folder, TEXTS[1]).mean(axis=0)), atol=1e-6)


def test_dense_layers_after_the_pooling(folder_of: Folder) -> None:
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"), ("Normalize", "3_Normalize")]
    folder = folder_of({"pooling_mode": "mean"}, modules=modules)
    (folder / "2_Dense").mkdir()
    torch.manual_seed(1)
    weight, bias = torch.randn(5, 16), torch.randn(5)
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "2_Dense" / "model.safetensors")
    config = {"in_features": 16, "out_features": 5, "activation_function": "torch.nn.modules.activation.Tanh"}
    (folder / "2_Dense" / "config.json").write_text(json.dumps(config))
    encoder = TransformersEncoder(str(folder))
    assert encoder.dimension == 5
    mean = states(folder, TEXTS[0]).mean(axis=0)
    assert_allclose(encoder.encode(TEXTS[:1])[0], unit(np.tanh(weight.numpy() @ mean + bias.numpy())), atol=1e-6)
    before = encoder.name
    save_file({"linear.weight": weight + 1, "linear.bias": bias}, folder / "2_Dense" / "model.safetensors")
    assert TransformersEncoder(str(folder)).name != before
    config["activation_function"] = "mine.Swirl"
    (folder / "2_Dense" / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderError, match=r"2_Dense has the activation 'mine\.Swirl'"):
        TransformersEncoder(str(folder))


def test_transformer_in_a_folder_of_its_own_that_lower_cases(folder_of: Folder, tiny_folder: Path) -> None:
    modules = [("Transformer", "0_Transformer"), ("Pooling", "1_Pooling")]
    folder = folder_of({"pooling_mode": "cls"}, modules=modules)
    (folder / "0_Transformer").mkdir()
    for path in tiny_folder.iterdir():
        (folder / path.name).rename(folder / "0_Transformer" / path.name)
    tokenizer = AutoTokenizer.from_pretrained(folder / "0_Transformer", do_lower_case=False)
    tokenizer.save_pretrained(folder / "0_Transformer")
    upper, lower = TransformersEncoder(str(folder)).encode(["WARSAW Queen", "warsaw queen"])
    assert not np.allclose(upper, lower, atol=1e-3)
    (folder / "0_Transformer" / "sentence_bert_config.json").write_text('{"max_seq_length": 9, "do_lower_case": true}')
    encoder = TransformersEncoder(str(folder))
    upper, again = encoder.encode(["WARSAW Queen", "warsaw queen"])
    assert_allclose(upper, lower, atol=1e-6)
    assert_allclose(again, lower, atol=1e-6)
    assert encoder.max_tokens == 9


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pooling", ["mean", "cls", ("max", "weightedmean")], ids=str)
def test_equals_sentence_transformers(tiny_folder: Path, tmp_path: Path, pooling: str | tuple[str, ...]) -> None:
    package = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    from sentence_transformers.models import Dense, Normalize, Pooling, Transformer

    transformer = Transformer(str(tiny_folder))
    pooled = Pooling(16, pooling, include_prompt=False)
    dense = Dense(16 * (1 if isinstance(pooling, str) else len(pooling)), 7)
    prompts = {"query": "question: ", "document": "passage to be found: "}
    theirs = package.SentenceTransformer(modules=[transformer, pooled, dense, Normalize()], prompts=prompts)
    theirs.save(str(tmp_path / "saved"))
    ours = TransformersEncoder(str(tmp_path / "saved"))
    assert_allclose(ours.encode_queries(TEXTS), theirs.encode_query(TEXTS), atol=1e-5)
    assert_allclose(ours.encode(TEXTS), theirs.encode_document(TEXTS), atol=1e-5)


E5 = ("query: ", "passage: ", "mean")
BGE = ("Represent this sentence for searching relevant passages: ", "", "cls")
NAMES = {
    "multilingual-e5-small": E5,
    "E5_base_v2": E5,
    "bge-small-en-v1.5": BGE,
    "bge-m3": ("", "", "cls"),
    "gte-base": ("", "", "mean"),
    "gte-base-en-v1.5": ("", "", "cls"),
    "gte-modernbert-base": ("", "", "cls"),
    "bridge5": ("", "", "mean"),
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items(), ids=NAMES)
def test_a_folder_of_weights_alone_is_used_as_its_family(
    folder_of: Folder, name: str, expected: tuple[str, str, str]
) -> None:
    encoder = TransformersEncoder(str(folder_of(name=name)))
    said = encoder.conventions
    assert (said.query_prompt, said.passage_prompt, said.pooling) == (*expected[:2], expected[2:])
    assert bool(encoder.notice) == (name != "bridge5")
    for part in filter(None, expected[:2]):
        assert f"{part!r} before" in encoder.notice
    assert f"{name} is used as" in encoder.notice or name == "bridge5"


def test_the_family_of_the_model_that_it_was_made_from(folder_of: Folder) -> None:
    folder = folder_of(name="ours")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "_name_or_path": "intfloat/e5-small-v2"}), "utf-8")
    encoder = TransformersEncoder(str(folder))
    assert encoder.conventions.query_prompt == "query: "
    assert "ours is used as e5-small-v2 is, because its folder does not say: 'query: ' before queries" in encoder.notice


def test_what_the_folder_says_goes_before_the_family(folder_of: Folder) -> None:
    folder = folder_of({"pooling_mode": "mean"}, {"query": "", "document": ""}, name="bge-small-en-v1.5")
    encoder = TransformersEncoder(str(folder))
    assert (encoder.conventions.query_prompt, encoder.conventions.pooling) == ("", ("mean",))
    assert encoder.notice == ""


def test_what_a_user_says_goes_where_the_folder_does_not(folder_of: Folder, tiny_folder: Path) -> None:
    chosen = Chosen("ask: ", "told: ", "max")
    encoder = TransformersEncoder(str(tiny_folder), chosen=chosen)
    assert_allclose(
        encoder.encode_queries(TEXTS[:1])[0],
        unit(by_hand("max", states(tiny_folder, f"ask: {TEXTS[0]}"))),
        atol=1e-6,
    )
    other = TransformersEncoder(str(tiny_folder), chosen=Chosen(pooling="max"))
    assert len({encoder.name, other.name, TransformersEncoder(str(tiny_folder)).name}) == 3
    folder = folder_of({"pooling_mode": "cls"}, {"query": "find: "})
    with pytest.raises(EncoderError, match=r"some-encoder says its query prompt is 'find: ', not 'ask: ': leave that"):
        TransformersEncoder(str(folder), chosen=Chosen("ask: "))
    with pytest.raises(EncoderError, match="says its pooling is 'cls', not 'max'"):
        TransformersEncoder(str(folder), chosen=Chosen(pooling="max"))
    with pytest.raises(EncoderError, match="there is no pooling 'middle': choose one of cls, max"):
        Chosen(pooling="middle")
    with pytest.raises(EncoderError, match="minilm brings its own prompts"):
        load_encoder("minilm", chosen=chosen)


def test_what_cannot_be_used_is_named(folder_of: Folder) -> None:
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Swirl", "2_Swirl")]
    folder = folder_of({"pooling_mode": "mean"}, modules=modules)
    with pytest.raises(EncoderError, match=r"modules\.json names the module 'Swirl'"):
        TransformersEncoder(str(folder))
    (folder / "modules.json").write_text('[{"path": ""}]')
    with pytest.raises(EncoderError, match="is not as sentence-transformers writes it"):
        TransformersEncoder(str(folder))
    (folder / "modules.json").write_text('[{"pa')
    with pytest.raises(EncoderError, match=r"cannot read .*modules\.json"):
        TransformersEncoder(str(folder))
    (folder / "modules.json").unlink()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "middle"}')
    with pytest.raises(EncoderError, match="has the pooling 'middle', which is not known: cls, max"):
        TransformersEncoder(str(folder))


def test_a_hub_name_is_used_as_its_repository_says(folder_of: Folder, tmp_path: Path) -> None:
    """Offline, from the cache that huggingface_hub keeps."""
    folder = folder_of({"pooling_mode": "cls"}, {"query": "find: "})
    expected = TransformersEncoder(str(folder)).encode_queries(TEXTS)
    repository = tmp_path / "cache" / "models--someone--finder"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, repository / "snapshots" / ("0" * 40))
    program = (
        "import sys, numpy\n"
        "from trailhound.retrievers.vectors._encoder import load_encoder\n"
        f"numpy.save({str(tmp_path / 'vectors.npy')!r}, load_encoder('someone/finder').encode_queries({TEXTS!r}))"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_allclose(np.load(tmp_path / "vectors.npy"), expected, atol=1e-6)


def test_the_built_in_encoder_is_a_folder_of_sentence_transformers_too() -> None:
    said = TransformersEncoder(str(model_folder())).conventions
    assert (said.pooling, said.query_prompt, said.dense) == (("mean",), "", ())
