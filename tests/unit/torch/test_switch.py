"""Switch: each sample on the branch of its index, against a loop over samples written by hand."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye

X = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
KIND = torch.tensor([0, 2, 1, 0, 2, 2])


def linears(count: int = 3) -> list[nn.Linear]:
    return [nn.Linear(3, 2).double() for _ in range(count)]


def by_hand(layers: list[Any], x: Tensor, kinds: Tensor) -> Tensor:
    return torch.stack([row if layers[k] is None else layers[k](row[None])[0] for row, k in zip(x, kinds, strict=True)])


def counts(net: Any) -> dict[str, tuple[int, int]]:
    return {path: (count.calls, count.samples) for path, count in net.paths.items()}


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.float32])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_each_sample_runs_its_branch(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    layers = linears()
    net = wye.Switch("kind", *layers)
    torch.testing.assert_close(net(X, kind=KIND.to(dtype).reshape(shape)), by_hand(layers, X, KIND))
    assert counts(net) == {"0": (1, 2), "1": (1, 1), "2": (1, 3)}


def test_branches_are_called_once_on_their_samples_in_order() -> None:
    seen: list[tuple[str, list[float]]] = []

    def log(name: str) -> Any:
        def branch(x: Tensor) -> Tensor:
            seen.append((name, x[:, 0].tolist()))
            return x

        return branch

    net = wye.Switch("kind", log("a"), log("b"), log("c"), log("d"))
    net(torch.arange(6.0)[:, None], kind=torch.tensor([3, 1, 3, 0, 1, 3]))
    assert seen == [("a", [3.0]), ("b", [1.0, 4.0]), ("d", [0.0, 2.0, 5.0])]


@pytest.mark.parametrize("index", [1, 1.0, True, torch.tensor(1), torch.tensor(1.0)])
def test_one_index_for_the_batch(index: Any) -> None:
    layers = linears()
    net = wye.Switch("kind", *layers)
    assert torch.equal(net(X, kind=index), layers[1](X))
    assert counts(net) == {"0": (0, 0), "1": (1, 6), "2": (0, 0)}


def test_what_decides() -> None:
    layers: list[Any] = [*linears(2)]
    large = (X.norm(dim=1) > 1.5).long()
    assert 0 < large.sum() < 6
    expected = by_hand(layers, X, large)
    for index in (
        "norm(x) > 1.5",
        lambda x: x.norm(dim=1) > 1.5,
        lambda x: (x.norm(dim=1) > 1.5).long()[:, None],
        "far(x) > bound",
    ):
        parts = {"far": lambda x: x.norm(dim=1), "bound": 1.5} if index == "far(x) > bound" else {}
        torch.testing.assert_close(wye.Switch(index, *layers, **parts)(X), expected)
    whole = int(X.sum() > 0)
    torch.testing.assert_close(wye.Switch("sum(x) > 0", *layers, per="batch")(X), layers[whole](X))
    assert torch.equal(wye.Switch(1, *layers)(X), layers[1](X))


def test_an_index_is_assigned_while_it_runs() -> None:
    layers = linears()
    net = wye.Switch("kind", *layers)
    net.index = "2 - kind"
    torch.testing.assert_close(net(X, kind=KIND), by_hand(list(layers), X, 2 - KIND))
    assert str(net.index) == "2 - kind"
    net.index = 0
    assert torch.equal(net(X), layers[0](X))
    with pytest.raises(wye.InputError, match="no side input"):
        net.index = "other"
    assert net.index == 0


def test_gradients_are_those_of_the_loop_and_none_where_nobody_went() -> None:
    layers = linears(4)
    twins = copy.deepcopy(layers)
    net, kinds = wye.Switch("kind", *layers), torch.tensor([0, 2, 0, 0, 2, 2])
    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    net(x, kind=kinds).square().sum().backward()
    by_hand(list(twins), y, kinds).square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    for place, (layer, twin) in enumerate(zip(layers, twins, strict=True)):
        if place in (1, 3):
            assert layer.weight.grad is None
        else:
            torch.testing.assert_close(layer.weight.grad, twin.weight.grad)


def test_none_lets_samples_pass_and_sides_travel() -> None:
    def scaled(x: Tensor, gain: Tensor) -> Tensor:
        assert len(gain) == len(x)
        return x * gain[:, None]

    gain = torch.arange(6.0, dtype=torch.float64)
    net = wye.Switch("kind", scaled, None, "x[b, d] + table[0, d]", shared=("table",))
    value = net(X, kind=KIND, gain=gain, table=torch.ones(2, 3, dtype=torch.float64))
    rows = [x * g if k == 0 else x if k == 1 else x + 1 for x, g, k in zip(X, gain, KIND, strict=True)]
    torch.testing.assert_close(value, torch.stack(rows))


def test_nested_values_flow() -> None:
    def swapped(value: dict[str, Any]) -> dict[str, Any]:
        return {"a": value["a"] + 1, "b": (value["b"][0] * 2, value["b"][1])}

    net = wye.Switch("kind", swapped, None)
    kinds = torch.tensor([0, 1, 0, 1, 1, 1])
    value = net({"a": X, "b": (X[:, 0], X > 0)}, kind=kinds)
    first = (kinds == 0).double()
    torch.testing.assert_close(value["a"], X + first[:, None])
    torch.testing.assert_close(value["b"][0], X[:, 0] * (1 + first))
    assert torch.equal(value["b"][1], X > 0)


def test_a_half_precision_branch_keeps_the_dtype_that_flows() -> None:
    x = X.float()
    net = wye.Switch("kind", lambda x: (2 * x).bfloat16(), "x + 1", None)
    value = net(x, kind=KIND)
    assert value.dtype == torch.float32
    doubled = (2 * x).bfloat16().float()
    assert torch.equal(value, torch.stack([(doubled[i], x[i] + 1, x[i])[k] for i, k in enumerate(KIND.tolist())]))


def test_an_empty_batch_has_the_shape_of_the_branches() -> None:
    assert wye.Switch("kind", *linears())(X[:0], kind=KIND[:0]).shape == (0, 2)
    assert wye.Switch("kind", "x", None)(X[:0], kind=KIND[:0]).shape == (0, 3)


def test_a_die_picks_one_branch_for_the_batch() -> None:
    torch.manual_seed(0)
    net = wye.Switch("die(0, 2)", "x + 1", "x + 2", "x + 3", eval=2)
    seen: set[float] = set()
    for _ in range(30):
        added = net(X) - X
        assert added.std() < 1e-12
        seen.add(round(float(added[0, 0])))
        wye.tick(net)
    assert seen == {1, 2, 3}
    torch.testing.assert_close(net.eval()(X), X + 3)


def test_it_is_saved_copied_and_printed_as_what_it_is() -> None:
    net = wye.Switch("kind", nn.Linear(3, 3), wye.Chain(deep=nn.Linear(3, 3)), None)
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.deep.weight", "1.deep.bias"]
    assert repr(net).splitlines()[:2] == ["Switch(", "  'kind'"]
    assert net.line == "Switch('kind')"
    x = X.float()
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    fresh = wye.Switch("kind", nn.Linear(3, 3), wye.Chain(deep=nn.Linear(3, 3)), None)
    fresh.load_state_dict(torch.load(file))
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), fresh):
        assert torch.equal(other(x, kind=KIND), net(x, kind=KIND))
    assert net.double()(X, kind=KIND).dtype == torch.float64
    meta = wye.Switch("kind", nn.Linear(3, 3, device="meta"), None).to_empty(device="cpu")
    assert meta(x, kind=KIND * 0).shape == (6, 3)
