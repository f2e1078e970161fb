"""`Trail`: the way of the gradients through one call's graph, and where on it they end.

A weight that a gradient of zeros reached has lost it somewhere between the loss and itself. Where, only the backward
knows, while it runs: at each operation on the way a hook asks whether what comes in is zero, and what goes on. So this
is done on the first steps, and from then on for weights that had no gradient, or zeros, before.

A trail holds numbers and names, never a node of the graph: what is not run backward is free to go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

WORDS = {
    "Mul": "a product with zeros let no gradient through",
    "Div": "a quotient of zero let no gradient through",
    "Where": "`where` chose the other side for all",
    "MaskedFill": "a mask covered all of it",
    "Relu": "relu was closed for all",
    "Threshold": "relu was closed for all",
    "Clamp": "clamp cut all of it",
    "Addmm": "what it was multiplied with was all zeros",
    "Mm": "what it was multiplied with was all zeros",
    "Bmm": "what it was multiplied with was all zeros",
    "Convolution": "what it was multiplied with was all zeros",
}
LOST = "the loss gave the model's output a gradient of zeros"
EMPTY = "it ran on an empty batch"
ALIVE, DEAD, VOID = "alive", "dead", "void"


def is_zero(tensor: Tensor) -> bool:
    """Whether every element is zero; NaN is not. Most tensors tell it by the first, or by a few from all over."""
    if tensor.is_nested:
        tensor = tensor.values()
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    elif tensor.is_cpu and tensor.numel() and tensor.layout is torch.strided and tensor.as_strided((), ()).item() != 0:
        return False
    few = tensor.numel() // 64 + 1  # one more than a part, so that the columns of a matrix change with its rows
    if few > 1 and tensor.is_contiguous() and bool(tensor.view(-1)[::few].any()):
        return False
    return not bool(tensor.any())


class Trail:
    """The graph behind the outputs of one call, by numbers: 0 stands for all outputs together.

    Args:
        outputs: what the call returned.
        suspects: the ids of the weights whose gradients are to be followed; None: of all.
        fired: told once a gradient comes.
    """

    def __init__(
        self, outputs: Iterable[Tensor], suspects: Collection[int] | None, fired: Callable[[Trail], None]
    ) -> None:
        self.names = [""]
        self.next: list[list[int]] = [[]]
        self.weights: dict[int, int] = {}
        self.came: dict[int, tuple[str, tuple[str, ...]]] = {}
        self._fired, self.suspects = fired, None if suspects is None else frozenset(suspects)
        nodes = self._walk([out.grad_fn for out in outputs if out.grad_fn is not None])
        wanted = self.weights.values() if suspects is None else [self.weights[i] for i in suspects if i in self.weights]
        on_the_way = self._towards(set(wanted)) | set(self.next[0])  # the first of them tell that a backward came
        for place, node in enumerate(nodes):
            if place in on_the_way and node is not None and not isinstance(getattr(node, "variable", None), Tensor):
                node.register_hook(self._asker(place))

    def _walk(self, roots: Sequence[Any]) -> list[Any]:
        places: dict[Any, int] = {}
        nodes: list[Any] = [None]
        open_nodes: list[tuple[int, Any]] = [(0, roots)]
        while open_nodes:
            place, following = open_nodes.pop()
            for node in following:
                if node is not None and node not in places:
                    places[node] = len(nodes)
                    nodes.append(node)
                    self.names.append(node.name())
                    self.next.append([])
                    weight = getattr(node, "variable", None) if not node.next_functions else None
                    if weight is not None:
                        self.weights[id(weight)] = places[node]
                    open_nodes.append((places[node], [one for one, _ in node.next_functions]))
                self.next[place].append(-1 if node is None else places[node])
        return nodes

    def _towards(self, ends: set[int], closed: Collection[tuple[int, int]] = ()) -> set[int]:
        """The places from which one of these can be reached, on edges that are not closed."""
        back: list[list[int]] = [[] for _ in self.next]
        for place, following in enumerate(self.next):
            for edge, one in enumerate(following):
                if one >= 0 and (place, edge) not in closed:
                    back[one].append(place)
        found, left = set(ends), list(ends)
        while left:
            for place in back[left.pop()]:
                if place not in found:
                    found.add(place)
                    left.append(place)
        return found

    def _asker(self, place: int) -> Callable[[Sequence[Any], Sequence[Any]], None]:
        def ask(onwards: Sequence[Any], coming: Sequence[Any]) -> None:
            if not self.came:
                self._fired(self)
            came = [life(one) for one in coming if one is not None]
            whole = ALIVE if ALIVE in came else VOID if came and set(came) == {VOID} else DEAD
            self.came[place] = whole, tuple(map(life, onwards))

        return ask

    def follows(self, weight: int) -> bool:
        """Whether it was asked at each operation on the ways to a weight."""
        return weight in self.weights and (self.suspects is None or weight in self.suspects)

    def reaches(self, weight: int) -> bool:
        """Whether the outputs depend on a weight, by its id."""
        return weight in self.weights

    def ends(self, weight: int) -> list[str]:
        """Where the gradients that went towards a weight ended, in words."""
        if not self.follows(weight):
            return []
        towards = self._towards({self.weights[weight]})
        roots = [self.came[place][0] for place in self.next[0] if place in self.came and place in towards]
        if roots and ALIVE not in roots:
            return [EMPTY if set(roots) == {VOID} else LOST]
        lost = {
            (place, edge): one
            for place, (came, onwards) in self.came.items()
            for edge, one in enumerate(onwards)
            if came == ALIVE and one != ALIVE and self.next[place][edge] >= 0
        }
        # What was lost on a way that is closed once more further on is not why the weight got nothing.
        behind = self._towards({self.weights[weight]}, lost)
        ended = {place: one for (place, edge), one in lost.items() if self.next[place][edge] in behind}
        found = {EMPTY if one == VOID else words(self.names[place]) for place, one in ended.items()}
        return sorted(found)


def life(gradient: Tensor | None) -> str:
    """Whether a gradient lives, is zero or missing, or is of no samples."""
    if gradient is None:
        return DEAD
    return VOID if not gradient.numel() else DEAD if is_zero(gradient) else ALIVE


def words(name: str) -> str:
    """What an operation did, by the name of its backward."""
    kind = re.sub(r"Backward\d*$", "", name.rpartition("::")[2])
    return WORDS.get(kind, f"{re.sub(r'(?<=[a-z])(?=[A-Z])', '_', kind).lower()} let no gradient through")
