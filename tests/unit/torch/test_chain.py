"""Chain: stages in order, side inputs by name, and all that `nn.Sequential` does; Takes and Join as stages."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wye


def three() -> tuple[wye.Chain, nn.Sequential]:
    layers = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)]
    return wye.Chain(*layers), nn.Sequential(*layers)


X = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))


# as nn.Sequential


def test_it_is_a_sequential() -> None:
    chain, plain = three()
    assert torch.equal(chain(X), plain(X))
    assert list(chain.state_dict()) == list(plain.state_dict())
    assert len(chain) == len(plain) == 3
    assert all(a is b for a, b in zip(chain, plain, strict=True))
    for place in (0, 2, -1, -3):
        assert chain[place] is plain[place]
    for place in (3, -4):
        with pytest.raises(IndexError):
            chain[place]


@pytest.mark.parametrize(
    "place", [slice(1, None), slice(None, -1), slice(None), slice(1, 1), slice(0, 3, 2), slice(None, None, -1)]
)
def test_slices_are_chains_over_the_same_layers(place: slice) -> None:
    chain, plain = three()
    part, other = chain[place], plain[place]
    assert type(part) is wye.Chain
    assert [id(one) for one in part] == [id(one) for one in other]
    assert list(part.state_dict()) == list(other.state_dict())


def test_a_slice_with_names_keeps_them_and_what_is_shared() -> None:
    net = wye.Chain("x * 2", deep=wye.When("control > table", "x + 1"), last="x * 3", shared=("table",))
    part = net[1:]
    assert part.deep is net.deep
    assert part.wants == {"control", "table"}
    value = part(X, control=torch.ones(5), table=torch.zeros(1))
    assert torch.equal(value, (X + 1) * 3)
    assert torch.equal(net[:1](X), X * 2)


# names


def test_named_stages_run_last_and_are_attributes() -> None:
    net = wye.Chain(nn.Linear(4, 3), deep=nn.Linear(3, 3), last=nn.Tanh())
    assert [name for name, _ in net.named_children()] == ["0", "deep", "last"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "deep.weight", "deep.bias"]
    assert net.deep is net[1]
    net.deep = nn.Linear(3, 5)
    assert net(X).shape == (5, 5)
    with pytest.raises(AttributeError):
        _ = net.deeper


@pytest.mark.parametrize(
    "name", ["forward", "train", "type", "half", "to", "paths", "wants", "per", "shared_", "dice", "step", "training"]
)
def test_names_that_modules_need_are_reserved(name: str) -> None:
    if name == "shared_":
        assert torch.equal(wye.Chain(shared_=nn.Identity())(X), X)
        return
    with pytest.raises(wye.PartError, match=f"`{name}` belongs to the module"):
        wye.Chain(**{name: nn.Identity()})


@pytest.mark.parametrize("name", ["_a", "a-b", "1a", "ä", ""])
def test_other_names_are_letters_and_digits(name: str) -> None:
    with pytest.raises(wye.PartError, match="is no name for a stage"):
        wye.Chain(**{name: nn.Identity()})


@pytest.mark.parametrize("node", [lambda **p: wye.When("c > 0", "x", **p), lambda **p: wye.Repeat("x", "c", **p)])
def test_parts_have_names_of_their_own(node: Any) -> None:
    with pytest.raises(wye.PartError, match="`x` is the value that flows"):
        node(x=1.0)
    for name in ("dice", "paths", "wants", "forward"):
        with pytest.raises(wye.PartError, match=f"`{name}` belongs to the module"):
            node(**{name: 1.0})


def test_a_part_is_not_called_as_a_stage() -> None:
    with pytest.raises(wye.PartError, match="`block` belongs to the module"):
        wye.Repeat(nn.Identity(), "block", block=2.0)


# what a stage may be


def test_a_formula_is_a_stage() -> None:
    assert torch.equal(wye.Chain("relu(x)")(X), X.relu())
    assert torch.equal(wye.Chain(wye.Formula("2 * x"), "y = x + 1\ny * y")(X), (2 * X + 1) ** 2)
    assert torch.equal(wye.Chain("relu(h) * gain")(X, gain=2.0), X.relu() * 2)


def test_a_function_is_a_stage() -> None:
    def scaled(x: Tensor, gain: Tensor, power: int = 1) -> Tensor:
        return (x * gain[:, None]) ** power

    gain = torch.arange(5.0)
    net = wye.Chain(torch.relu, scaled, F.silu, lambda x: x + 1)
    assert torch.equal(net(X, gain=gain), F.silu(X.relu() * gain[:, None]) + 1)
    assert torch.equal(net(X, gain=gain, power=2), F.silu((X.relu() * gain[:, None]) ** 2) + 1)
    assert "scaled" in repr(net)


def test_a_join_takes_the_flowing_value_as_x_else_as_its_first_input() -> None:
    second = torch.randn(5, 4)
    named = wye.Chain(wye.Join("other - x"))
    assert torch.equal(named(X, other=second), second - X)
    first = wye.Chain(wye.Join("h - other"))
    assert torch.equal(first(X, other=second), X - second)
    assert first.wants == {"other"}


def test_a_switched_join_may_read_less() -> None:
    net = wye.Chain(wye.Join("x * gain"))
    assert torch.equal(net(X, gain=2.0), X * 2)
    net[0].formula = "x + x"
    assert torch.equal(net(X, gain=2.0), X * 2)
    assert torch.equal(net(X), X * 2)


def test_a_frozen_stage_is_called_as_what_it_holds() -> None:
    join = wye.Join("f(x) * gain", f=nn.Linear(4, 4))
    net = wye.Chain(wye.frozen(join))
    assert torch.equal(net(X, gain=2.0), join(X, gain=2.0))
    x = X.clone().requires_grad_()
    net(x, gain=2.0).sum().backward()
    assert x.grad is not None
    assert all(weight.grad is None for weight in net.parameters())


class Extra(nn.Module):
    """A plain module with further arguments of its forward."""

    def forward(self, x: Tensor, mask: Tensor, *, scale: float = 2.0) -> Tensor:
        return torch.where(mask, x * scale, x)


MASK = torch.tensor([[True], [False], [True], [False], [False]])


def test_a_plain_module_takes_further_arguments_as_side_inputs() -> None:
    net = wye.Chain(Extra(), wye.When("any(x > 0)", Extra()))
    once = torch.where(MASK, X * 2, X)
    twice = torch.where(MASK & (once > 0).any(1, keepdim=True), once * 2, once)
    assert net.wants == {"mask", "scale"}
    assert torch.equal(net(X, mask=MASK), twice)
    assert torch.equal(net(X, mask=MASK, scale=1.0), X)


def test_takes_renames() -> None:
    net = wye.Chain(wye.Takes(Extra(), mask="first"), wye.Takes(Extra(), mask="second", scale="gain"))
    value = net(X, first=MASK, second=~MASK, gain=-1.0)
    assert torch.equal(value, torch.where(MASK, X * 2, -X))
    both = wye.Chain(wye.Takes(two, a="same", b="same"))
    torch.testing.assert_close(both(X, same=torch.ones(5, 1)), X + 2)


def two(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return x + a + b


def test_takes_reaches_hidden_keywords_and_joins_and_nodes() -> None:
    class Hidden(nn.Module):
        def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
            return args[0] + kwargs["bias"]

    assert torch.equal(wye.Chain(wye.Takes(Hidden(), bias="b"))(X, b=torch.ones(5, 1)), X + 1)
    join = wye.Chain(wye.Takes(wye.Join("m * x"), m="gain"))
    assert torch.equal(join(X, gain=3.0), X * 3)
    node = wye.Chain(wye.Takes(wye.When("control > 0", "x + 1"), control="c"))
    assert torch.equal(node(X, c=torch.tensor([1, 0, 1, 0, 0])), X + torch.tensor([1, 0, 1, 0, 0])[:, None])
    shared = wye.Chain(wye.Takes(wye.When("sum(table) > 5", "x + 1"), table="rows"), shared=("rows",))
    assert torch.equal(shared(X, rows=torch.full((5,), 2.0)), X + 1)


def test_takes_refuses_keywords_that_are_not_there() -> None:
    for module in (Extra(), wye.Join("x * mask"), wye.When("mask > 0", "x")):
        with pytest.raises(wye.PartError, match="has no keyword `maks`"):
            wye.Takes(module, maks="first")
    with pytest.raises(wye.PartError, match="by its name"):
        wye.Takes(Extra(), mask=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", [1, None, 2.5, ["x"], torch.ones(2)])
def test_other_things_are_no_stages(stage: Any) -> None:
    with pytest.raises(wye.PartError, match="a stage is a module"):
        wye.Chain(stage)


def test_a_class_is_no_stage() -> None:
    with pytest.raises(wye.PartError, match="not a class"):
        wye.Chain(nn.ReLU)


# side inputs


def test_side_inputs_go_by_name_as_deep_as_they_are_read() -> None:
    inner = wye.Chain(wye.When("a > 0", wye.Chain(Extra())), wye.Repeat("x + b", "n"))
    net = wye.Chain(nn.Identity(), inner)
    assert net.wants == {"a", "mask", "scale", "b", "n"}
    a, n = torch.tensor([1.0, 1, 0, 0, 1]), torch.tensor([0, 1, 2, 0, 1])
    b = torch.randn(5, 4)
    expected = torch.where(MASK & (a > 0)[:, None], X * 2, X) + b * n[:, None]
    torch.testing.assert_close(net(X, a=a, mask=MASK, b=b, n=n), expected)


def test_side_inputs_that_nobody_takes_are_missing_or_have_another_batch() -> None:
    net = wye.Chain(nn.Linear(4, 4), wye.When("control > 0.5", Extra()))
    rows = torch.ones(5)
    for wrong in ({"contrl": rows}, {"zzz": rows}):
        with pytest.raises(wye.InputError, match="nobody takes"):
            net(X, mask=MASK, control=rows, **wrong)
    with pytest.raises(wye.InputError, match="reads `control`, which is not given"):
        net(X, mask=MASK)
    with pytest.raises(wye.InputError, match="takes the side input `mask`, which is not given"):
        net(X, control=rows)
    for wrong in (torch.ones(4), torch.ones(1), torch.ones(3, 5)):
        with pytest.raises(wye.InputError, match="one row for each sample"):
            net(X, mask=MASK, control=wrong)
    with pytest.raises(wye.InputError, match="one row for each sample"):
        net(X, mask={"a": torch.ones(4)}, control=rows)


def test_shared_side_inputs_are_whole_for_everyone() -> None:
    class Graph(nn.Module):
        def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
            assert adjacency.shape == (3, 3)
            return x + adjacency.sum()

    net = wye.Chain(
        wye.When("control > 0", Graph()),
        wye.While("sum(adjacency) > sum(x)", Graph(), max_steps=2),
        shared=["adjacency"],
    )
    value = net(torch.zeros(5, 4), control=torch.tensor([1, 0, 0, 0, 0]), adjacency=torch.ones(3, 3))
    assert torch.equal(value, torch.full((5, 4), 9.0))
    with pytest.raises(wye.PartError, match="several names"):
        wye.Chain("x", shared="adjacency")


# sharing layers


def test_a_layer_of_two_stages_is_owned_once() -> None:
    layer = nn.Linear(4, 4)
    net = wye.Chain(first=wye.When("a > 0", layer), second=wye.Repeat(layer, "n"))
    assert list(net.state_dict()) == [
        "first.then.weight",
        "first.then.bias",
        "second.block.weight",
        "second.block.bias",
    ]
    assert len(list(net.parameters())) == 2
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2
    again = copy.deepcopy(net)
    assert again.first.then is again.second.block
    net(X, a=torch.tensor([1, 0, 0, 0, 0]), n=torch.tensor([0, 1, 0, 0, 0])).sum().backward()
    x = X.clone()
    twice = torch.cat([layer(x[:1]), layer(x[1:2]), x[2:]])
    (wanted,) = torch.autograd.grad(twice.sum(), [layer.weight])
    torch.testing.assert_close(layer.weight.grad, wanted)


@pytest.mark.parametrize(
    "x",
    [torch.tensor(1.0), (torch.ones(3, 2), torch.ones(4, 2)), {"a": torch.ones(3), "b": torch.tensor(1.0)}, {}, "text"],
)
def test_what_flows_has_its_samples_first(x: Any) -> None:
    for net in (
        wye.When(True, nn.Identity()),
        wye.Repeat(nn.Identity(), 1),
        wye.While(True, nn.Identity(), max_steps=1),
    ):
        with pytest.raises(wye.FlowError, match="the value that flows"):
            net(x)
