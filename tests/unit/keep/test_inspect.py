"""What a file holds, told without building anything: formulas, every key, and the path that reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

import wye
from tests.unit.keep.kept import MODELS


class Unknown(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


def model() -> wye.Chain:
    torch.manual_seed(0)
    one = nn.Linear(2, 2, bias=False)
    inner = wye.Chain(wye.While("norm(x) < 10", wye.Join("2 * a(x)", a=one, b=nn.PReLU()), max_steps=3))
    net = wye.Chain(
        first=nn.Linear(2, 2).half(),
        gate=wye.When(
            "score(x) > bound", inner, one, score=nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)), bound=0.5, rest=1.0
        ),
        deep=wye.Repeat([nn.Tanh(), nn.PReLU()], "die(0, 2)"),
        body=Unknown(),
    )
    return net


def test_the_whole_text(tmp_path: Path) -> None:
    wye.save(model(), tmp_path / "net.safetensors")
    text = str(wye.inspect(tmp_path / "net.safetensors")).replace(f"{tmp_path}/", "")
    assert text == (Path(__file__).with_name("inspected.txt")).read_text().rstrip("\n")


def test_every_key_of_every_model(tmp_path: Path) -> None:
    for name, make in MODELS.items():
        net, _ = make()
        wye.save(net, tmp_path / f"{name}.safetensors")
        held = wye.inspect(tmp_path / f"{name}.safetensors")
        firsts: dict[int, str] = {}
        for key, tensor in net.state_dict(keep_vars=True).items():
            if firsts.setdefault(id(tensor), key) == key:
                assert held.tensors[key].shape == tuple(tensor.shape)
                assert held.tensors[key].dtype == str(tensor.dtype)[6:]
                assert held.tensors[key].read_by
        assert held.tensors.keys() == set(firsts.values())
        assert not held.opaque


def test_it_needs_no_framework(tmp_path: Path) -> None:
    wye.save(model(), tmp_path / "net.safetensors")
    code = "import sys, wye; print(wye.inspect(sys.argv[1])); assert not {'torch', 'keras'} & sys.modules.keys()"
    command = [sys.executable, "-c", code, str(tmp_path / "net.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip("\n") == str(wye.inspect(tmp_path / "net.safetensors"))
