from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from trailhound.errors import EncoderError
from trailhound.retrievers.vectors._encoder import BUILT_IN, MiniLMEncoder
from trailhound.retrievers.vectors._minilm import FILE, Adapter, load_adapter, save_adapter

LAYER = "encoder.layer.0.attention.self.query"
TEXTS = ["Who founded the harbour?", "The harbour of Marl was founded by Ada Marl in 1901."]


def adapter(scale: float = 0.1, layer: str = LAYER, inputs: int = 384) -> Adapter:
    generator = np.random.default_rng(0)
    down = generator.normal(size=(2, inputs)).astype(np.float16)
    up = (scale * generator.normal(size=(384, 2))).astype(np.float16)
    return Adapter({layer: (down, up)}, {"seed": 7})


def test_it_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    save_adapter(tmp_path, adapter())
    loaded = load_adapter(tmp_path)
    assert loaded.about == {"seed": 7}
    assert loaded.digest == adapter().digest
    for mine, theirs in zip(loaded.matrices[LAYER], adapter().matrices[LAYER], strict=True):
        assert_array_equal(mine, theirs)


def test_the_digest_tells_weights_apart() -> None:
    assert adapter(0.1).digest != adapter(0.2).digest
    assert adapter(layer="encoder.layer.1.attention.self.query").digest != adapter().digest


def test_the_change_is_the_product_of_the_two_matrices() -> None:
    down, up = np.array([[1, 2, 0]], np.float16), np.array([[3], [4]], np.float16)
    weights = {"a.weight": np.ones((2, 3), np.float32), "b.weight": np.zeros((1, 1), np.float32)}
    merged = Adapter({"a": (down, up)}, {}).merged(weights)
    assert merged["a.weight"].tolist() == [[4, 7, 1], [5, 9, 1]]
    assert merged["b.weight"] is weights["b.weight"]
    assert weights["a.weight"].tolist() == [[1, 1, 1], [1, 1, 1]], "what is given stays as it is"


@pytest.mark.parametrize("wrong", [adapter(layer="nowhere"), adapter(inputs=383)])
def test_an_adapter_of_another_model_is_refused(wrong: Adapter) -> None:
    with pytest.raises(EncoderError, match="does not have"):
        MiniLMEncoder(threads=1, adapter=wrong)


def test_a_folder_without_one_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="trailhound tune"):
        load_adapter(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "not finite", "half missing"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    from safetensors.numpy import save_file

    down, up = adapter().matrices[LAYER]
    if damage == "cut":
        save_adapter(tmp_path, adapter())
        (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:100])
    elif damage == "not finite":
        save_adapter(tmp_path, Adapter({LAYER: (down * np.float16(np.inf), up)}, {}))
    else:
        save_file({f"{LAYER}.down": down}, tmp_path / FILE, {"about": "{}"})
    with pytest.raises(EncoderError, match="tune the encoder again"):
        load_adapter(tmp_path)


def test_an_adapter_changes_the_encoder_and_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRAILHOUND_CACHE", str(tmp_path))
    plain = MiniLMEncoder(threads=1)
    tuned = MiniLMEncoder(threads=1, adapter=adapter())
    assert plain.name == BUILT_IN
    assert tuned.name == f"{BUILT_IN}+{adapter().digest}"
    cosines = (plain.encode(TEXTS) * tuned.encode(TEXTS)).sum(axis=1)
    assert (cosines < 0.999).all(), "the change is felt"
    nothing = MiniLMEncoder(threads=1, adapter=adapter(scale=0.0))
    assert_array_equal(nothing.encode(TEXTS), plain.encode(TEXTS))
