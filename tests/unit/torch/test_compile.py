"""What torch.compile makes of formulas with named axes: the graph of the module written by hand, and no other.

Compared are the names of the ATen operators of the graphs that AOTAutograd hands to its compiler, forward and backward
each, in their order. Left out are getitem, placeholders and outputs, and the operators that move no entry: views.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from functorch.compile import make_boxed_func
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch.testing import assert_close

import wye
from wye.errors import ShapeError

VIEWS = frozenset(
    "view _unsafe_view reshape permute transpose t unsqueeze squeeze expand diagonal select alias detach".split()
)


@dataclass
class Recorded:
    """A backend that keeps the operators of every graph and runs it as it is."""

    graphs: list[list[str]] = field(default_factory=list[list[str]])

    def backend(self) -> Callable[..., Any]:
        return aot_autograd(fw_compiler=self.record, bw_compiler=self.record)

    def record(self, graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        called = [node.target for node in graph.graph.nodes if node.op == "call_function"]
        names = [str(getattr(target, "overloadpacket", target)).removeprefix("aten.") for target in called]
        self.graphs.append([name for name in names if name not in VIEWS and "getitem" not in name])
        return make_boxed_func(graph.forward)


class ByHand(nn.Module):
    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, **inputs: Tensor) -> Tensor:
        return self.function(**inputs)


def unit(x: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / torch.where(length == 0, 1, length)


def weighted(w: Tensor, pred: Tensor, label: Tensor) -> Tensor:
    return (w * ((pred - label) ** 2).mean(1)).mean()


def masked(mask: Tensor, image: Tensor, picture: Tensor) -> Tensor:
    return (mask * ((image - picture) ** 2).mean(0)).mean()


def dice(p: Tensor, g: Tensor) -> Tensor:
    present, labelled = p.sum((2, 3)), g.sum((2, 3))
    return 1 - ((2 * (p * g).sum((2, 3)) + 1) / (present + labelled + 1)).mean()


def divergence(target: Tensor, logits: Tensor) -> Tensor:
    return (target * (target.log() - torch.log_softmax(logits, 1))).sum(1).mean()


def info_nce(a: Tensor, b: Tensor) -> Tensor:
    return -torch.log_softmax(unit(a) @ unit(b).T * 10.0, 1).diagonal().mean()


def standard(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / x.var(0, correction=0).sqrt()


def barlow(a: Tensor, b: Tensor) -> Tensor:
    c = standard(a).T @ standard(b) * (1 / len(a))
    on = c.diagonal()
    return ((on - 1) ** 2).sum() + 0.005 * ((c**2).sum() - (on**2).sum())


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q @ k.mT * (1 / math.sqrt(q.shape[-1])), -1) @ v


def data(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.rand(*shape, dtype=torch.float64)


def learned(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.rand(*shape, dtype=torch.float64).requires_grad_()


FORMULAS: dict[str, tuple[str, Callable[..., Tensor], dict[str, Callable[[], Tensor]]]] = {
    "weighted MSE": (
        "mean(w[b] * (pred[b, k] - label[b, k]) ** 2)",
        weighted,
        {"w": data(6), "pred": learned(6, 4), "label": data(6, 4)},
    ),
    "masked pixels": (
        "mean(mask[h, w] * (image[b, h, w] - picture[b, h, w]) ** 2)",
        masked,
        {"mask": data(4, 5), "image": learned(3, 4, 5), "picture": data(3, 4, 5)},
    ),
    "dice": (
        "1 - mean((2 * sum(p[b, c, h, w] * g[b, c, h, w], h, w) + 1)"
        " / (sum(p[b, c, h, w], h, w) + sum(g[b, c, h, w], h, w) + 1))",
        dice,
        {"p": learned(2, 3, 4, 5), "g": data(2, 3, 4, 5)},
    ),
    "KL": (
        "mean(sum(target[b, k] * (log(target[b, k]) - log_softmax(logits[b, k], k)), k))",
        divergence,
        {"target": data(3, 4), "logits": learned(3, 4)},
    ),
    "InfoNCE": (
        "s[i, j] = sum(unit(a[i, d], d) * unit(b[j, d], d), d) / 0.1\n-mean(log_softmax(s, j)[i, i])",
        info_nce,
        {"a": learned(4, 3), "b": learned(4, 3)},
    ),
    "Barlow Twins": (
        "za = (a[n, i] - mean(a[n, i], n)) / sqrt(var(a[n, i], n))\n"
        "zb = (b[n, j] - mean(b[n, j], n)) / sqrt(var(b[n, j], n))\n"
        "c[i, j] = mean(za * zb, n)\n"
        "on = c[i, i]\n"
        "sum((on - 1) ** 2) + 0.005 * (sum(c ** 2) - sum(on ** 2))",
        barlow,
        {"a": learned(5, 3), "b": learned(5, 3)},
    ),
    "attention": (
        "s[b, h, i, j] = sum(q[b, h, i, d] * k[b, h, j, d], d) / sqrt(size(d))\n"
        "out[b, h, i, d] = sum(softmax(s, j) * v[b, h, j, d], j)\nout",
        attention,
        {"q": learned(2, 3, 4, 5), "k": learned(2, 3, 4, 5), "v": learned(2, 3, 4, 5)},
    ),
}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled(module: nn.Module, inputs: dict[str, Tensor]) -> tuple[list[list[str]], list[Tensor]]:
    """The operators of forward and backward, and the value with the gradients."""
    recorded = Recorded()
    value = torch.compile(module, fullgraph=True, backend=recorded.backend())(**inputs)
    leaves = [one for one in inputs.values() if one.requires_grad]
    return recorded.graphs, [value, *torch.autograd.grad(value.sum(), leaves)]


@pytest.mark.parametrize("name", FORMULAS)
def test_the_graph_is_that_of_the_module_written_by_hand(name: str) -> None:
    formula, by_hand, make = FORMULAS[name]
    inputs = {key: one() for key, one in make.items()}
    graphs, results = compiled(wye.Join(formula), inputs)
    expected_graphs, expected = compiled(ByHand(by_hand), inputs)
    assert graphs == expected_graphs
    assert len(graphs) == 2
    assert_close(results, expected)


@pytest.mark.parametrize("name", FORMULAS)
def test_eager_and_compiled_agree(name: str) -> None:
    formula, _, make = FORMULAS[name]
    inputs = {key: one() for key, one in make.items()}
    join = wye.Join(formula)
    _, results = compiled(join, inputs)
    assert_close(results[0], join(**inputs))


def test_another_batch_size_is_compiled_once_more_at_most() -> None:
    formula = FORMULAS["weighted MSE"][0]
    recorded = Recorded()
    join = torch.compile(wye.Join(formula), fullgraph=True, backend=recorded.backend())
    for size in range(2, 20):
        inputs = {"w": torch.rand(size), "pred": torch.rand(size, 4), "label": torch.rand(size, 4)}
        assert_close(join(**inputs), weighted(**inputs))
    assert len(recorded.graphs) <= 2


def test_sizes_that_do_not_fit_are_refused_in_the_words_of_the_formula() -> None:
    join = torch.compile(wye.Join(FORMULAS["weighted MSE"][0]), backend="eager")
    with pytest.raises(ShapeError, match="two sizes"):
        join(w=torch.rand(3), pred=torch.rand(2, 4), label=torch.rand(2, 4))
