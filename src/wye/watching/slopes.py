"""Gradients within one loss: what reaches the tensors it read, without going beyond them.

The graph of the loss is walked by hand, node by node, on the way that autograd would go. So nothing before the loss
runs, no hook on a tensor or a module fires, no `.grad` is written, and the graph stays whole for the backward to come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import get_gradient_edge

Edge = tuple[Any, int]
"""Where a gradient arrives: a node of autograd's graph, and which of its outputs it is for."""

REFUSED = ("Checkpoint", "CompiledFunction")
"""Nodes that would run a model again, or compile, if they were called."""


class ReachError(Exception):
    """A gradient that cannot be had without a trace; the words say why."""


def edge_of(tensor: Tensor) -> Edge:
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def now() -> int:
    """A number that every node of the graph that is made from here on will reach, and no earlier one does."""
    return cast(Any, torch.autograd)._get_sequence_nr()


def slopes(start: Edge, stops: Collection[Edge], looks: Collection[Edge] = (), since: int = 0) -> dict[Edge, Tensor]:
    """The gradients of a number at edges.

    Args:
        start: the edge of the number.
        stops: where the walk ends; a gradient that goes on from there is not followed.
        looks: where a gradient is looked at as it passes.
        since: nodes before this `now()` are not entered.

    Returns:
        The gradients by edge; edges that no way leads to are left out.

    Raises:
        ReachError: there is a node on the way that would do more than compute a gradient.
    """
    wanted = {*stops, *looks}
    seed = torch.ones((), dtype=_met(start).dtype, device=_met(start).device)
    found: dict[Edge, Tensor] = {start: seed} if start in wanted else {}
    if start in stops:
        return found
    waiting: dict[Any, dict[int, Tensor]] = {start[0]: {start[1]: seed}}
    for node in _in_order(start[0], wanted, frozenset(stops), since):
        arrived = waiting.pop(node, None)
        if not arrived:
            continue
        for edge, grad in _through(node, arrived):
            grad = _fitted(grad, edge)
            if edge in wanted:
                found[edge] = found[edge] + grad if edge in found else grad
            if edge not in stops:
                inner = waiting.setdefault(edge[0], {})
                inner[edge[1]] = inner[edge[1]] + grad if edge[1] in inner else grad
    return found


def _in_order(first: Any, wanted: Collection[Edge], stops: frozenset[Edge], since: int) -> list[Any]:
    """The nodes on a way to what is wanted, each before those that its gradients go to."""
    needed: dict[Any, bool] = {}
    after: list[Any] = []
    stack: list[tuple[Any, bool]] = [(first, False)]
    while stack:
        node, done = stack.pop()
        nexts = [edge for edge in node.next_functions if edge[0] is not None]
        if done:
            needed[node] = any(edge in wanted or (edge not in stops and needed.get(edge[0])) for edge in nexts)
            after += [node] if needed[node] else []
        elif node not in needed and node._sequence_nr() >= since:
            needed[node] = False
            stack.append((node, True))
            stack += [(edge[0], False) for edge in nexts if edge not in stops]
    return after[::-1]


def _through(node: Any, arrived: Mapping[int, Tensor]) -> Iterable[tuple[Edge, Tensor]]:
    """The gradients that a node sends on, with where they go."""
    word = type(node).__name__
    if any(refused in word for refused in REFUSED):
        raise ReachError(f"there is {word} inside the objective, which would run again")
    metas = node._input_metadata
    if not isinstance(node, BackwardCFunction):
        sent = node(*(arrived.get(place) for place in range(len(metas))))
        pairs = zip(node.next_functions, sent if isinstance(sent, tuple) else (sent,), strict=True)
        return [(edge, grad) for edge, grad in pairs if edge[0] is not None and grad is not None]
    # A function of a user's gets zeros for what has no gradient, and answers for inputs that are no tensors too.
    given = [
        arrived[place] if place in arrived else torch.zeros(meta.shape, dtype=meta.dtype, device=meta.device)
        for place, meta in enumerate(metas)
    ]
    sent = cast(Any, node).apply(*given)
    every = sent if isinstance(sent, tuple) else (sent,)
    asked = [grad for grad, needs in zip(every, cast(Any, node).needs_input_grad, strict=False) if needs]
    edges = [edge for edge in node.next_functions if edge[0] is not None]
    return [(edge, grad) for edge, grad in zip(edges, asked, strict=True) if grad is not None]


def _met(edge: Edge) -> Any:
    return edge[0]._input_metadata[edge[1]]


def _fitted(grad: Tensor, edge: Edge) -> Tensor:
    """The gradient in the shape, dtype and place of what it is for, as autograd makes it."""
    meta = _met(edge)
    if grad.shape != meta.shape:
        grad = grad.sum_to_size(meta.shape)
    return grad.to(device=meta.device, dtype=meta.dtype) if grad.dtype != meta.dtype or not grad.dim() else grad
