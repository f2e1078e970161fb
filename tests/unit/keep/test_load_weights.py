"""Weights under another forward: read into another formula or network over parts of the same names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import wye
from tests.unit.keep.kept import MODELS


def looped(width: int = 4) -> wye.Chain:
    mid = wye.Join("relu(mid(x))", mid=nn.Linear(width, width))
    return wye.Chain(
        first=nn.Linear(3, width), loop=wye.While("norm(x) < 10", mid, max_steps=9), last=nn.Linear(width, 2)
    )


def counted(width: int = 4, rounds: int = 2) -> wye.Chain:
    mid = wye.Join("relu(mid(x))", mid=nn.Linear(width, width))
    return wye.Chain(first=nn.Linear(3, width), loop=wye.Repeat(mid, rounds), last=nn.Linear(width, 2))


def file(model: nn.Module, folder: Path) -> Path:
    wye.save(model, folder / "model.safetensors")
    return folder / "model.safetensors"


def by_hand(net: wye.Chain, x: Tensor, rounds: int) -> Tensor:
    x = net.first(x)
    for _ in range(rounds):
        x = torch.relu(net.loop.block.mid(x))
    return net.last(x)


def test_another_network_over_the_same_parts(tmp_path: Path) -> None:
    net, other = looped(), counted()
    report = wye.load_weights(other, file(net, tmp_path))
    assert report.whole
    assert report.matched == tuple(net.state_dict())
    x = torch.randn(5, 3)
    assert torch.equal(other(x), by_hand(net, x, 2))
    assert str(report) == "6 matched"


def test_another_formula_over_the_same_parts(tmp_path: Path) -> None:
    join = wye.Join("a(x) + gain * b(x)", a=nn.Linear(3, 4), b=nn.Linear(3, 4), gain=0.25)
    other = wye.Join("a(x) * b(x) * gain", a=nn.Linear(3, 4), b=nn.Linear(3, 4), gain=1.0)
    wye.load_weights(other, file(join, tmp_path))
    x = torch.randn(5, 3)
    assert torch.equal(other(x), join.a(x) * join.b(x) * 0.25)
    assert other.formula.text == "a(x) * b(x) * gain"
    assert other.gain == 0.25


def test_an_optimizer_goes_on_with_the_weights(tmp_path: Path) -> None:
    net, other = looped(), counted()
    weights = list(other.parameters())
    wye.load_weights(other, file(net, tmp_path))
    assert all(one is two for one, two in zip(weights, other.parameters(), strict=True))


def test_strict_refuses_and_changes_nothing(tmp_path: Path) -> None:
    net = looped()
    mid = wye.Join("relu(mid(x))", mid=nn.Linear(4, 4, bias=False))
    more = {"last": nn.Linear(4, 5), "more": nn.LayerNorm(5)}
    other = wye.Chain(first=nn.Linear(3, 4), loop=wye.Repeat(mid, 2), **more)
    before = {key: one.clone() for key, one in other.state_dict().items()}
    with pytest.raises(wye.FileError) as caught:
        wye.load_weights(other, file(net, tmp_path))
    assert str(caught.value).splitlines()[2:-1] == [
        "  got: 3 matched",
        "       2 missing, left as they were",
        "         more.weight",
        "         more.bias",
        "       1 unexpected, not read",
        "         loop.block.mid.bias",
        "       2 of another shape, left as they were",
        "         last.weight: (2, 4) in the file, (5, 4) in the model",
        "         last.bias: (2,) in the file, (5,) in the model",
    ]
    assert all(torch.equal(before[key], one) for key, one in other.state_dict().items())


def test_not_strict_fills_what_fits_and_says_so(tmp_path: Path) -> None:
    net, other = looped(), wye.Chain(first=nn.Linear(3, 4).double(), last=nn.Linear(4, 5))
    report = wye.load_weights(other, file(net, tmp_path), strict=False)
    assert report.matched == ("first.weight", "first.bias")
    assert sorted(report.unexpected) == ["loop.block.mid.bias", "loop.block.mid.weight"]
    assert report.misshapen == {"last.weight": ((2, 4), (5, 4)), "last.bias": ((2,), (5,))}
    assert report.cast == {"first.weight": ("float32", "float64"), "first.bias": ("float32", "float64")}
    assert not report.whole
    assert torch.equal(other.first.weight, net.first.weight.double())


def test_shared_and_tied_weights_find_each_other(tmp_path: Path) -> None:
    for name in ("shared", "tied"):
        model, given = MODELS[name]()
        other, _ = MODELS[name]()
        assert wye.load_weights(other, file(model, tmp_path)).whole
        assert torch.equal(model(**given), other(**given))


def test_a_model_without_values_is_filled(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    with torch.device("meta"):
        other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    wye.load_weights(other, file(net, tmp_path))
    assert all(
        torch.equal(one, two) for one, two in zip(net.state_dict().values(), other.state_dict().values(), strict=True)
    )
