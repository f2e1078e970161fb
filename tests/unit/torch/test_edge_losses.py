"""The losses over edges equal two plain loops over the nodes, whatever the option, and so do their gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import wye
from tests.unit.plain_edges import plain_cosine, plain_distance
from wye.torch import edge_losses

INDEX = [[0, 1, 2, 0, 3, 3, 2], [1, 2, 0, 1, 3, 4, 1]]
NEGATIVE = [[0, 1, 5, 4], [4, 3, 2, 5]]
PAIRS, APART = (list(zip(*index, strict=True)) for index in (INDEX, NEGATIVE))
COSINE = [
    {"reduction": reduction, "push": push, "margin": margin}
    for reduction, push, margin in itertools.product(("sum", "mean"), (0.0, 0.3), (0.0, -0.4))
]
DISTANCE = [{"reduction": reduction, "margin": margin} for reduction in ("sum", "mean") for margin in (1.0, 3.0)]
OPTIONS = [*(("cosine", one) for one in COSINE), *(("distance", one) for one in DISTANCE)]
LOSSES: dict[str, Callable[..., Tensor]] = {
    "cosine": wye.losses.edge_cosine_loss,
    "distance": wye.losses.edge_distance_loss,
}
CLOSE: dict[str, Any] = {"fast_mode": True, "rtol": 1e-5, "atol": 1e-6}
"""Along drawn directions of all values at once."""
PLAIN = {"cosine": plain_cosine, "distance": plain_distance}


def rows() -> Tensor:
    return torch.randn(6, 4, dtype=torch.float64, requires_grad=True)


def graph(weight: Any = None) -> wye.Edges:
    return wye.Edges(INDEX, weight, num_nodes=6)


def wanted(name: str, x: Tensor, weight: Tensor | None, apart: bool, options: dict[str, Any]) -> float:
    given = {key: value for key, value in options.items() if key != "reduction"}
    weights = None if weight is None else weight.tolist()
    negatives = APART if apart else ()
    return PLAIN[name](x.tolist(), PAIRS, weights, negatives, options["reduction"] == "mean", **given)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_they_are_as_plain_loops_have_them(name: str, options: dict[str, Any], weighted: bool, apart: bool) -> None:
    x = rows()
    weight = torch.rand(7, dtype=torch.float64) - 0.3 if weighted else None
    negatives = wye.Edges(NEGATIVE, num_nodes=6) if apart else None
    found = LOSSES[name](x, graph(weight), negatives=negatives, **options)
    told = wanted(name, x, weight, apart, options)
    assert found.shape == ()
    assert abs(float(found.detach()) - told) < 1e-12
    (slope,) = torch.autograd.grad(found, x)
    assert slope.shape == x.shape
    step, plain = 1e-6, x.detach().clone()
    for i, k in ((0, 0), (3, 2), (5, 3)):
        plain[i, k] += step
        above = wanted(name, plain, weight, apart, options)
        plain[i, k] -= 2 * step
        below = wanted(name, plain, weight, apart, options)
        plain[i, k] += step
        assert abs(float(slope[i, k]) - (above - below) / (2 * step)) < 1e-7
    array = LOSSES[name](x.detach().numpy(), graph(weight), negatives=negatives, **options)
    assert isinstance(array, np.float64)
    assert abs(array - told) < 1e-12


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_first_and_second_derivatives(name: str, options: dict[str, Any], apart: bool) -> None:
    x, weight = rows(), (torch.rand(7, dtype=torch.float64) - 0.3).requires_grad_()
    negatives = wye.Edges(NEGATIVE, num_nodes=6) if apart else None

    def both(x: Tensor, weight: Tensor) -> Tensor:
        return LOSSES[name](x, graph(weight), negatives=negatives, **options)

    def of_rows(x: Tensor) -> Tensor:
        return LOSSES[name](x, graph(), negatives=negatives, **options)

    def of_weights(weight: Tensor) -> Tensor:
        return LOSSES[name](x.detach(), graph(weight), negatives=negatives, **options)

    for function, given in ((both, (x, weight)), (of_rows, (x,)), (of_weights, (weight,))):
        assert gradcheck(function, given, **CLOSE)
        if function is not of_weights:  # a sum of its weights
            assert gradgradcheck(function, given, **CLOSE)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("name", LOSSES)
def test_negatives_may_be_weighted_and_their_weights_learn(name: str, reduction: str) -> None:
    x, weight = rows(), torch.tensor([0.5, -1.0, 2.0, 0.25], dtype=torch.float64, requires_grad=True)
    margin = {"cosine": -0.9, "distance": 9.0}[name]  # all count

    def both(x: Tensor, weight: Tensor) -> Tensor:
        negatives = wye.Edges(NEGATIVE, weight, num_nodes=6)
        return LOSSES[name](x, graph(), negatives=negatives, margin=margin, reduction=reduction)

    alone = [wanted(name, x, None, False, {"reduction": reduction})]
    for pair, share in zip(APART, weight.tolist(), strict=True):
        of_pair = PLAIN[name](x.tolist(), [], None, [pair], margin=margin)
        alone.append(share * of_pair / (4 if reduction == "mean" else 1))
    assert abs(float(both(x, weight).detach()) - sum(alone)) < 1e-12
    assert gradcheck(both, (x, weight), **CLOSE)
    assert gradgradcheck(both, (x, weight), **CLOSE)


def test_dense_by_named_axes_is_the_same() -> None:
    x, adj = rows(), (torch.rand(6, 6, dtype=torch.float64) - 0.5).relu()
    dense = "-sum(adj[i, j] * unit(x[i, d], d) * unit(x[j, d], d))"
    assert torch.allclose(
        wye.evaluate(dense, x=x, adj=adj),
        wye.losses.edge_cosine_loss(x, wye.Edges.from_dense(adj, weighted=True)),
        atol=1e-13,
    )


def test_one_way_edges_count_once_and_both_ways_twice() -> None:
    x = rows().detach()
    one, both = wye.Edges([[0], [1]], num_nodes=6), wye.Edges([[0, 1], [1, 0]], num_nodes=6)
    assert torch.allclose(2 * LOSSES["cosine"](x, one), LOSSES["cosine"](x, both))
    loop = wye.Edges([[2], [2]], num_nodes=6)
    assert torch.allclose(LOSSES["cosine"](x, loop), -torch.ones((), dtype=torch.float64))
    assert LOSSES["distance"](x, loop) == 0


# nothing


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("options", [{}, {"reduction": "mean"}])
def test_of_no_edges_it_is_0_and_the_gradient_is_attached(name: str, options: dict[str, Any]) -> None:
    for shape in ((6, 4), (6, 0), (0, 4)):
        x = torch.randn(shape, requires_grad=True)
        found = LOSSES[name](x, wye.Edges([[], []], num_nodes=shape[0]), **options)
        assert found == 0
        assert not torch.signbit(found)
        assert found.requires_grad
        found.backward()
        assert x.grad is not None
        assert not x.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_rows_without_features_count_nothing(name: str) -> None:
    x = torch.zeros(6, 0, requires_grad=True)
    for weight in (None, torch.rand(7, requires_grad=True)):
        found = LOSSES[name](x, graph(weight), negatives=wye.Edges(NEGATIVE, num_nodes=6), margin=0.0)
        assert found == 0
        found.backward()


@pytest.mark.parametrize("push", [0.0, 0.5])
def test_zero_rows_count_nothing_and_have_no_gradient(push: float) -> None:
    x = rows().detach()
    x[1] = 0
    x.requires_grad_()
    negatives = wye.Edges(NEGATIVE, num_nodes=6)
    found = LOSSES["cosine"](x, graph(), negatives=negatives, push=push, margin=-1.0)
    assert abs(float(found.detach()) - plain_cosine(x.tolist(), PAIRS, None, APART, push=push, margin=-1.0)) < 1e-12
    (slope,) = torch.autograd.grad(found, x, create_graph=True)
    assert not slope[1].any()
    assert slope[0].any()
    (again,) = torch.autograd.grad(slope.square().sum(), x)
    assert again.isfinite().all()
    nothing = torch.zeros(6, 4, requires_grad=True)
    LOSSES["cosine"](nothing, graph(), push=push).backward()
    assert nothing.grad is not None
    assert not nothing.grad.any()


def test_equal_rows_have_no_distance_and_no_gradient() -> None:
    x = torch.ones(6, 4, requires_grad=True)
    found = LOSSES["distance"](x, graph(), negatives=wye.Edges(NEGATIVE, num_nodes=6), margin=2.0)
    assert found == 16
    found.backward()
    assert x.grad is not None
    assert not x.grad.any()


# dtypes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", LOSSES)
def test_16_bits_are_computed_in_32(name: str, dtype: torch.dtype) -> None:
    x = (10 + torch.randn(500, 4)).to(dtype).requires_grad_()
    many = wye.Edges(torch.randint(500, (2, 70_000)), num_nodes=500)
    found = LOSSES[name](x, many)
    assert found.dtype is torch.float32
    assert abs(found) > 65_504  # the last number of float16
    assert torch.allclose(found.double(), LOSSES[name](x.detach().double(), many), rtol=1e-5)
    found.backward()
    assert x.grad is not None
    assert x.grad.dtype is dtype


@pytest.mark.parametrize("weight", [torch.float32, torch.float64, torch.int64])
def test_weights_take_the_dtype_of_the_rows(weight: torch.dtype) -> None:
    x, given = rows().detach().float(), torch.arange(7).to(weight)
    found = LOSSES["cosine"](x, graph(given))
    assert found.dtype is torch.float32
    assert abs(float(found) - plain_cosine(x.tolist(), PAIRS, given.tolist())) < 1e-5


def test_under_autocast_nothing_is_rounded() -> None:
    x = torch.randn(6, 64)
    with torch.autocast("cpu", torch.bfloat16):
        assert LOSSES["cosine"](x, graph(), push=0.1) == LOSSES["cosine"](x, graph(), push=0.1)
        inside = LOSSES["cosine"](x, graph())
    assert inside == LOSSES["cosine"](x, graph())


def test_small_distances_of_distant_rows_do_not_cancel() -> None:
    x = 1000 + 1e-2 * torch.randn(6, 4)
    exact = plain_distance(x.double().tolist(), PAIRS)
    assert abs(float(LOSSES["distance"](x, graph())) - exact) < 1e-6 * exact
    x[3:] += 500  # two clusters: no centre helps
    exact = plain_distance(x.double().tolist(), [(0, 1), (3, 4)])
    found = LOSSES["distance"](x, wye.Edges([[0, 3], [1, 4]], num_nodes=6))
    assert abs(float(found) - exact) < 1e-4 * exact


# memory


def peak(run: Callable[[], Tensor], x: Tensor) -> int:
    """The most bytes that torch held at once beside what was there."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run().backward()
        x.grad = None
    assert profile.profiler is not None
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(itertools.accumulate(event.nbytes() for event in sorted(events, key=lambda one: one.start_ns())))


@pytest.mark.parametrize("text", ["edge_cosine_loss(x, graph, push=0.1)", "edge_distance_loss(x, graph)"])
def test_nothing_is_as_large_as_edges_times_features_or_nodes_times_nodes(text: str) -> None:
    """Facts: a gather of edges takes memory for edges times features, the product takes rows of nodes."""
    x = torch.randn(2000, 64, requires_grad=True)
    join = wye.Join(text, graph=wye.Edges(torch.randint(2000, (2, 50_000)), torch.rand(50_000)))
    join(x).backward()
    nodes, edges, features = 2000, 50_000, 64
    assert peak(lambda: join(x), x) < 0.6 * min(4 * edges * features, 4 * nodes * nodes)


@pytest.mark.parametrize("text", ["edge_cosine_loss(x, graph, push=0.1)", "edge_distance_loss(x, graph)"])
def test_one_product_gives_value_and_gradient(text: str) -> None:
    """Facts: `embedding_bag` is the sparse product that gives both; gathers of edges take 40 times as long."""
    x, join = rows(), wye.Join(text, graph=graph(torch.rand(7)))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        join(x).backward()
    calls = {event.key: event.count for event in profile.key_averages()}
    assert sum(count for key, count in calls.items() if "embedding_bag" in key and "aten::_" in key) == 1
    assert not any("index" in key and "backward" in key for key in calls)


def test_gradients_of_weights_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = rows(), torch.rand(7, dtype=torch.float64, requires_grad=True)
    whole = [torch.autograd.grad(LOSSES[name](x, graph(weight)), weight)[0] for name in LOSSES]
    monkeypatch.setattr(edge_losses, "PIECE", 8)
    parts = [torch.autograd.grad(LOSSES[name](x, graph(weight)), weight)[0] for name in LOSSES]
    assert all(torch.equal(one, other) for one, other in zip(whole, parts, strict=True))


# who else looks


@pytest.mark.filterwarnings("ignore:.*should not be instantiated")  # which torch's own compiler does
@pytest.mark.parametrize("text", ["edge_cosine_loss(x, graph, push=0.2)", "edge_distance_loss(x, graph, n, margin=2)"])
def test_a_captured_graph_has_the_same_value_and_gradient(text: str) -> None:
    parts = {"graph": graph(torch.rand(7)), "n": wye.Edges(NEGATIVE, num_nodes=6)}
    join = wye.Join(text, **{name: part for name, part in parts.items() if f" {name}" in text})
    run = torch.compile(join, backend="aot_eager", fullgraph=True)
    x = rows().detach().float().requires_grad_()
    found = torch.autograd.grad(join(x), x)[0], torch.autograd.grad(run(x), x)[0]
    assert torch.allclose(*found, atol=1e-6)
    assert torch.allclose(join(x), run(x), atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated")
def test_a_captured_graph_takes_edges_with_the_call() -> None:
    x = rows().detach().float()
    join = wye.Join("edge_cosine_loss(x, graph, others, push=0.2, reduction='mean')")
    run = torch.compile(join, backend="aot_eager", fullgraph=True)
    new, others = graph(torch.rand(7)), wye.Edges(NEGATIVE, num_nodes=6)
    found = run(x, new, others)  # before any call in eager has sorted them
    assert torch.allclose(found, join(x, new, others), atol=1e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # which torch's forward mode uses
def test_the_transforms_of_torch_see_plain_operations() -> None:
    x, tangent = rows().detach(), rows().detach()

    def loss(x: Tensor) -> Tensor:
        return LOSSES["cosine"](x, graph(), push=0.1)

    (slope,) = torch.autograd.grad(loss(x.requires_grad_()), x)
    x = x.detach()
    assert torch.allclose(torch.func.grad(loss)(x), slope)
    _, along = torch.func.jvp(loss, (x,), (tangent,))
    assert torch.allclose(along, (slope * tangent).sum())
    assert torch.func.hessian(loss)(x).isfinite().all()


def test_the_terms_of_an_objective() -> None:
    x = rows()
    loss = wye.Objective("edge_cosine_loss(x, graph) + 0.5 * edge_distance_loss(x, graph)", graph=graph())
    total, terms = loss(x)
    wanted = plain_cosine(x.tolist(), PAIRS), 0.5 * plain_distance(x.tolist(), PAIRS)
    assert list(terms) == ["edge_cosine_loss(x, graph)", "0.5 * edge_distance_loss(x, graph)"]
    assert [float(term) for term in terms.values()] == pytest.approx(wanted)
    assert float(total.detach()) == pytest.approx(sum(wanted))
