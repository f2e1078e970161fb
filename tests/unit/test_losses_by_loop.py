"""The losses that torch has not, against plain loops over numbers; gradients against those of the loops' numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye
from tests.unit.loss_samples import SAMPLES

Entry = Callable[..., float]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def log_sigmoid(x: float) -> float:
    return -math.log(1 + math.exp(-x))


def focal(x: float, y: float, gamma: float = 2.0, alpha: float | None = None) -> float:
    yes, no = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    right = yes * (1 - sigmoid(x)) ** gamma * -log_sigmoid(x)
    wrong = no * sigmoid(x) ** gamma * -log_sigmoid(-x)
    return y * right + (1 - y) * wrong


def pinball(pred: float, target: float, q: float = 0.5) -> float:
    return q * (target - pred) if target > pred else (1 - q) * (pred - target)


ENTRIES: dict[str, Entry] = {
    "log_cosh": lambda x, y: math.log(math.cosh(x - y)),
    "quantile": pinball,
    "focal": focal,
    "hinge": lambda x, y, margin=1.0: max(0.0, margin - y * x),
    "squared_hinge": lambda x, y, margin=1.0: max(0.0, margin - y * x) ** 2,
}
SETTINGS: list[tuple[str, dict[str, float]]] = [
    ("log_cosh", {}),
    ("quantile", {}),
    ("quantile", {"q": 0.9}),
    ("focal", {}),
    ("focal", {"gamma": 0}),
    ("focal", {"gamma": 0.5, "alpha": 0.25}),
    ("hinge", {}),
    ("hinge", {"margin": 0.25}),
    ("squared_hinge", {}),
    ("squared_hinge", {"margin": 2}),
]


def of_entries(name: str) -> tuple[Tensor, Tensor]:
    x = torch.randn(5, 3, dtype=torch.float64)
    if name in ("hinge", "squared_hinge"):
        return x, torch.randint(0, 2, (5, 3)) * 2 - 1
    return x, torch.randint(0, 2, (5, 3)) if name == "focal" else torch.randn(5, 3, dtype=torch.float64)


def reduced(losses: Sequence[float], reduction: str) -> Any:
    return {"none": losses, "sum": sum(losses), "mean": sum(losses) / len(losses)}[reduction]


def close(found: Tensor, wanted: Any, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(
        found.detach().flatten(),
        torch.as_tensor(wanted, dtype=found.dtype).flatten(),
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_each_entry(name: str, settings: dict[str, float], reduction: str) -> None:
    x, y = of_entries(name)
    x.requires_grad_()
    found = getattr(wye.losses, name)(x, y, **settings, reduction=reduction)
    pairs = list(zip(x.flatten().tolist(), y.flatten().tolist(), strict=True))
    close(found, reduced([ENTRIES[name](one, other, **settings) for one, other in pairs], reduction))
    step = 1e-6
    slopes = [
        (ENTRIES[name](one + step, other, **settings) - ENTRIES[name](one - step, other, **settings)) / (2 * step)
        for one, other in pairs
    ]
    share = 1 / 15 if reduction == "mean" else 1
    close(torch.autograd.grad(found.sum(), x)[0], [share * slope for slope in slopes], 1e-7)


@pytest.mark.parametrize("name", ["hinge", "squared_hinge", "margin_ranking", "cosine_embedding"])
def test_a_truth_value_is_a_sign(name: str) -> None:
    x, y = torch.randn(4, 3), torch.randn(4, 3)
    label = torch.tensor([1, -1, -1, 1])
    label = label if name == "cosine_embedding" else label[:, None].expand(4, 3)
    given = (x,) if "hinge" in name else (x, y)
    loss = getattr(wye.losses, name)
    for same in (label > 0, label.double(), label.to(torch.int8)):
        assert torch.equal(loss(*given, same), loss(*given, label))


# along one axis


def divergence(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a)


def jensen_shannon(p: Sequence[float], q: Sequence[float]) -> float:
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (divergence(p, middle) + divergence(q, middle)) / 2


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_jensen_shannon(reduction: str) -> None:
    p, q = (torch.randn(5, 4, dtype=torch.float64).softmax(-1) for _ in range(2))
    p[0], q[1] = torch.tensor([0, 0, 0.5, 0.5]), torch.tensor([0.0, 1, 0, 0])
    p.requires_grad_()
    found = wye.losses.js_divergence(p, q, reduction=reduction)
    losses = [jensen_shannon(*rows) for rows in zip(p.tolist(), q.tolist(), strict=True)]
    close(found, reduced(losses, reduction))
    close(wye.evaluate(f"js_divergence(p[i, k], q[k, i], k, reduction='{reduction}')", p=p, q=q.T), found.detach())
    slope = torch.autograd.grad(found.sum(), p)[0] * (5 if reduction == "mean" else 1)
    wanted = [
        [math.log(2 * a / (a + b)) / 2 if a else -0.5 if b else 0 for a, b in zip(*rows, strict=True)]
        for rows in zip(p.tolist(), q.tolist(), strict=True)
    ]
    close(slope, wanted)
    extreme = torch.eye(2, dtype=torch.float64)
    assert math.isclose(wye.losses.js_divergence(extreme, extreme.flip(0)), math.log(2))


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_focal_of_classes(reduction: str, gamma: float) -> None:
    logits, ids = torch.randn(5, 3, dtype=torch.float64), [0, 2, -100, 1, 1]
    losses, kept = [0.0] * 5, 0
    for place, (row, target) in enumerate(zip(logits.tolist(), ids, strict=True)):
        if target >= 0:
            p = math.exp(row[target]) / sum(map(math.exp, row))
            losses[place], kept = -((1 - p) ** gamma) * math.log(p), kept + 1
    wanted = sum(losses) / kept if reduction == "mean" else reduced(losses, reduction)
    found = wye.losses.focal_cross_entropy(logits, torch.tensor(ids), gamma=gamma, reduction=reduction)
    close(found, wanted)
    if not gamma:
        close(wye.losses.cross_entropy(logits, torch.tensor(ids), reduction=reduction), wanted)


def test_focal_of_classes_has_finite_gradients_where_the_answer_is_sure() -> None:
    for gamma in (0, 0.5, 1, 2):
        logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
        (slope,) = torch.autograd.grad(
            wye.losses.focal_cross_entropy(logits, torch.tensor([0, 0]), gamma=gamma), logits
        )
        assert slope.isfinite().all()


# regions


def dice(p: Sequence[float], t: Sequence[float], smooth: float) -> float:
    both = sum(a * b for a, b in zip(p, t, strict=True))
    below = sum(p) + sum(t) + smooth
    return 1 - (2 * both + smooth) / below if below else 0.0


def tversky(p: Sequence[float], t: Sequence[float], smooth: float, alpha: float = 0.3, beta: float = 0.7) -> float:
    both = sum(a * b for a, b in zip(p, t, strict=True))
    alarms = sum(a * (1 - b) for a, b in zip(p, t, strict=True))
    misses = sum((1 - a) * b for a, b in zip(p, t, strict=True))
    below = both + alpha * alarms + beta * misses + smooth
    return 1 - (both + smooth) / below if below else 0.0


def jaccard(p: Sequence[float], t: Sequence[float], smooth: float) -> float:
    both = sum(a * b for a, b in zip(p, t, strict=True))
    below = sum(p) + sum(t) - both + smooth
    return 1 - (both + smooth) / below if below else 0.0


REGIONS: dict[str, Callable[..., float]] = {"dice": dice, "tversky": tversky, "jaccard": jaccard}


@pytest.mark.parametrize("smooth", [0, 1, 0.25])
@pytest.mark.parametrize("name", REGIONS)
def test_regions(name: str, smooth: float) -> None:
    pred = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    target = torch.rand(2, 3, 4, 5) > 0.6
    pred[1, 2], target[1, 2] = 0, False  # a class that is nowhere, and is found nowhere
    loss = getattr(wye.losses, name)
    wanted = [
        [REGIONS[name](pred[b, c].flatten().tolist(), target[b, c].flatten().tolist(), smooth) for c in range(3)]
        for b in range(2)
    ]
    assert wanted[1][2] == 0
    found = loss(pred, target, dims=2, smooth=smooth, reduction="none")
    assert found.shape == (2, 3)
    close(found, wanted)
    close(loss(pred, target, dims=2, smooth=smooth), sum(map(sum, wanted)) / 6)
    by_name = f"{name}(p[b, c, h, w], t[b, h, w, c], h, w, smooth={smooth}, reduction='sum')"
    close(wye.evaluate(by_name, p=pred, t=target.permute(0, 2, 3, 1)), sum(map(sum, wanted)))
    whole = REGIONS[name](pred.flatten().tolist(), target.flatten().tolist(), smooth)
    close(loss(pred, target, smooth=smooth), whole)
    close(wye.evaluate(f"{name}(p[b, c, h, w], t[b, c, h, w], smooth={smooth})", p=pred, t=target), whole)
    pred.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: loss(p, target, dims=2, smooth=smooth), pred.detach().requires_grad_())


def test_tversky_counts_alarms_and_misses_apart() -> None:
    pred, target = torch.tensor([1.0, 1, 0]), torch.tensor([True, False, False])
    assert math.isclose(wye.losses.tversky(pred, target, alpha=1, beta=0, smooth=0), 0.5)
    assert wye.losses.tversky(pred, target, alpha=0, beta=1, smooth=0) == 0
    assert math.isclose(
        wye.losses.tversky(pred, target, alpha=0.5, beta=0.5, smooth=0), wye.losses.dice(pred, target, smooth=0)
    )


# where they stand


def test_in_a_condition_each_sample_is_on_its_own() -> None:
    x, y = torch.randn(6, 3), torch.randn(6, 3)
    label, w = torch.tensor([0, 1, 2, 2, 1, 0]), torch.tensor([0.5, 1.0, 2.0])
    for text, each in (
        ("huber(x, y) > 0.4", lambda i: wye.losses.huber(x[i], y[i]) > 0.4),
        ("kl_divergence(log_softmax(x), softmax(y)) > 0.4", lambda i: _divergence(x[i], y[i]) > 0.4),
        ("nll(log_softmax(x), label) > 1", lambda i: wye.losses.nll(x[i].log_softmax(-1), label[i]) > 1),
        ("dice(sigmoid(x), y > 0) > 0.4", lambda i: wye.losses.dice(x[i].sigmoid(), y[i] > 0) > 0.4),
        ("nll(log_softmax(x[k], k), label) > 1", lambda i: wye.losses.nll(x[i].log_softmax(-1), label[i]) > 1),
        ("cross_entropy(x, label, weight=w) > 1", lambda i: wye.losses.cross_entropy(x[i], label[i], weight=w) > 1),
    ):
        sides = {"y": y, "label": label, "w": w}
        read = {name: value for name, value in sides.items() if name in wye.Formula(text).names}
        net = wye.When(text, nn.Linear(3, 3), shared=("w",) if "w" in read else ())
        moved = (net(x, **read) != x).any(1)
        assert moved.tolist() == [bool(each(i)) for i in range(6)], text
        assert 0 < sum(moved) < 6, text


def _divergence(x: Tensor, y: Tensor) -> Tensor:
    return wye.losses.kl_divergence(x.log_softmax(-1), y.softmax(-1))


def test_in_an_objective_they_are_terms_and_may_be_switched() -> None:
    x, y, label = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    objective = wye.Objective("huber(x, y, delta=0.5) + 2 * focal_cross_entropy(x, label)", beta=0.5)
    total, terms = objective(x=x, y=y, label=label)
    huber, focal_ = wye.losses.huber(x, y, delta=0.5), wye.losses.focal_cross_entropy(x, label)
    assert list(terms) == ["huber(x, y, delta=0.5)", "2 * focal_cross_entropy(x, label)"]
    close(total, huber + 2 * focal_)
    objective.formula = "log_cosh(x, y) + cross_entropy(x, label, weight=stop(abs(x[0, k])))"
    close(
        objective(x=x, y=y, label=label)[0],
        wye.losses.log_cosh(x, y) + wye.losses.cross_entropy(x, label, weight=x[0].abs()),
    )


def test_the_same_call_is_computed_once() -> None:
    x, y = torch.randn(4, 3), torch.randn(4, 3)
    join = wye.Join("huber(x, y) * huber(x, y) + huber(x, y, delta=2)")
    code = join.forward.__func__.__doc__ or ""
    assert code.count("_f_clamp(") == 2
    close(join(x, y), wye.losses.huber(x, y) ** 2 + wye.losses.huber(x, y, delta=2))


def test_compiled_as_one_graph() -> None:
    x, y, label = torch.randn(4, 3), torch.rand(4, 3), torch.tensor([0, 2, 1, 1])
    text = "huber(x, y) + nll(log_softmax(x), label, weight=w) + dice(sigmoid(x), y, dims=1) + hinge(x, y > 0.5)"
    join = wye.Join(text)
    run = torch.compile(wye.Join(text), backend="eager", fullgraph=True)
    close(run(x, y, label, y[0]), join(x, y, label, y[0]), 1e-6)


def test_a_part_may_hold_the_weights() -> None:
    x, label, weight = torch.randn(4, 3), torch.tensor([0, 2, 1, -100]), torch.rand(3)
    for name in ("cross_entropy", "nll"):
        wanted = getattr(wye.losses, name)(x, label, weight=weight)
        assert torch.equal(wye.Join(f"{name}(x, y, weight=w)", w=weight)(x, label), wanted)
        assert torch.allclose(wye.Join(f"{name}(x[b, k], y[b], weight=w[k])", w=weight)(x, label), wanted)


def test_as_named_values_of_a_join() -> None:
    x, label, w = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, -100]), torch.rand(5).double()
    join = wye.Join(
        "mean(rows[b] * w[b]) + plain",
        rows="focal_cross_entropy(x[b, k], label[b], reduction='none')",
        plain="nll(log_softmax(x[b, k], k), label[b])",
    )
    rows = wye.losses.focal_cross_entropy(x, label, reduction="none")
    close(join(x=x, label=label, w=w), (rows * w).mean() + nn.functional.cross_entropy(x, label))


@pytest.mark.parametrize("name", ["cross_entropy", "cosine_embedding", "triplet", "dice", "pair"])
def test_under_autocast_they_are_computed_in_float32(name: str) -> None:
    values = {key: torch.from_numpy(value) for key, value in SAMPLES[name](6).items()}
    values = {key: value.float() if value.is_floating_point() else value for key, value in values.items()}
    more = {"weight": torch.rand(4)} if name == "cross_entropy" else {}
    plainly = getattr(wye.losses, name)(**values, **more)
    with torch.autocast("cpu", torch.bfloat16):
        found = getattr(wye.losses, name)(**values, **more)
    assert found.dtype == torch.float32
    assert torch.equal(found, plainly)
