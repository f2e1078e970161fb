"""Whole messages of saving and loading; they stand in `keep_messages.txt`, with FOLDER for the folder of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.nn.utils import prune

import wye
from tests.errors.messages import cases, check
from tests.unit.keep.hostile import sealed  # noqa: F401  # a call in the text has it
from wye.torch.keep import registry


class Unknown(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(4, 4), nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.scale


class Known(nn.Module):
    def __init__(self, thing: Any) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x


class Late(nn.Module):
    pass


def known(x: Tensor) -> Tensor:
    return x


def twice(x: Tensor) -> Tensor:
    return 2 * x


def line() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 4)


def early() -> nn.Module:
    model = Late()
    wye.register(Late)
    return model


def pruned() -> nn.Module:
    return prune.l1_unstructured(line(), "weight", 0.5)


def patched() -> nn.Module:
    layer = line()
    layer.forward = twice  # type: ignore[method-assign]
    return layer


def plain_tensors() -> bytes:
    return save_tensors({"a": torch.ones(2)})


CASES = cases("keep_messages.txt")


@pytest.mark.parametrize(("call", "message"), CASES, ids=[call for call, _ in CASES])
def test_the_whole_message(call: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CLASSES", {})
    monkeypatch.setattr(registry, "FUNCTIONS", {})
    wye.register(Known)
    wye.register(known)
    path = tmp_path / "a.safetensors"

    def save(model: Any) -> None:
        wye.save(model, path)

    def load(model: Any, forget: str = "", **parts: Any) -> None:
        save(model)
        registry.CLASSES.pop(forget, None)
        registry.FUNCTIONS.pop(forget, None)
        wye.load(path, parts=parts)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        wye.load(path)

    def a_file() -> bytes:
        save(line())
        return path.read_bytes()

    def weights(model: nn.Module, other: nn.Module) -> None:
        save(model)
        wye.load_weights(other, path)

    names = {**globals(), "save": save, "load": load, "read": read, "a_file": a_file, "weights": weights}
    with pytest.raises(wye.WyeError) as caught:
        eval(call.removeprefix(">>> "), names)
    check(caught.value, message.replace("FOLDER", str(tmp_path)))
