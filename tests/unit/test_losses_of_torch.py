"""The losses of the catalogue that torch has too: the same values and gradients, in float64, at every setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import wye
from wye.formula.reference import evaluate as in_numpy

ROWS, WIDTH = 6, 4
Settings = dict[str, Any]
Torchs = Callable[..., Tensor]


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def probabilities(*shape: int) -> Tensor:
    return drawn(*shape).softmax(-1)


def signs(*shape: int) -> Tensor:
    return torch.randint(0, 2, shape) * 2 - 1


def ids(*shape: int) -> Tensor:
    found = torch.randint(0, WIDTH, shape)
    found.view(-1)[::5] = -100
    return found


@dataclass(frozen=True)
class Twin:
    """A loss, what it is given, its settings, and torch's function of the same values and of a reduction."""

    name: str
    values: Callable[[], dict[str, Tensor]]
    torchs: Torchs
    settings: Settings = field(default_factory=dict[str, Any])
    along: str = ""
    """The axes of each value in a formula, and those behind the values, as in `i k, i, k`."""

    def __str__(self) -> str:
        return f"{self.name}-{'-'.join(f'{k}={v}' for k, v in self.settings.items())}"


def two() -> dict[str, Tensor]:
    return {"pred": drawn(ROWS, WIDTH), "target": drawn(ROWS, WIDTH)}


def classes(first: str, **more: Callable[[], Tensor]) -> Callable[[], dict[str, Tensor]]:
    def made() -> dict[str, Tensor]:
        logits = drawn(ROWS, WIDTH)
        given = {first: logits if first == "logits" else logits.log_softmax(-1), "target": ids(ROWS)}
        return given | {name: one() for name, one in more.items()}

    return made


def ignored_within() -> dict[str, Tensor]:
    """Class ids that are all of a class, one of which is ignored."""
    return {"logits": drawn(ROWS, WIDTH), "target": torch.tensor([2, 0, 1, 2, 3, 0])}


def weighted_within(ignored: int) -> Callable[[], dict[str, Tensor]]:
    """The same, or ids of which some stand for no class; with a weight for each class."""
    return lambda: (classes("logits")() if ignored == -100 else ignored_within()) | {"weight": weight()}


def of_logs() -> dict[str, Tensor]:
    logits, *others = ignored_within().items()
    return {"log_probs": logits[1].log_softmax(-1), **dict(others), "weight": weight()}


def soft(**more: Callable[[], Tensor]) -> Callable[[], dict[str, Tensor]]:
    return lambda: (
        {"logits": drawn(ROWS, WIDTH), "target": probabilities(ROWS, WIDTH)} | {n: f() for n, f in more.items()}
    )


def yes_or_no(**more: Callable[[], Tensor]) -> Callable[[], dict[str, Tensor]]:
    return lambda: (
        {"logits": 3 * drawn(ROWS, WIDTH), "target": torch.rand(ROWS, WIDTH, dtype=torch.float64)}
        | {name: one() for name, one in more.items()}
    )


def weight() -> Tensor:
    return torch.rand(WIDTH, dtype=torch.float64) + 0.1


def gaussian() -> dict[str, Tensor]:
    var = drawn(ROWS, WIDTH).abs()
    var[0] = 0
    return {**two(), "var": var}


def counts() -> dict[str, Tensor]:
    return {"pred": drawn(ROWS, WIDTH), "target": torch.randint(0, 9, (ROWS, WIDTH)).double()}


def rates() -> dict[str, Tensor]:
    return {"pred": drawn(ROWS, WIDTH).abs(), "target": torch.randint(0, 9, (ROWS, WIDTH)).double()}


def ranked() -> dict[str, Tensor]:
    a, b = drawn(ROWS, WIDTH), drawn(ROWS, WIDTH)
    a[0] = b[0]  # ties: the kink of a margin of 0
    return {"a": a, "b": b, "label": signs(ROWS, WIDTH)}


def embedded() -> dict[str, Tensor]:
    return {"a": drawn(ROWS, WIDTH), "b": drawn(ROWS, WIDTH), "label": signs(ROWS)}


def three() -> dict[str, Tensor]:
    return {"anchor": drawn(ROWS, WIDTH), "positive": drawn(ROWS, WIDTH), "negative": drawn(ROWS, WIDTH)}


def densities() -> dict[str, Tensor]:
    return {"log_pred": probabilities(ROWS, WIDTH).log(), "target": probabilities(ROWS, WIDTH)}


def kl(log_pred: Tensor, target: Tensor, reduction: str) -> Tensor:
    """torch's divergence: its mean over rows is "batchmean", and without a reduction each row is to be summed."""
    if reduction == "none":
        return F.kl_div(log_pred, target, reduction="none").sum(-1)
    return F.kl_div(log_pred, target, reduction="batchmean" if reduction == "mean" else reduction)


def cosine_triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float, reduction: str) -> Tensor:
    return F.triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda a, b: 1 - F.cosine_similarity(a, b),
        margin=margin,
        reduction=reduction,
    )


def poisson(pred: Tensor, target: Tensor, reduction: str, **settings: Any) -> Tensor:
    return F.poisson_nll_loss(pred, target, reduction=reduction, **settings)


def binary(logits: Tensor, target: Tensor, reduction: str, pos_weight: Tensor | None = None) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, target, pos_weight=pos_weight, reduction=reduction)


def twins() -> Iterator[Twin]:
    yield Twin("mse", two, F.mse_loss, along="i k, i k")
    yield Twin("mae", two, F.l1_loss, along="i k, i k")
    for delta in (1.0, 0.3):
        yield Twin("huber", two, partial(F.huber_loss, delta=delta), {"delta": delta}, "i k, i k")
    for beta in (1.0, 0.3, 0.0):
        yield Twin("smooth_l1", two, partial(F.smooth_l1_loss, beta=beta), {"beta": beta}, "i k, i k")
    for smoothing in (0.0, 0.2):
        for ignored in (-100, 2):
            settings = {"label_smoothing": smoothing, "ignore_index": ignored}
            both = partial(F.cross_entropy, **settings)
            given = classes("logits") if ignored == -100 else ignored_within
            yield Twin("cross_entropy", given, both, settings, "i k, i")
            yield Twin("cross_entropy", weighted_within(ignored), both, settings, "i k, i, k")
        settings = {"label_smoothing": smoothing}
        yield Twin("cross_entropy", soft(), partial(F.cross_entropy, **settings), settings)
        yield Twin("cross_entropy", soft(weight=weight), partial(F.cross_entropy, **settings), settings)
    yield Twin("nll", classes("log_probs"), F.nll_loss, along="i k, i")
    yield Twin("nll", classes("log_probs", weight=weight), F.nll_loss, along="i k, i, k")
    yield Twin("nll", of_logs, partial(F.nll_loss, ignore_index=2), {"ignore_index": 2}, "i k, i, k")
    yield Twin("binary_cross_entropy", yes_or_no(), binary, along="i k, i k")
    yield Twin("binary_cross_entropy", yes_or_no(pos_weight=weight), binary, along="i k, i k, k")
    yield Twin("kl_divergence", densities, kl, along="i k, i k; k")
    for full in (False, True):
        for log_input in (False, True):
            settings = {"full": full, "log_input": log_input}
            yield Twin(
                "poisson_nll", counts if log_input else rates, partial(poisson, **settings), settings, "i k, i k"
            )
        settings = {"full": full}
        yield Twin("gaussian_nll", gaussian, partial(F.gaussian_nll_loss, **settings), settings, "i k, i k, i k")
    for margin in (0.0, 0.4):
        settings = {"margin": margin}
        yield Twin("margin_ranking", ranked, partial(F.margin_ranking_loss, **settings), settings, "i k, i k, i k")
        yield Twin("cosine_embedding", embedded, partial(F.cosine_embedding_loss, **settings), settings, "i k, i k, i")
    for swap in (False, True):
        settings = {"margin": 0.7, "swap": swap}
        yield Twin("triplet", three, partial(F.triplet_margin_loss, **settings), settings, "i k, i k, i k; k")
    yield Twin("triplet_cosine", three, partial(cosine_triplet, margin=0.3), {"margin": 0.3}, "i k, i k, i k; k")


TWINS = list(twins())


def of_torch(twin: Twin, values: dict[str, Tensor], reduction: str) -> Tensor:
    return twin.torchs(**_torchs_names(twin.name, values), reduction=reduction)


def _torchs_names(name: str, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The values under the names that torch's function has for them."""
    if name in ("mse", "mae", "huber", "smooth_l1", "nll", "cross_entropy", "gaussian_nll"):
        first, *others = values
        return {"input": values[first], **{other: values[other] for other in others}}
    if name in ("margin_ranking", "cosine_embedding"):
        return dict(zip(("input1", "input2", "target"), values.values(), strict=True))
    return values


def attached(values: dict[str, Tensor], fixed: frozenset[str] = frozenset()) -> dict[str, Tensor]:
    fresh = {name: value.detach().clone() for name, value in values.items()}
    return {n: v.requires_grad_() if v.is_floating_point() and n not in fixed else v for n, v in fresh.items()}


NO_SLOPE = {
    **dict.fromkeys(("cross_entropy", "nll"), frozenset({"weight"})),
    "binary_cross_entropy": frozenset({"pos_weight"}),
    "poisson_nll": frozenset({"target"}),
}
"""Values in which torch has no gradient, or one of NaN: of log(target!) at a target of 0."""


def close(found: Tensor, wanted: Tensor) -> None:
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_values_and_gradients_are_those_of_torch(twin: Twin, reduction: str) -> None:
    given = twin.values()
    ours, theirs = (attached(given, NO_SLOPE.get(twin.name, frozenset())) for _ in range(2))
    wanted = of_torch(twin, theirs, reduction)
    found = getattr(wye.losses, twin.name)(**ours, **twin.settings, reduction=reduction)
    share = torch.rand_like(wanted)
    for total in (found, wanted):
        (total * share).sum().backward()
    close(found.detach(), wanted.detach())
    for name, value in ours.items():
        if value.requires_grad:
            other = theirs[name].grad
            close(value.grad, torch.zeros_like(value) if other is None else other)  # type: ignore[arg-type]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.2}, {"ignore_index": 2}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 3, 4)], ids=str)
def test_classes_stand_last_where_torch_has_them_second(
    shape: tuple[int, ...], weighted: bool, settings: Settings, reduction: str
) -> None:
    logits, target = drawn(*shape, WIDTH), torch.randint(0, 2, shape)
    more: Settings = {"weight": weight()} if weighted else {}
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    wanted = F.cross_entropy(theirs.movedim(-1, min(1, len(shape))), target, reduction=reduction, **settings, **more)
    found = wye.losses.cross_entropy(ours, target, reduction=reduction, **settings, **more)
    close(found, wanted)
    close(*(torch.autograd.grad(one.sum(), logits)[0] for one, logits in ((found, ours), (wanted, theirs))))


def written(twin: Twin, reduction: str) -> str:
    """The call as it is written in a formula, with names for the axes."""
    axes, _, over = twin.along.partition("; ")
    names = list(twin.values())
    named = [f"{name}[{', '.join(one.split())}]" for name, one in zip(names, axes.split(", "), strict=True)]
    positional = [word for word in named if not word.startswith(("weight", "pos_weight"))]
    extra = [f"{word.partition('[')[0]}={word}" for word in named if word not in positional]
    keywords = [f"{key}={value!r}" for key, value in {**twin.settings, "reduction": reduction}.items()]
    return f"{twin.name}({', '.join([*positional, *([over] if over else []), *extra, *keywords])})"


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("twin", [twin for twin in TWINS if twin.along], ids=str)
def test_with_named_axes_in_any_order_too(twin: Twin, reduction: str) -> None:
    text, given = written(twin, reduction), twin.values()
    wanted = of_torch(twin, given, reduction)
    close(wye.evaluate(text, **given), wanted)
    turned = {
        name: value.T if value.dim() == 2 and name != next(iter(given)) else value for name, value in given.items()
    }
    for name in list(given)[1:]:
        if given[name].dim() == 2:
            text = text.replace(f"{name}[i, k]", f"{name}[k, i]")
    close(wye.evaluate(text, **turned), wanted)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_numpy_has_them_too(twin: Twin, reduction: str) -> None:
    given = twin.values()
    arrays = {name: value.numpy() for name, value in given.items()}
    wanted = of_torch(twin, given, reduction)
    found = getattr(wye.losses, twin.name)(**arrays, **twin.settings, reduction=reduction)
    close(torch.as_tensor(found), wanted)
    if twin.along:
        formula = wye.Formula(written(twin, reduction))
        close(torch.as_tensor(in_numpy(formula.program, arrays, formula.text)), wanted)
