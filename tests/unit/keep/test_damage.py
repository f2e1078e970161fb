"""A file that is not what was written is refused by name: 300 flipped bits, 200 truncations, and more."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import wye

READERS = (wye.load, wye.inspect, lambda path: wye.load_weights(net(), path))


def net() -> wye.Chain:
    torch.manual_seed(0)
    return wye.Chain(
        nn.Linear(6, 8),
        wye.When("norm(x) > bound", nn.Linear(8, 8), bound=0.5),
        deep=wye.Repeat([nn.Linear(8, 8), nn.BatchNorm1d(8)], "die(0, 2)"),
    )


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    wye.save(net(), tmp_path / "whole.safetensors")
    return (tmp_path / "whole.safetensors").read_bytes()


def refused(path: Path, data: bytes) -> list[str]:
    """What each reader says of a file of these bytes."""
    path.write_bytes(data)
    told: list[str] = []
    for read in READERS:
        with pytest.raises(wye.FileError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert all((caught.value.what, caught.value.got, caught.value.fix))
        told.append(caught.value.what)
    return told


def test_300_flipped_bits(whole: bytes, tmp_path: Path) -> None:
    draw = random.Random(11)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [draw.randrange(8 * 8) for _ in range(20)] + [draw.randrange(8 * header) for _ in range(140)]
    places += [draw.randrange(8 * header, 8 * len(whole)) for _ in range(140)]
    for place in places:
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        refused(tmp_path / "flipped.safetensors", bytes(data))
    assert len(places) == 300
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(whole)
    assert isinstance(wye.load(path), wye.Chain)


def test_a_flipped_bit_that_safetensors_does_not_see(whole: bytes, tmp_path: Path) -> None:
    data = bytearray(whole)
    data[-5] ^= 4
    (tmp_path / "flipped.safetensors").write_bytes(data)
    load_file(tmp_path / "flipped.safetensors")
    told = refused(tmp_path / "flipped.safetensors", bytes(data))
    assert set(told) == {"the file is damaged: it is not what was written."}


def test_200_truncations(whole: bytes, tmp_path: Path) -> None:
    draw = random.Random(12)
    lengths = [*range(12), *(draw.randrange(len(whole)) for _ in range(187)), len(whole) - 1]
    for length in lengths:
        refused(tmp_path / "cut.safetensors", whole[:length])
    assert len(lengths) == 200


def test_bytes_at_the_end(whole: bytes, tmp_path: Path) -> None:
    refused(tmp_path / "long.safetensors", whole + b"\0")


def test_two_tensors_exchanged(whole: bytes, tmp_path: Path) -> None:
    body = 8 + int.from_bytes(whole[:8], "little")
    blocks = [whole[start : start + 32] for start in range(body, len(whole), 32)]
    first, second = 4, len(blocks) // 2
    assert blocks[first] != blocks[second]
    blocks[first], blocks[second] = blocks[second], blocks[first]
    refused(tmp_path / "turned.safetensors", whole[:body] + b"".join(blocks))


def test_a_damaged_file_leaves_a_model_as_it_was(whole: bytes, tmp_path: Path) -> None:
    model = net()
    before = {key: one.clone() for key, one in model.state_dict().items()}
    (tmp_path / "cut.safetensors").write_bytes(whole[:-9])
    with pytest.raises(wye.FileError):
        wye.load_weights(model, tmp_path / "cut.safetensors", strict=False)
    assert all(torch.equal(before[key], one) for key, one in model.state_dict().items())


@pytest.mark.parametrize("kind", ["plain", "pickle", "empty", "text", "folder"])
def test_other_files(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "other"
    if kind == "folder":
        path.mkdir()
        with pytest.raises(IsADirectoryError):
            wye.load(path)
        return
    if kind == "plain":
        save_file({"a": torch.ones(2)}, path)
    elif kind == "pickle":
        torch.save({"a": torch.ones(2)}, path)
    else:
        path.write_bytes(b"" if kind == "empty" else b"the quick brown fox jumps over the lazy dog " * 9)
    refused(path, path.read_bytes())
