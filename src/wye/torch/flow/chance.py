"""Dice: one fall for each node and optimizer step, a hash of the node's seed and that step.

No generator is involved, so a recomputed forward, several forwards before one step, and a resumed run all see the
same die. In a captured graph the hash is computed by tensors of int64, and the step is their input: one graph serves
all falls.
"""

from __future__ import annotations

import warnings
import weakref
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from ...errors import FlowError, InputError, PartError, WyeWarning
from ...formula.chance import MASK, check_bounds, fall, mix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 100
"""So many training calls without one step of an optimizer that holds the node's weights, and the die warns."""


# One operator: written out, the hash uses values twice in each line, and a compiler that inlines them takes minutes.
@torch.library.custom_op("wye::fall", mutates_args=())
def traced_fall(state: Tensor, place: int) -> Tensor:
    """The same bits of a seed and a step in a tensor, as one operator of a captured graph."""
    return fall(state[0], state[1], place)


@traced_fall.register_fake
def _(state: Tensor, place: int) -> Tensor:
    return state.new_empty(())


check_bounds._dynamo_marked_constant = True  # type: ignore[attr-defined]


class Dice(nn.Module):
    """The seed and the step of a node's dice, saved with the weights.

    The seed is drawn when the node is built, from torch's generator; the step moves with the optimizer that holds
    weights of the node, or with any where the node has none.
    """

    state: Tensor

    def __init__(self, node: nn.Module) -> None:
        super().__init__()
        self.register_buffer("state", torch.stack([torch.randint(2**31, ()), torch.zeros((), dtype=torch.int64)]))
        self.__dict__["_node"] = weakref.ref(node)
        self._remember()

    def _remember(self) -> None:
        self._seed, self._steps = (int(value) for value in self.state.tolist())
        self._known = self.state, version(self.state)
        self._calls = 0
        self.due: Callable[[], object] = lambda: None  # a move that waits for the end of a backward, while that lives
        ALIVE.add(self)

    def _refresh(self) -> None:
        """Reads the state again where it was put in place or written into, as loading and broadcasting do."""
        if self._known[0] is not self.state or self._known[1] != version(self.state):
            self._remember()

    def bits(self, place: int) -> int:
        """32 random bits, for what stands at a place of the formula."""
        self._refresh()
        self.wait()
        return fall(self._seed, self._steps, place)

    def captured_bits(self, place: int) -> Tensor:
        """The same as a tensor without axes, within a capture."""
        self._refuse_export()
        return traced_fall(self.state, place)

    def fall(self, kind: str, place: int, bounds: tuple[float, ...]) -> float:
        """What the die or the coin at a place of the formula shows."""
        bits = self.bits(place)
        check_bounds(kind, bounds)
        if kind == "coin":
            return bits < bounds[0] * 2**32
        low, high = bounds
        return int(low) + bits % (int(high) - int(low) + 1)

    def captured_fall(self, kind: str, place: int, bounds: tuple[Any, ...]) -> Tensor:
        """The same as a tensor without axes, within a capture."""
        if not any(isinstance(bound, Tensor) for bound in bounds):
            check_bounds(kind, bounds)
        bits = self.captured_bits(place)
        if kind == "coin":
            return bits < bounds[0] * 2**32
        low, high = (bound.long() if isinstance(bound, Tensor) else int(bound) for bound in bounds)
        return low + bits % (high - low + 1)

    def _refuse_export(self) -> None:
        if torch.compiler.is_exporting():
            raise FlowError(
                "an exported graph has no optimizer, so its die would show one face for ever.",
                getattr(self.__dict__["_node"](), "line", "torch.export"),
                "a module in training",
                "export in eval, where nothing is drawn: module.eval()",
            )

    _refuse_export._dynamo_marked_constant = True  # type: ignore[attr-defined]

    def wait(self) -> None:
        """A die that is thrown again and again while no optimizer moves it is told of."""
        if self._steps or not torch.is_grad_enabled():
            return
        self._calls += 1
        if self._calls == PATIENCE:
            warnings.warn(
                f"a die has shown one face in {PATIENCE} training calls, for no optimizer has stepped that holds "
                "weights of its node; give them to one, or call wye.tick(module) after each step",
                WyeWarning,
                stacklevel=2,
            )

    def advance(self) -> None:
        """Moves on by one optimizer step."""
        self._refresh()
        self._put(self._seed, self._steps + 1)

    def reseed(self, seed: int) -> None:
        """Another seed; the step stays."""
        self._refresh()
        self._put(seed, self._steps)

    @property
    def seed(self) -> int:
        self._refresh()
        return self._seed

    def _put(self, seed: int, steps: int) -> None:
        self.state = torch.tensor([seed, steps], device=self.state.device)
        self._remember()

    def weights(self) -> Iterator[nn.Parameter]:
        node = self.__dict__["_node"]()
        return iter(()) if node is None else node.parameters()

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._remember()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_node", "_known", "due")}

    def belongs_to(self, node: nn.Module) -> None:
        """Tells the dice of a copied or loaded node whose they are."""
        self.__dict__["_node"] = weakref.ref(node)
        self._remember()


def version(tensor: Tensor) -> int:
    """How often a tensor was written into; in inference mode nobody counts."""
    return 0 if tensor.is_inference() else tensor._version


ALIVE: weakref.WeakSet[Dice] = weakref.WeakSet()


def held_by(optimizer: Optimizer) -> set[int]:
    """The ids of the weights that an optimizer holds."""
    return {id(weight) for group in optimizer.param_groups for weight in group["params"]}


def _count(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """After an optimizer's step, the dice of the nodes whose weights it holds move on.

    A step within a backward comes before parts of that backward, which may recompute what it needs: then they move
    at its end, once.
    """
    held: set[int] | None = None
    within = torch._C._current_graph_task_id() != -1  # pyright: ignore[reportPrivateUsage]
    for dice in list(ALIVE):
        weights = {id(weight) for weight in dice.weights()}
        if held is None:
            held = held_by(optimizer)
        if weights and not weights & held:
            continue
        if not within:
            dice.advance()
        elif dice.due() is None:
            move = partial(Dice.advance, dice)
            dice.due = weakref.ref(move)
            _after_backward(move)


def _after_backward(act: Callable[[], None]) -> None:
    """Calls it when the backward that runs is over; of one within another, as checkpointing does it, the outermost."""

    def over() -> None:
        around: Any = torch._C._current_autograd_node()  # pyright: ignore[reportPrivateUsage]
        if around is None:
            act()
            return

        def resumed(*grads: Any) -> None:
            hook.remove()
            _after_backward(act)

        hook = around.register_hook(resumed)

    torch.autograd.Variable._execution_engine.queue_callback(over)  # pyright: ignore[reportPrivateUsage]


register_optimizer_step_post_hook(_count)


def seed(module: nn.Module, value: int | None = None) -> int:
    """Gives each die in a module a seed of its own, made of `value` and of the path to the die.

    A deep copy throws the same dice as its original, until it is seeded.

    Args:
        module: the module; dice are found at any depth.
        value: a whole number; None: of the seed that the die has.

    Returns:
        How many dice there are.

    Example:
        >>> import copy, torch, wye
        >>> net = wye.Repeat(torch.nn.Linear(2, 2), "die(0, 3)")
        >>> twin = copy.deepcopy(net)
        >>> wye.seed(twin, 7)
        1
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PartError(
            "a seed is a whole number.", f"seed(..., {value!r})", type(value).__name__, "write seed(net, 7)"
        )
    found = dice_of(module)
    for path, dice in found.items():
        given = dice.seed if value is None else value
        dice.reseed(mix(mix(given & MASK) ^ mix(given >> 32 & MASK) ^ zlib.crc32(path.encode())) >> 1)
    return len(found)


def tick(module: nn.Module) -> int:
    """Moves each die in a module on by one step, where no optimizer of torch does.

    Args:
        module: the module; dice are found at any depth.

    Returns:
        How many dice there are.

    Example:
        >>> import torch, wye
        >>> net = wye.Repeat(torch.nn.Linear(2, 2), "die(0, 3)")
        >>> wye.tick(net)
        1
    """
    found = dice_of(module)
    for dice in found.values():
        dice.advance()
    return len(found)


def dice_of(module: nn.Module) -> dict[str, Dice]:
    """The dice in a module by their paths; one that is held twice has its first."""
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        got, fix = type(module).__name__, "give a module: wye.seed(net, 7), wye.tick(net)"
        raise InputError("only modules hold dice.", "seed(...) or tick(...)", got, fix)
    return {path: one for path, one in module.named_modules() if isinstance(one, Dice)}
