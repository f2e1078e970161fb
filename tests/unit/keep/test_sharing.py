"""What stands in several places stays one thing, and every weight stays as free or as still as it was."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import wye
from tests.unit.keep.kept import MODELS


def kept(model: nn.Module, folder: Path, **parts: Any) -> Any:
    wye.save(model, folder / "model.safetensors")
    return wye.load(folder / "model.safetensors", **parts)


def test_a_shared_layer_is_one_again(tmp_path: Path) -> None:
    model, _ = MODELS["shared"]()
    again = kept(model, tmp_path)
    assert again.inner is again.again
    assert again.one is again.inner.one is again.inner.s[0]
    assert len(list(again.parameters())) == len(list(model.parameters())) == 2
    assert sorted(load_file(tmp_path / "model.safetensors")) == ["inner.s.0.bias", "inner.s.0.weight"]


def test_tied_weights_are_one_again_and_train_as_one(tmp_path: Path) -> None:
    model, given = MODELS["tied"]()
    again = kept(model, tmp_path)
    assert again.decode.weight is again.kept.table.weight
    assert again.first.mask is again.second.mask
    assert len(list(again.parameters())) == len(list(model.parameters()))
    for net in (model, again):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        net(**given).square().sum().backward()
        optimizer.step()
    assert torch.equal(model.decode.weight, again.decode.weight)
    assert torch.equal(again.decode.weight, again.kept.table.weight)


def test_weights_tied_within_a_recurrent_layer(tmp_path: Path) -> None:
    model = nn.ModuleList([nn.LSTM(4, 4, num_layers=1), nn.LSTM(4, 4, num_layers=1)])
    model[1].weight_hh_l0 = model[0].weight_hh_l0
    again = kept(model, tmp_path)
    x = torch.randn(3, 2, 4)
    with torch.no_grad():
        again[0].weight_hh_l0.zero_()
        model[0].weight_hh_l0.zero_()
        assert torch.equal(again[1](x)[0], model[1](x)[0])


def test_weights_that_need_no_gradient_stay_so(tmp_path: Path) -> None:
    model, _ = MODELS["still"]()
    again = kept(model, tmp_path)
    assert [key for key, one in again.named_parameters() if not one.requires_grad] == ["held.weight", "held.bias"]


def test_numbers_keep_their_types_and_all_their_digits(tmp_path: Path) -> None:
    model, given = MODELS["join"]()
    again = kept(model, tmp_path)
    names = ("gain", "whole", "flag", "power", "warm")
    assert [getattr(again, name) for name in names] == [1e-3, 2**60 + 1, True, 3, 3 / 8]
    assert [type(getattr(again, name)) for name in names] == [float, int, bool, int, float]
    again.advance()
    model.advance()
    assert again.warm == 0.5
    assert torch.equal(again(**given), model(**given))


def test_a_formula_that_reads_less_than_before_keeps_its_inputs(tmp_path: Path) -> None:
    model, given = MODELS["switched"]()
    again = kept(model, tmp_path)
    assert again.inputs == ("x", "z")
    assert again.formula.text == "2*a( x )"
    again.formula = "a(x) + b(z)"
    model.formula = "a(x) + b(z)"
    assert torch.equal(again(**given), model(**given))
    with pytest.raises(wye.InputError):
        again.formula = "a(y)"


def test_a_condition_that_reads_less_than_before_still_takes_its_side_inputs(tmp_path: Path) -> None:
    model, given = MODELS["when"]()
    again = kept(model, tmp_path)
    again.less.condition = model.less.condition = "norm(x) > control"
    assert torch.equal(again(**given), model(**given))


def test_dice_go_on_where_they_were(tmp_path: Path) -> None:
    model = wye.Repeat([nn.Linear(4, 4) for _ in range(3)], "die(0, 3)")
    falls: list[list[int]] = []
    wye.tick(model)
    again = kept(model, tmp_path)
    for net in (model, again):
        falls.append([])
        for _ in range(20):
            before = {name: path.samples for name, path in net.paths.items()}
            net(torch.ones(1, 4))
            falls[-1].append(
                next(int(n[-1]) for n, p in net.paths.items() if n.startswith("times") and p.samples > before[n])
            )
            wye.tick(net)
    assert falls[0] == falls[1]
    assert len(set(falls[0])) > 1


def test_training_goes_on_as_if_nothing_had_been_saved(tmp_path: Path) -> None:
    def steps(net: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
        for step in range(count):
            x = torch.linspace(-1, 1 + step, 24).reshape(6, 4)
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()

    net = wye.Chain(nn.Linear(4, 4), deep=wye.Repeat([nn.Linear(4, 4), nn.Linear(4, 4)], "die(0, 2)"))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    steps(net, optimizer, 5)
    again = kept(net, tmp_path)
    resumed = torch.optim.Adam(again.parameters(), lr=0.01)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(net, optimizer, 10)
    steps(again, resumed, 10)
    for one, other in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_loading_draws_no_random_number(tmp_path: Path) -> None:
    model, _ = MODELS["choice"]()
    wye.save(model, tmp_path / "model.safetensors")
    state = torch.get_rng_state()
    wye.load(tmp_path / "model.safetensors")
    wye.save(model, tmp_path / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), state)


def test_views_of_one_tensor_become_tensors_of_their_own(tmp_path: Path) -> None:
    whole = torch.arange(12.0)
    model = wye.Join("x + sum(a) + sum(b) + sum(c)", a=whole[:4], b=whole[4:].reshape(2, 4).T, c=whole[::3])
    again = kept(model, tmp_path)
    for name in "abc":
        assert torch.equal(getattr(again, name), getattr(model, name))
        assert getattr(again, name).untyped_storage().nbytes() == getattr(model, name).numel() * 4


def test_two_tensors_on_one_memory(tmp_path: Path) -> None:
    one = nn.Linear(4, 4)
    model = wye.Join("a(x) + sum(b)", a=one, b=one.weight.detach())
    again = kept(model, tmp_path)
    assert torch.equal(again.b, again.a.weight)
    assert again.b.data_ptr() != again.a.weight.data_ptr()


def test_channels_last(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv3d(4, 4, 3))
    model[0].to(memory_format=torch.channels_last)
    model[1].weight = nn.Parameter(model[1].weight.detach().contiguous(memory_format=torch.channels_last_3d))
    again = kept(model, tmp_path)
    assert [one.stride() for one in again.state_dict().values()] == [
        one.stride() for one in model.state_dict().values()
    ]


def test_a_compiled_model_is_saved_as_what_it_compiles(tmp_path: Path) -> None:
    model = wye.Chain(nn.Linear(4, 4), "relu(x)")
    again = kept(torch.compile(model), tmp_path)
    assert isinstance(again, wye.Chain)
    assert torch.equal(again[0].weight, model[0].weight)


def test_the_file_is_one_of_safetensors(tmp_path: Path) -> None:
    """Anybody reads the tensors, under the keys of the state dict."""
    model, _ = MODELS["repeat"]()
    wye.save(model, tmp_path / "model.safetensors")
    found = load_file(tmp_path / "model.safetensors")
    state = model.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)
    model.load_state_dict(found)


def test_what_was_counted_is_not_kept(tmp_path: Path) -> None:
    model, given = MODELS["repeat"]()
    model(**given)
    again = kept(model, tmp_path)
    assert all(path.samples == 0 for path in again[0].paths.values())


def test_what_was_loaded_outlives_its_file(tmp_path: Path) -> None:
    """Weights lie on the pages of the file: one that is replaced or removed leaves them as they were."""
    model, given = MODELS["repeat"]()
    again = kept(model, tmp_path)
    wye.save(nn.Linear(2, 2), tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    assert torch.equal(again(**given), model(**given))
    optimizer = torch.optim.SGD(again.parameters(), lr=0.1)
    again(**given).sum().backward()
    optimizer.step()


def test_weights_begin_where_torch_lets_them_begin(tmp_path: Path) -> None:
    """Elsewhere products would give other last bits."""
    model = nn.ModuleList([nn.Linear(width, 16) for width in range(1, 40)])
    again = kept(model, tmp_path)
    assert [one.data_ptr() % 64 for one in again.parameters()] == [0] * 78
