"""How a weight moved in a step of its optimizer: by its gradient, by momentum, by decay.

A step takes a weight and the optimizer's state, and a gradient g: after = step(g, decay). Two replays of the same step
from the same state, with a gradient of zero, part its movement after - before:

    momentum = step(0, no decay) - before             what the past alone would have done
    decay    = step(0, decay) - step(0, no decay)     what decay adds to that
    gradient = after - step(0, decay)                 what this gradient adds to both

For each element they sum to the movement, for they are three legs of one way. For SGD the legs do not depend on each
other: with v = m v + (1 - d) (g + c w) and w = w - r v, momentum is -r m v, decay -r (1 - d) c w, gradient -r (1 - d) g
(d is 0 on a weight's first step). AdamW's decay, -r c w, stands alone too. Where a second moment divides (Adam with
coupled decay, RMSprop, Adagrad and the rest) the legs depend on the order in which they are walked:
Adam moves by -r m / (sqrt(u) + e), with u = b u + (1 - b) (g + c w)^2, so a gradient makes the denominator larger, and
what the past would have done alone is not what it does beside the gradient. The difference is told as the gradient's
here, as whatever would not have happened without it. ASGD's `lambd` counts as decay. Rprop has neither momentum nor
decay. A replay that is 0 / 0, as Adam's with an `eps` of 0 and no state yet, moved nothing.

What is exact: each leg, on the elements that are looked at; sums over them are taken in double precision. Where all
elements of a weight are looked at, a replay goes through the kernels as the step did. Where some are, plain and foreach
steps in float32 and float64 replay bit for bit on a CPU; fused steps, and any in half precision, end a tensor on
another instruction, whose last bit may differ, and a compiled step rounds in its own way. A gradient of exactly zero
adds nothing however it is rounded: there the difference is told as momentum's or decay's, and the gradient's leg is
exactly zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from .replay import Replay, replayable

AT_ONCE = 2**16
"""How many elements are told of at one go, at most, unless one weight has more."""


@dataclass(frozen=True)
class Parts:
    """How far one weight moved in one step: sums of absolute values over the elements that were looked at.

    The three parts are None where the step cannot be replayed: another optimizer, a sparse gradient, or a fused SGD in
    half precision on a CPU.
    """

    moved: float
    gradient: float | None
    momentum: float | None
    decay: float | None
    sampled: int
    of: int
    changed: bool


class Places:
    """Which elements are looked at: at each choice others, each as likely as any, from a generator of its own.

    Args:
        elements: of each tensor at most so many; None: all.
        seed: of the choice.
    """

    def __init__(self, elements: int | None = 256, seed: int = 0) -> None:
        self.elements, self._random = elements, Random(seed)

    def choose(self, size: int) -> Tensor | None:
        """Different places below `size`, or None for all of them."""
        if self.elements is None or size <= self.elements:
            return None
        # Even steps round the tensor: a step that shares no divisor with the size meets no place twice, and one drawn
        # anew each time stays in no column of a matrix.
        shift, stride = self._random.randrange(size), self._random.randrange(1, size)
        while math.gcd(stride, size) != 1:
            stride = stride % size + 1
        return torch.arange(self.elements, device="cpu").mul_(stride).add_(shift).remainder_(size)


class Snapshot:
    """The sampled elements of some weights, and of their optimizer's state, before a step.

    Args:
        optimizer: whose step comes next.
        weights: those to look at. One whose elements cannot be read one by one, a sharded one say, is passed over.
        places: which of their elements.
    """

    @torch.no_grad()
    def __init__(self, optimizer: Optimizer, weights: Sequence[nn.Parameter], places: Places) -> None:
        self.weights = {id(weight): weight for weight in weights if _plain(weight)}
        self._chosen: dict[tuple[int, torch.device], Tensor | None] = {}
        self._places = places
        self.before = {key: self.sample(weight) for key, weight in self.weights.items()}
        self._found_inf: Tensor | None = getattr(optimizer, "found_inf", None)
        self._replay = Replay(optimizer, self.before, self.sample) if replayable(optimizer) else None

    def sample(self, tensor: Tensor) -> Tensor:
        """A copy of the sampled elements of a tensor: tensors of one size are sampled alike."""
        places = self.places(tensor.numel(), tensor.device)
        return tensor.detach().clone() if places is None else torch.take(tensor.detach(), places)

    def places(self, size: int, device: torch.device) -> Tensor | None:
        """Where a tensor of this size is looked at, counted as if it were flat; None: everywhere."""
        if (size, device) not in self._chosen:
            known = [places for (other, _), places in self._chosen.items() if other == size]
            chosen = known[0] if known else self._places.choose(size)
            self._chosen[size, device] = None if chosen is None else chosen.to(device)
        return self._chosen[size, device]

    def parts(self, had_gradient: Callable[[nn.Parameter], bool]) -> dict[int, Parts]:
        """How the weights moved, by `id`; to be called after the step, before gradients are cleared.

        Args:
            had_gradient: whether a weight's gradient was not None at the step.
        """
        told: dict[int, Parts] = {}
        for weights, legs in self.legs(had_gradient):
            lengths = torch.cat((legs.diff(dim=0), legs[-1:] - legs[:1])).abs()
            sizes = [self.before[id(weight)].numel() for weight in weights]
            sums: list[list[float]] = torch.stack([one.sum(dim=1) for one in lengths.split(sizes, dim=1)]).tolist()
            for weight, size, (*parts, moved) in zip(weights, sizes, sums, strict=True):
                momentum, decay, gradient = parts if len(parts) == 3 else (None, None, None)
                told[id(weight)] = Parts(moved, gradient, momentum, decay, size, weight.numel(), moved != 0)
        return told

    @torch.no_grad()
    def legs(self, had_gradient: Callable[[nn.Parameter], bool]) -> Iterator[tuple[list[nn.Parameter], Tensor]]:
        """The stations of the way of each element, in double precision, for some weights after others.

        The rows are before, step(0, no decay), step(0, decay), after; or before and after alone, where the step cannot
        be replayed. Side by side are the elements of all the weights that come with them.
        """
        skipped = self._found_inf is not None and bool(self._found_inf)
        split = {key: self._splits(weight) for key, weight in self.weights.items()}
        # Without a gradient, or where AMP skipped the step, nothing is replayed: nothing moved.
        stepped = [key for key, weight in self.weights.items() if split[key] and not skipped and had_gradient(weight)]
        shrinking = self._replay.decaying().intersection(stepped) if self._replay is not None else set[int]()
        still = self._replay.step(stepped) if self._replay is not None and stepped else {}
        bare = self._replay.step(shrinking, decay=False) if self._replay is not None and shrinking else {}
        for keys in self._batches(split):
            before = [self.before[key] for key in keys]
            after = [self.sample(self.weights[key]) for key in keys]
            if split[keys[0]]:
                idle = [still.get(key, self.before[key]) for key in keys]
                alone = [bare.get(key, idle[place]) for place, key in enumerate(keys)]
                legs = _stations(before, alone, idle, after)
                self._settle(keys, legs, set(still), shrinking)
            else:
                legs = _stations(before, after)
            yield [self.weights[key] for key in keys], legs

    def _splits(self, weight: nn.Parameter) -> bool:
        sparse = weight.grad is not None and weight.grad.layout != torch.strided
        return self._replay is not None and not sparse and self._replay.splits(weight)

    def _batches(self, split: dict[int, bool]) -> Iterator[list[int]]:
        """Weights that are told of at one go: small ones together, for each operation costs more than its elements."""
        kinds: dict[object, list[int]] = {}
        for key, weight in self.weights.items():
            kinds.setdefault((split[key], weight.dtype, weight.device), []).append(key)
        for keys in kinds.values():
            batch, size = list[int](), 0
            for key in keys:
                if batch and size + self.before[key].numel() > AT_ONCE:
                    yield batch
                    batch, size = [], 0
                batch.append(key)
                size += self.before[key].numel()
            yield batch

    def _settle(self, keys: list[int], legs: Tensor, stepped: set[int], shrinking: set[int]) -> None:
        """What a replay leaves open: 0 / 0 is no movement, and a zero gradient's leg is zero to the last bit."""
        before, after = legs[0], legs[3]
        if bool(legs[1:3].isnan().any()):
            legs[1:3] = torch.where(legs[1:3].isnan(), before, legs[1:3])
        gap = after - legs[2]
        if not bool(gap.any()):
            return
        grads = [weight.grad if id(weight) in stepped else None for weight in map(self.weights.__getitem__, keys)]
        zero = torch.cat(
            [
                torch.zeros_like(self.before[key], dtype=torch.bool).reshape(-1)
                if grad is None
                else (self.sample(grad) == 0).reshape(-1)
                for key, grad in zip(keys, grads, strict=True)
            ]
        ).cpu()
        if not bool((zero & (gap != 0)).any()):
            return
        # Something may have cleared the gradients in place since the step: only what rounding explains is moved.
        scale = torch.maximum(before.abs(), after.abs()) * torch.finfo(self.weights[keys[0]].dtype).eps
        zero &= gap.abs() <= 8 * scale + 1e-3 * (after - before).abs()
        decays = torch.cat([torch.full((self.before[key].numel(),), key in shrinking, device="cpu") for key in keys])
        legs[2] = torch.where(zero, after, legs[2])
        legs[1] = torch.where(zero & ~decays, after, legs[1])


def _plain(weight: Tensor) -> bool:
    """Whether a tensor's own elements can be read one by one."""
    if is_lazy(weight) or is_traceable_wrapper_subclass(weight):
        return False
    return weight.layout == torch.strided and not weight.is_meta


def _stations(*rows: list[Tensor]) -> Tensor:
    wide = torch.complex128 if rows[0][0].is_complex() else torch.float64
    return torch.stack([torch.cat([one.reshape(-1) for one in row]) for row in rows]).cpu().to(wide)
