"""`Balance`: many terms of a loss, weighted by their gradients where their ways meet."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.autograd.graph import get_gradient_edge

from ..errors import InputError, NonFiniteError, PartError, ShapeError, listed
from ..formula.totals import check_nonfinite, nonfinite
from .aggregators import is_of, named

Weighting = Callable[[Tensor], Tensor]
"""From the Gramian (K, K) of K gradients to their weights (K,)."""
Edge = tuple[Any, int]
"""Where a gradient arrives: a node of autograd's graph, and which of its outputs it is for."""
PLACE = "Balance(...)(terms, at=...)"


class Balance(nn.Module):
    """The sum of a loss's terms, with the gradients of each weighed where they meet.

    With gₖ = ∂tₖ/∂h for the features h at which the terms part, G = (⟨gᵢ, gⱼ⟩) their Gramian, and w = weighting(G):

        value                           Σ tₖ
        gradient at h, and so below     Σ wₖ gₖ
        gradient of the heads           Σ ∂tₖ/∂θ, each term's own, not weighted

    Each head is passed once for its own term and the shared weights once for all, so a step costs about as much as that
    of a plain sum. The value is a number on the graph like any other: `backward()`, gradient scalers, accumulation,
    and hooks of parameters see an ordinary loss.

    A term that does not depend on h has weight 1. Terms that reach a shared weight around h, such as a decay, keep that
    gradient in full. A scalariser of torchjd weighs the terms themselves, heads and all, and needs no features; so do
    none for "sum".

    Args:
        weighting: "sum", wₖ = 1; the name of an aggregator of torchjd, such as "UPGrad", "MGDA", "IMTLG"; an object of
            torchjd: an aggregator, a Weighting of Gramians, or a scalariser; or a function from G, (K, K), to w, (K,).
        on_nonfinite: where a term or a gradient at h is infinite or NaN: `raise` a NonFiniteError that names the term;
            `skip`: a fresh zero that leads to no weight; or `keep`, for a gradient scaler: NaN reaches the shared
            weights. A plain sum and scalarisers look at nothing.

    Call:
        terms: 0-dim tensors on their graph, by name; an Objective gives them by `summands(...)`.
        at: the features h, a tensor or a tuple of tensors of any shape, none of them computed from another.

    Returns:
        The total, 0-dim; and the weight of each term, 0-dim tensors by name, detached. A weight is NaN where an
        aggregator weighs entry by entry. With gradients off: the plain sum, and weights of 1.

    Raises:
        BackendError: torchjd, or what it needs, is not installed.
        PartError: there is no such weighting.
        InputError: no term depends on the features; or a term reaches shared weights both through and around them.
        ShapeError: a term, or the weights, have the wrong shape.
        NonFiniteError: with `on_nonfinite="raise"`.

    Source:
        Sener and Koltun, Multi-Task Learning as Multi-Objective Optimization, 2018, section 3.3: the gradients at the
        features instead of those of the shared weights. Quinton and Rey, Jacobian Descent for Multi-Objective
        Optimization, 2024, section 6: weights out of the Gramian.

    Example:
        >>> import torch, wye
        >>> trunk = torch.nn.Linear(4, 8)
        >>> loss = wye.Objective("a + 100 * b", a="mse(one(h), y)", b="mse(two(h), z)",
        ...                      one=torch.nn.Linear(8, 1), two=torch.nn.Linear(8, 1))
        >>> balance = wye.Balance(lambda gramian: 1 / gramian.diagonal().sqrt())     # gradients of equal length
        >>> h = trunk(torch.randn(16, 4))
        >>> total, weights = balance(loss.summands(h=h, y=torch.zeros(16, 1), z=torch.ones(16, 1)), at=h)
        >>> total.backward()
        >>> list(weights), bool(weights["a"] > weights["100 * b"])
        (['a', '100 * b'], True)
    """

    def __init__(self, weighting: str | Weighting | nn.Module = "sum", *, on_nonfinite: str = "raise") -> None:
        super().__init__()
        check_nonfinite(on_nonfinite)
        kind = cast(object, weighting)
        if isinstance(kind, type) or not (isinstance(kind, str) or callable(kind)):
            raise PartError(
                "the weighting is no name, function or object of torchjd.",
                "Balance(...)",
                f"the class {kind.__name__}" if isinstance(kind, type) else type(kind).__name__,
                'write "sum", "UPGrad", or give a function of the Gramian',
            )
        self.weighting: Any = named(weighting) if isinstance(weighting, str) and weighting != "sum" else weighting
        self.on_nonfinite = on_nonfinite

    def forward(
        self, terms: Mapping[str, Tensor], at: Tensor | Sequence[Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        check_terms(terms)
        values = list(terms.values())
        ones = values[0].new_ones(len(values))
        if is_of("scalarization.Scalarizer", self.weighting):
            stacked = torch.stack(values)
            total = self.weighting(stacked)
            weights = torch.autograd.grad(total, stacked, retain_graph=True)[0] if stacked.requires_grad else ones
            return total, _by_name(terms, weights)
        # Leaves and constants lead to no network: so are those that a skipped batch gives.
        plain = not any(term.grad_fn for term in values) or not torch.is_grad_enabled()
        if plain or self.weighting == "sum":
            return sum(values[1:], values[0]), _by_name(terms, ones)
        features = features_of(at)
        with torch.autocast(values[0].device.type, enabled=False):  # it would make the Gramian in half precision
            return self._balanced(terms, features)

    def _balanced(self, terms: Mapping[str, Tensor], features: dict[Edge, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        found = slopes(terms, features)
        if not found.rows:
            raise InputError(
                "no term depends on the features.",
                PLACE,
                f"terms {listed(terms)}",
                "give as `at` the tensor that the terms were computed from; compile the networks before and behind "
                "it apart, not as one",
            )
        jacobian = torch.stack(list(found.rows.values()))
        gramian = jacobian @ jacobian.T
        total = sum((term.detach() for term in terms.values()), torch.zeros((), device=gramian.device))
        finite = self.on_nonfinite == "keep" or bool(torch.isfinite(gramian).all() & torch.isfinite(total))
        if not finite and self.on_nonfinite == "skip":
            return torch.zeros_like(total, requires_grad=True), _by_name(terms, gramian.new_zeros(len(terms)))
        if not finite:
            raise nonfinite_gradient(terms, found.rows, gramian, total)
        mixed, weights = self._mixed(jacobian, gramian)
        sizes = [one.numel() for one in features.values()]
        parts = [
            part.view_as(one).to(one.dtype) for part, one in zip(mixed.split(sizes), features.values(), strict=True)
        ]
        value = _Known.apply(total, [*parts, *found.heads.values()], *features.values(), *found.heads)
        given = dict(zip(found.rows, weights, strict=True))
        return cast(Tensor, value), {name: given.get(name, torch.ones_like(weights[0])) for name in terms}

    @torch.no_grad()
    def _mixed(self, jacobian: Tensor, gramian: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients as one, flat, and what each of them weighs."""
        if self.on_nonfinite == "keep" and not bool(torch.isfinite(gramian).all()):
            weights = gramian.new_full(gramian.shape[:1], torch.nan)  # solvers give up on them, each in its way
        elif is_of("aggregation.GramianWeightedAggregator", self.weighting):
            weights = self.weighting.gramian_weighting(gramian)
        elif is_of("aggregation.WeightedAggregator", self.weighting):
            weights = self.weighting.weighting(jacobian)
        elif is_of("aggregation.Aggregator", self.weighting):
            return self.weighting(jacobian), gramian.new_full(gramian.shape[:1], torch.nan)
        else:
            weights = self.weighting(gramian)
        if not isinstance(weights, Tensor) or weights.shape != gramian.shape[:1]:
            got = f"shape {tuple(weights.shape)}" if isinstance(weights, Tensor) else f"a {type(weights).__name__}"
            fix = f"return a tensor of shape ({len(gramian)},), one weight for each term that depends on the features"
            raise ShapeError(
                "the weighting returns no weight for each term.", f"Balance({self.extra_repr()})", got, fix
            )
        weights = weights.detach().to(jacobian)
        return weights @ jacobian, weights

    def extra_repr(self) -> str:
        word = getattr(self.weighting, "__qualname__", repr(self.weighting))
        return word if self.on_nonfinite == "raise" else f"{word}, on_nonfinite={self.on_nonfinite!r}"


class _Known(torch.autograd.Function):
    """A number whose gradients are known already."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, grads: Sequence[Tensor], *_: Tensor) -> Tensor:
        ctx.save_for_backward(*grads)
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None, None, *(grad * one for one in ctx.saved_tensors)


class Slopes(NamedTuple):
    """The gradients of terms.

    Args:
        rows: by term, those at the features, flat and one behind the other; a term that does not depend has none.
        heads: by weight, those that do not come through the features, added up.
    """

    rows: dict[str, Tensor]
    heads: dict[Tensor, Tensor]


def slopes(terms: Mapping[str, Tensor], features: Mapping[Edge, Tensor]) -> Slopes:
    """The gradients of each term at the features, and of the weights that it reaches before them."""
    below, met = leaves((node for node, _ in features), features.keys())
    if met:
        raise InputError(
            "one of the features is computed from another.",
            PLACE,
            f"{len(features)} tensors",
            "leave out the later one, or the earlier one where no term reads it by itself",
        )
    shared = set(map(id, below))
    dtype = torch.float32  # the least in which the Gramian of half precision is any good
    for one in features.values():
        dtype = torch.promote_types(dtype, one.dtype)
    found = Slopes({}, {})
    for name, term in terms.items():
        if not term.requires_grad:
            continue
        start = edge_of(term)
        own, _ = leaves([] if start in features else [start[0]], features.keys())
        at = [*features.values(), *own]
        # Kept, for terms may share a part of their graph; it goes when the terms go.
        grads = cast(tuple[Tensor | None, ...], torch.autograd.grad(term, at, retain_graph=True, allow_unused=True))
        here = grads[: len(features)]
        if any(grad is not None for grad in here):
            if any(id(leaf) in shared for leaf in own):
                raise InputError(
                    f"the term `{name}` reaches weights below the features by two ways.",
                    PLACE,
                    "one through the features, and one around them",
                    "give as `at` a tuple of all tensors by which it reaches them, or make two terms of it",
                )
            whole = [
                one.new_zeros(one.shape) if grad is None else grad
                for grad, one in zip(here, features.values(), strict=True)
            ]
            found.rows[name] = torch.cat([grad.reshape(-1).to(dtype) for grad in whole])
        for leaf, grad in zip(own, grads[len(features) :], strict=True):
            if grad is not None:
                found.heads[leaf] = found.heads[leaf] + grad if leaf in found.heads else grad
    return found


def edge_of(tensor: Tensor) -> Edge:
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def leaves(starts: Iterable[Any], stops: Collection[Edge]) -> tuple[list[Tensor], bool]:
    """The leaves that gradients from some nodes reach without going beyond the stops; and whether they met one."""
    waiting = list(dict.fromkeys(starts))
    seen, found, met = set(waiting), list[Tensor](), False
    while waiting:
        node = waiting.pop()
        if hasattr(node, "variable"):
            found.append(node.variable)
        for edge in node.next_functions:
            if edge in stops:
                met = True
            elif edge[0] is not None and edge[0] not in seen:
                seen.add(edge[0])
                waiting.append(edge[0])
    return found, met


def features_of(at: object) -> dict[Edge, Tensor]:
    """The features by their edges; one that is given twice counts once."""
    given: Any = at if isinstance(at, list | tuple) else (at,)
    if not given or not all(isinstance(one, Tensor) for one in given):
        raise InputError(
            "the features are a tensor or a tuple of tensors.",
            PLACE,
            "no `at`" if at is None else listed(type(one).__name__ for one in given),
            "give at=features, the tensor at which the terms part",
        )
    fixed = [number for number, one in enumerate(given) if not one.requires_grad]
    if fixed:
        which = "the features" if len(given) == 1 else f"at[{fixed[0]}]"
        fix = "give what the shared weights return, not detached; where nothing is shared, call total.backward() alone"
        raise InputError(f"no gradient goes through {which}.", PLACE, "requires_grad=False", fix)
    return {edge_of(one): one for one in given}


def check_terms(terms: object) -> None:
    """Terms are numbers on their graph, by name."""
    if not isinstance(terms, Mapping) or not terms:
        got = "none" if isinstance(terms, Mapping) else f"a {type(terms).__name__}"
        fix = 'give {"ce": ce, ...}, or objective.summands(...)'
        raise InputError("the terms are a mapping of tensors by name.", PLACE, got, fix)
    for name, term in cast(Mapping[Any, Any], terms).items():
        if not isinstance(term, Tensor) or term.dim() or not term.is_floating_point():
            got = f"{term.dtype}, shape {tuple(term.shape)}" if isinstance(term, Tensor) else f"a {type(term).__name__}"
            raise ShapeError(
                f"the term `{name}` is no single float.", PLACE, got, "take the mean of a tensor of floats"
            )


def nonfinite_gradient(
    terms: Mapping[str, Tensor], rows: Mapping[str, Tensor], gramian: Tensor, total: Tensor
) -> NonFiniteError:
    """The error that names the term whose value, or else whose gradient, is not finite."""
    if not bool(torch.isfinite(total)):
        return nonfinite("Balance(...)", {name: term.item() for name, term in terms.items()}, total.item())
    sizes = {name: float(size) for name, size in zip(rows, gramian.diagonal().sqrt(), strict=True)}
    guilty = next(name for name, size in sizes.items() if not math.isfinite(size))
    return NonFiniteError(
        f"the gradient of the term `{guilty}` at the features is not finite.",
        "Balance(...)",
        "of length " + ", ".join(f"{name} = {size:g}" for name, size in sizes.items()),
        'look into that term, or skip such batches: on_nonfinite="skip"',
    )


def _by_name(terms: Iterable[str], weights: Tensor) -> dict[str, Tensor]:
    return dict(zip(terms, weights.detach().unbind(), strict=True))


__all__ = ["Balance"]
