"""A Join turned into a graph, by torch.compile without a break and by torch.export; its numbers can still be set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye
from tests.unit.torch.plain import assert_same, built, by_hand, data, tensor


class Counted:
    """A backend that counts how often something is compiled; a graph of 0-dim buffers may come twice at first."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        self.graphs += 1
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)


@pytest.fixture
def backend() -> Iterator[Counted]:
    torch._dynamo.reset()
    yield Counted()
    torch._dynamo.reset()


def test_compiled_it_is_the_same(backend: Counted) -> None:
    join, plain = built(), by_hand()
    join.compile(fullgraph=True, backend=backend)
    assert_same(join, plain)
    assert backend.graphs > 0


def test_numbers_set_later_need_no_compilation(backend: Counted) -> None:
    join, plain, x = built(), by_hand(), data()
    compiled = torch.compile(join, fullgraph=True, backend=backend)
    compiled(x)
    backend.graphs = 0
    for gain in (0.5, 0.5, -3.0, 2, True, 1e-9):
        join.gain = plain.gain = gain
        join.advance()
        plain.warm = join.warm
        assert_close(compiled(x), plain(x))
        assert_close(join(x), plain(x))
    assert backend.graphs == 0


def test_a_switched_formula_and_a_replaced_part_take_effect(backend: Counted) -> None:
    join, x = built(), data()
    compiled = torch.compile(join, fullgraph=True, backend=backend)
    compiled(x)
    join.formula = "gain * a(x) * b(x)"
    assert_close(compiled(x), join.gain * join.a(x) * join.b(x))
    join.a = nn.Sequential(nn.Linear(4, 3).double(), nn.Tanh())
    assert_close(compiled(x), join.gain * join.a(x) * join.b(x))
    assert_close(compiled(x), join(x))


MASKED = "mean(gain * x * mask) + cross_entropy(x, label) + gain * mean(label / 2)"


def masked() -> tuple[Tensor, Tensor, Tensor]:
    return data(), tensor(1, 6, 4) > 0, torch.arange(6) % 4


def masked_by_hand(gain: float, x: Tensor, mask: Tensor, label: Tensor) -> Tensor:
    return (gain * x * mask).mean() + nn.functional.cross_entropy(x, label) + gain * (label.double() / 2).mean()


def test_compiled_with_labels_and_masks(backend: Counted) -> None:
    join = wye.Join(MASKED, gain=0.5)
    compiled = torch.compile(join, fullgraph=True, backend=backend)
    compiled(*masked())
    backend.graphs = 0
    for gain in (0.5, 0.25, 3.0):
        join.gain = gain
        assert_close(compiled(*masked()), masked_by_hand(gain, *masked()))
        assert_close(join(*masked()), masked_by_hand(gain, *masked()))
    assert backend.graphs == 0


def test_compiled_with_a_number_as_input(backend: Counted) -> None:
    join = wye.Join("gain * x * weight", gain=0.5)
    compiled = torch.compile(join, fullgraph=True, backend=backend)
    for weight in (1.0, 2.0, 3.5):
        assert_close(compiled(data(), weight), data() * 0.5 * weight)
    join.gain = 4.0
    assert_close(compiled(data(), 3.5), data() * 14)


class Memory(nn.Module):
    """Returns a tensor and a dict, as recurrent and pretrained networks do."""

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return x.cumsum(1), {"last": x.mean(1)}


def test_compiled_with_items_of_parts(backend: Counted) -> None:
    join = wye.Join('out, state = net(x)\nlast(out, axis=1) * gain + state["last"]', net=Memory(), gain=0.5)
    x = torch.randn(2, 5, 4)
    wanted = x.sum(1) * 0.5 + x.mean(1)
    assert_close(torch.compile(join, fullgraph=True, backend=backend)(x), wanted)


ATTENTION = """q[b, i, d] = a(x)
k[b, j, d] = c(x)
out[b, i, d] = sum(softmax(gain * sum(q * k, d), j) * k, j)
out"""


def test_compiled_named_axes_and_products(backend: Counted) -> None:
    join = wye.Join(ATTENTION, a=linear(), c=linear(), gain=0.5)
    compiled = torch.compile(join, fullgraph=True, backend=backend, dynamic=True)
    compiled(tensor(1, 2, 5, 4))
    backend.graphs = 0
    for gain, rows in ((0.5, 2), (2.0, 2), (1.0, 7)):
        join.gain, x = gain, tensor(rows, rows, 5, 4)
        q, k = join.a(x), join.c(x)
        assert_close(compiled(x), torch.softmax(gain * q @ k.mT, -1) @ k)
    assert backend.graphs == 0


def linear() -> nn.Module:
    return nn.Linear(4, 3).double()


@pytest.mark.parametrize("strict", [False, True])
def test_exported_with_any_number_of_rows(strict: bool) -> None:
    join, plain = built(), by_hand()
    join.advance()
    plain.warm = 0.25
    program = torch.export.export(join, (data(),), dynamic_shapes=({0: torch.export.Dim("rows")},), strict=strict)
    exported = program.module()
    for rows in (6, 2, 11):
        assert_close(exported(data(rows, rows)), plain(data(rows, rows)))


def test_exported_numbers_stay_numbers_that_can_be_set() -> None:
    join, plain = built(), by_hand()
    program = torch.export.export(join, (data(),))
    exported = program.module()
    assert set(program.graph_signature.buffers) >= {"gain", "warm"}
    plain.gain, plain.warm = 3.0, 0.75
    state = exported.state_dict()
    state["gain"].fill_(3.0)
    state["warm"].fill_(0.75)
    assert_close(exported(data()), plain(data()))
    assert_close(join(data()), by_hand()(data()))


def test_exported_with_labels_and_masks() -> None:
    join = wye.Join(MASKED, gain=0.5)
    exported = torch.export.export(join, masked()).module()
    exported.state_dict()["gain"].fill_(2.0)
    assert_close(exported(*masked()), masked_by_hand(2.0, *masked()))


def test_misfits_are_refused_when_captured_too(backend: Counted) -> None:
    join = wye.Join("x - y")
    with pytest.raises(Exception, match=r"x - y"):
        torch.compile(join, fullgraph=True, backend=backend)(torch.ones(4, 1), torch.ones(4))
    with pytest.raises(wye.ShapeError, match="would broadcast to something larger than both"):
        torch.export.export(join, (torch.ones(4, 1), torch.ones(4)), strict=False)
