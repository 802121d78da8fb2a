"""Nothing that was changed after it was written is read: every flip, every cut, every missing file has its error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save
from trailhound.agent._policy_file import load_policy
from trailhound.agent._systems import shipped_policy
from trailhound.agent.reader._extractive import load_reader
from trailhound.errors import EncoderError, PolicyError
from trailhound.retrievers._hashed_files import (
    about_tensors,
    fingerprint,
    read_listed,
    read_sealed_json,
    read_sealed_tensors,
    write_sealed_json,
    write_sealed_tensors,
)
from trailhound.retrievers.vectors._minilm import load_adapter

VALUE = {"name": "Zoë", "weights": [0.5, -1.0], "nested": {"file_sha256": "0" * 64}}


def read_json(path: Path) -> object:
    return read_sealed_json(path, PolicyError, "make it again")


def read_tensors(path: Path) -> object:
    return read_sealed_tensors(path, PolicyError, "make it again")


def write(folder: Path, kind: str) -> tuple[Path, Callable[[Path], object]]:
    """Write a small file of a kind; returns it, and what reads it."""
    path = folder / f"file.{kind}"
    if kind == "json":
        write_sealed_json(path, VALUE)
        return path, read_json
    if kind == "safetensors":
        write_sealed_tensors(path, save({"a": np.arange(6, dtype=np.float32)}, about_tensors(VALUE)))
        return path, read_tensors
    path.write_bytes(bytes(range(100)))
    listed = fingerprint(path)
    return path, lambda other: read_listed(other, listed, PolicyError, "make it again")


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    path, read = write(tmp_path, "json")
    assert read(path) == VALUE
    path, _ = write(tmp_path, "safetensors")
    content, about = read_sealed_tensors(path, PolicyError, "make it again")
    assert about == VALUE
    assert load(content)["a"].tolist() == list(range(6))


@pytest.mark.parametrize("kind", ["json", "safetensors", "bin"])
def test_every_flipped_byte_and_every_cut_is_noticed(kind: str, tmp_path: Path) -> None:
    path, read = write(tmp_path, kind)
    content = path.read_bytes()
    for place in range(len(content)):
        for changed in (content[place] ^ 1, content[place] ^ 0x80):
            path.write_bytes(content[:place] + bytes([changed]) + content[place + 1 :])
            with pytest.raises(PolicyError, match=path.name):
                read(path)
        path.write_bytes(content[:place])
        with pytest.raises(PolicyError, match=path.name):
            read(path)
    path.write_bytes(content + b"\n")
    with pytest.raises(PolicyError, match=path.name):
        read(path)
    path.write_bytes(content)
    read(path)


@pytest.mark.parametrize("kind", ["json", "safetensors", "bin"])
def test_a_missing_file_or_a_folder_in_its_place_is_named(kind: str, tmp_path: Path) -> None:
    path, read = write(tmp_path, kind)
    path.unlink()
    with pytest.raises(PolicyError, match=f"{path.name} is missing.*make it again"):
        read(path)
    path.mkdir()
    with pytest.raises(PolicyError, match=path.name):
        read(path)


SHIPPED = {
    "policy.json": (load_policy, PolicyError),
    "policy.safetensors": (load_policy, PolicyError),
    "ranker.safetensors": (load_policy, PolicyError),
    "hop_encoder.safetensors": (load_adapter, EncoderError),
    "reader.json": (load_reader, PolicyError),
    "reader.safetensors": (load_reader, PolicyError),
}
"""Every file of the policy that ships, what loads it, and what is raised when it is damaged."""


@pytest.mark.parametrize("name", SHIPPED)
def test_flips_and_cuts_anywhere_in_a_policy_are_noticed(name: str, tmp_path: Path) -> None:
    shipped = shipped_policy()
    assert shipped is not None
    assert {path.name for path in shipped.iterdir()} == set(SHIPPED)
    folder = tmp_path / "policy"
    shutil.copytree(shipped, folder)
    load, kind = SHIPPED[name]
    load(folder)
    content = (folder / name).read_bytes()
    generator = np.random.default_rng(0)
    for place in [0, len(content) - 1, *generator.integers(len(content), size=10).tolist()]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(generator.integers(8))
        for damaged in (bytes(flipped), content[:place]):
            (folder / name).write_bytes(damaged)
            with pytest.raises(kind, match=name):
                load(folder)
    (folder / name).unlink()
    with pytest.raises(kind, match=name):
        load(folder)
