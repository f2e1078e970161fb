"""M23: what a saved model looks like, on random depth over distinct layers and over one shared layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import wye
from examples import m23_what_the_file_holds as example


def dense(layer: nn.Module, x: Tensor) -> Tensor:
    return x @ layer.weight.T + layer.bias


def plain(net: wye.Chain, x: Tensor, middle: Callable[[Tensor], Tensor]) -> Tensor:
    """The network with a middle of one's own, by hand."""
    x = middle(torch.relu(dense(net.first[0], x)))
    return torch.log_softmax(dense(net.last, x), 1)


def paths_that_ran(net: wye.Chain, key: str) -> bool:
    """Whether a weight has a gradient after one call in which the die shows 1."""
    net.middle.times = 1
    net(torch.randn(4, 64)).sum().backward()
    return net.get_parameter(key).grad is not None


@pytest.mark.parametrize("make", [example.distinct, example.shared])
def test_every_key_is_told_and_so_is_who_reads_it(make: Callable[[], wye.Chain], tmp_path: Path) -> None:
    net = make()
    wye.save(net, tmp_path / "net.safetensors")
    held = wye.inspect(tmp_path / "net.safetensors")
    assert held.tensors.keys() == net.state_dict().keys() == load_file(tmp_path / "net.safetensors").keys()
    assert held.formulas == {"middle.times": "die(0, 3)", "output.formula": "log_softmax(x)"}
    for key, _ in make().named_parameters():
        told = held.tensors[key].read_by
        name = key.split(".")[1]
        assert told == (f"middle.{name}, by Repeat die(0, 3)" if key.startswith("middle") else "every sample")
        assert paths_that_ran(make(), key) == (told == "every sample" or name in ("0", "block"))


def test_the_weights_of_distinct_layers_under_another_forward(tmp_path: Path) -> None:
    net, other, x = example.distinct(), example.first_two(), torch.randn(5, 64)
    wye.save(net, tmp_path / "net.safetensors")
    report = wye.load_weights(other, tmp_path / "net.safetensors", strict=False)
    assert report.matched == tuple(other.state_dict())
    assert set(report.unexpected) == {"middle.2.0.weight", "middle.2.0.bias", "middle.dice.state"}

    def two(x: Tensor) -> Tensor:
        for place in (0, 1):
            x = torch.relu(dense(net.middle.get_submodule(str(place))[0], x))
        return x

    torch.testing.assert_close(other(x), plain(net, x, two))


def test_the_weights_of_one_shared_layer_under_another_forward(tmp_path: Path) -> None:
    net, other, x = example.shared(), example.deciding(), 3 * torch.randn(9, 64)
    wye.save(net, tmp_path / "net.safetensors")
    assert wye.load_weights(other, tmp_path / "net.safetensors", strict=False).unexpected == ("middle.dice.state",)

    def loop(x: Tensor) -> Tensor:
        rows = []
        for row in x:
            steps = 0
            while row.max() < 4 and steps < 3:
                row, steps = torch.relu(dense(net.middle.block[0], row[None]))[0], steps + 1
            rows.append(row)
        return torch.stack(rows)

    torch.testing.assert_close(other(x), plain(net, x, loop))


def test_the_die_goes_on_in_the_loaded_one(tmp_path: Path) -> None:
    net = example.distinct()
    wye.tick(net)
    wye.save(net, tmp_path / "net.safetensors")
    again, x = wye.load(tmp_path / "net.safetensors"), torch.randn(4, 64)
    for _ in range(6):
        assert torch.equal(net(x), again(x))
        wye.tick(net)
        wye.tick(again)


@pytest.mark.long
def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    shown = capsys.readouterr().out
    assert "middle.2.0.weight  32 x 32  float32  middle.2, by Repeat die(0, 3)" in shown
    assert "8 matched" in shown
    assert "%, through Repeat(times='die(0, 3)')" in shown
    assert "FileError: the file is damaged" in shown
