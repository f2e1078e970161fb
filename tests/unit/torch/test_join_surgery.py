"""What torch's tools do to a module, done to a Join and to its parts: hooks, pruning, functional calls, replicas."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.utils import parametrize, prune
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import wye
from tests.unit.torch.plain import assert_same, built, by_hand, data, gradients, linear, tensor


class Doubled(nn.Module):
    """A parametrization with a way back."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x

    def right_inverse(self, x: Tensor) -> Tensor:
        return x / 2


# hooks


def test_hooks_on_the_join_and_on_its_parts() -> None:
    for module in (join := built(), plain := by_hand()):
        module.register_forward_pre_hook(lambda _, args: (args[0] + 1,))
        module.register_forward_hook(lambda _, args, value: value * 3)
        module.a.register_forward_hook(lambda _, args, value: value - 1)
        module.b.register_full_backward_hook(lambda _, given, got: (given[0] * 2,))
        module.register_full_backward_pre_hook(lambda _, got: (got[0] * 5,))
    assert_same(join, plain)


def test_hooks_see_names_as_they_were_given() -> None:
    seen: list[object] = []
    join = wye.Join("a(x) + y", a=linear(1))
    join.register_forward_pre_hook(lambda _, args, kwargs: seen.append((len(args), sorted(kwargs))), with_kwargs=True)
    join(data(), y=tensor(1, 6, 3))
    join(y=tensor(1, 6, 3), x=data())
    assert seen == [(1, ["y"]), (0, ["x", "y"])]


def test_a_removed_hook_is_gone() -> None:
    join = built()
    join.a.register_forward_hook(lambda _, args, value: value * 100).remove()
    assert_same(join, by_hand())


# pruning and parametrizing


@pytest.mark.parametrize(("part", "name"), [("a", "weight"), ("", "scale")], ids=["of a part", "of its own"])
def test_pruning(part: str, name: str) -> None:
    for module in (join := built(), plain := by_hand()):
        prune.l1_unstructured(module.get_submodule(part), name, amount=0.5)
    assert f"{part}.{name}".strip(".") not in dict(join.named_parameters())
    assert_same(join, plain)
    join.load_state_dict(copy.deepcopy(join.state_dict()))
    join.formula = f"{join.formula} + 0"
    assert_same(join, plain)
    for module in (join, plain):
        prune.remove(module.get_submodule(part), name)
    assert_same(join, plain)


@pytest.mark.parametrize(("part", "name"), [("a", "weight"), ("", "scale")], ids=["of a part", "of its own"])
def test_parametrizing(part: str, name: str) -> None:
    for module in (join := built(), plain := by_hand()):
        parametrize.register_parametrization(module.get_submodule(part), name, Doubled())
        with torch.no_grad():
            module.get_submodule(part).parametrizations[name].original.add_(0.25)
    assert_same(join, plain)
    assert_same(copy.deepcopy(join), plain)
    join.formula = f"{join.formula} + 0"
    join.gain = plain.gain = -2.0
    assert_same(join, plain)
    for module in (join, plain):
        setattr(module.get_submodule(part), name, torch.ones_like(getattr(module.get_submodule(part), name)))
    assert_same(join, plain)
    for module in (join, plain):
        parametrize.remove_parametrizations(module.get_submodule(part), name)
    assert_same(join, plain)


def test_spectral_norm_of_a_part() -> None:
    for module in (join := built(), plain := by_hand()):
        torch.manual_seed(0)
        nn.utils.parametrizations.spectral_norm(module.a)
    assert_same(join.eval(), plain.eval())


def test_replaced_parts() -> None:
    join, plain = built(), by_hand()
    for module in (join, plain):
        module(data())
        module.a = nn.Sequential(linear(6), nn.Tanh())
        module.scale = nn.Parameter(tensor(7, 3))
        module.shift = tensor(8, 3)
    join.gain = plain.gain = 2
    assert_same(join, plain)
    for module in (join, plain):
        module.a[0] = linear(9)
    assert_same(join, plain)
    join.bend = torch.sin
    join.advance()
    plain.warm = 0.0
    assert_close(join(data()), plain(data()) - torch.sin(plain.shift) / 4)


# functional calls


def functional(module: nn.Module, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    return functional_call(module, weights, (x,))


def test_functional_call_takes_other_weights() -> None:
    join, plain = built(), by_hand()
    before = {name: weight.detach().clone() for name, weight in join.named_parameters()}
    weights = {name: tensor(len(name), *weight.shape) for name, weight in join.named_parameters()}
    assert_close(functional(join, weights, data()), functional(plain, weights, data()))
    for name, weight in join.named_parameters():
        assert_close(weight.detach(), before[name], rtol=0, atol=0)
    assert_same(join, plain)


def test_functional_call_takes_other_numbers() -> None:
    join, plain = built(), by_hand()
    plain.gain, plain.warm = 2.5, 0.75
    numbers = {"gain": torch.tensor(2.5), "warm": torch.tensor(0.75)}
    assert_close(functional(join, numbers, data()), plain(data()))
    assert_same(join, by_hand())


def test_gradients_through_a_functional_call() -> None:
    join, plain, x = built(), by_hand(), data()

    def loss(module: nn.Module) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
        return lambda weights, x: functional(module, weights, x).square().sum()

    for where, argument in ((dict(join.named_parameters()), 0), (dict(plain.named_parameters()), 1)):
        found = grad(loss(join), argnums=argument)(where, x)
        wanted = grad(loss(plain), argnums=argument)(where, x)
        assert_close(found, wanted)


def test_gradients_of_each_sample() -> None:
    join, plain, x = built(), by_hand(), data()

    def each(module: nn.Module) -> dict[str, Tensor]:
        def loss(weights: dict[str, Tensor], row: Tensor) -> Tensor:
            return functional(module, weights, row.unsqueeze(0)).square().sum()

        weights = {name: weight.detach() for name, weight in module.named_parameters()}
        return vmap(grad(loss), in_dims=(None, 0))(weights, x)

    found = each(join)
    assert found["scale"].shape == (6, 3)
    assert_close(found, each(plain))


def test_an_ensemble_of_joins_keeps_the_number_of_each() -> None:
    joins, x = [built() for _ in range(3)], data()
    for place, join in enumerate(joins):
        join.gain = float(place)
        with torch.no_grad():
            join.get_parameter("scale").mul_(place + 1)
    weights, buffers = stack_module_state(list[nn.Module](joins))
    found = vmap(lambda p, b: functional_call(joins[0], (p, b), (x,)))(weights, buffers)
    assert_close(found, torch.stack([join(x) for join in joins]))


# running it otherwise


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing(reentrant: bool) -> None:
    class Checkpointed(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.inner, x, use_reentrant=reentrant)

    calls: list[int] = []
    join = built()
    join.a.register_forward_hook(lambda *_: calls.append(1))
    found = gradients(Checkpointed(join), data())
    assert len(calls) == 2
    wanted_value, wanted = gradients(by_hand(), data())
    assert_close(found[0], wanted_value)
    assert_close(found[1], {"x": wanted.pop("x"), **{f"inner.{name}": value for name, value in wanted.items()}})


def replica_of(module: nn.Module) -> nn.Module:
    """What `torch.nn.parallel.replicate` makes of a module for another device, on this one."""
    replica = module._replicate_for_data_parallel()
    replica._former_parameters = {}
    for name, child in module._modules.items():
        if child is not None:
            setattr(replica, name, replica_of(child))
    for name, weight in module._parameters.items():
        if weight is not None:
            setattr(replica, name, weight.clone())
    for name, buffer in module._buffers.items():
        if buffer is not None:
            setattr(replica, name, buffer.clone())
    return replica


def test_a_replica_for_data_parallel() -> None:
    join, plain, x = wye.Join("inner(x) * share", inner=built(), share=0.5), by_hand(), data()
    join.inner.advance()
    plain.warm = 0.25
    replica = replica_of(join)
    value = replica(x)
    assert_close(value, plain(x) * 0.5)
    value.sum().backward()
    (plain(x) * 0.5).sum().backward()
    assert_close(join.inner.scale.grad, plain.scale.grad)
    assert_close(join.inner.a.weight.grad, plain.a.weight.grad)
    assert_close(join(x), value)


def test_data_parallel_without_devices_runs_the_module() -> None:
    join = nn.DataParallel(built())
    assert_close(join(data()), by_hand()(data()))


def test_a_number_may_change_between_forward_and_backward() -> None:
    for captured in (False, True):
        join, x = built(), data().requires_grad_()
        value = torch.compile(join, backend="eager")(x) if captured else join(x)
        join.gain = 100.0
        value.sum().backward()
        wanted = by_hand()
        wanted(x).sum().backward()
        assert_close(join.b.weight.grad, wanted.b.weight.grad)
