"""Which modules ran: plain modules tell it by forward hooks, in eager; a captured graph calls no hook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.utils.hooks import RemovableHandle

from ..torch.flow.chance import Dice
from ..torch.flow.counts import current_backward
from ..torch.flow.node import Node
from .contexts import tensors_in
from .hooks import Hook
from .names import named_modules

is_compiling, is_grad_enabled = torch.compiler.is_compiling, torch.is_grad_enabled
KEPT = 64
"""How many ways through a model are told apart."""
LONGEST = 512
"""How many modules of a way are told."""
NEVER = -1
SHAPES_ALONE = -1
"""In place of samples: a run on tensors without numbers, by which Keras and others ask for shapes, is none."""


@dataclass
class Run:
    """What one module did. Times are those of the watch, which counts the optimizers' steps.

    Attributes:
        taught: when it last ran on samples while gradients were on.
        empty: when it last ran on none.
        off: when it last ran while gradients were off.
    """

    name: str
    leaf: bool
    calls: int = 0
    samples: int = 0
    taught: int = NEVER
    empty: int = NEVER
    off: int = NEVER
    captured: bool = False

    def capture(self) -> None:
        """A graph was captured with it, and runs it unseen. Dynamo runs this as it is."""
        self.captured = True

    capture._dynamo_marked_constant = True  # type: ignore[attr-defined]


class Calls:
    """The runs of all modules of some models, and the ways through the models: which leaves ran, in which order.

    Attributes:
        now: the time, in optimizer steps.
        way: the leaves that have run since a model was called.
        given: what modules gave in that call, kept while it lasts where gradients are followed.
        cut: the modules whose values arrived detached: when, and where.
    """

    def __init__(self, models: Mapping[str, nn.Module]) -> None:
        self.now = 0
        self.runs: dict[int, Run] = {}
        self.ways: Counter[tuple[str, ...]] = Counter()
        self.rows: Counter[tuple[str, ...]] = Counter()
        self.way: list[str] | None = None
        self.given: dict[int, tuple[str, Tensor]] | None = None
        self.cut: dict[str, tuple[int, str]] = {}
        self._handles: list[RemovableHandle] = []
        self._shy: list[nn.Module] = []
        self._shy_handles: list[RemovableHandle] = []
        for prefix, model in models.items():
            for name, module in named_modules(model):
                if has_forward(module) and id(module) not in self.runs:
                    self._attach(f"{prefix}{name}", module)

    def _attach(self, name: str, module: nn.Module) -> None:
        self.runs[id(module)] = Run(name, is_leaf(module))
        if isinstance(module, nn.TransformerEncoderLayer):
            self._shy += [one for one in module.modules() if has_forward(one)]
        elif not any(module is one for one in self._shy):
            self._handles.append(module.register_forward_hook(Seen(self, self.runs[id(module)])))

    def face(self) -> None:
        """Encoder layers take a faster way, of other bits, while gradients are off and nothing is hooked to them."""
        if not is_grad_enabled():
            self.turn_away()
        elif not self._shy_handles:
            runs = self.runs
            self._shy_handles = [
                one.register_forward_hook(Seen(self, runs[id(one)])) for one in self._shy if id(one) in runs
            ]

    def turn_away(self) -> None:
        """Between calls of the models nothing is hooked to them: they may be called by themselves."""
        for handle in self._shy_handles:
            handle.remove()
        self._shy_handles = []

    def met(self, run: Run | None, args: Any, output: Any) -> None:
        """Notices where what a module gave arrives without its graph; None receives what the model returns."""
        if self.given is None or not is_grad_enabled():
            return
        for tensor in tensors_in(args):
            giver, _ = self.given.get(place(tensor), (None, None))
            if giver is not None and place(tensor) and not tensor.requires_grad:
                self.cut[giver] = self.now, f"`{run.name}` got it" if run else "the model returned it"
        if run is not None:
            self.given |= {place(one): (run.name, one) for one in tensors_in(output) if one.requires_grad}

    def ended(self, samples: int) -> None:
        """A call of a model ended."""
        way, self.way = tuple((self.way or [])[:LONGEST]), None
        if way not in self.ways and len(self.ways) >= KEPT:
            way = ("…",)
        self.ways[way] += 1
        self.rows[way] += samples

    def stop(self) -> None:
        self.turn_away()
        for handle in self._handles:
            handle.remove()
        self._handles, self._shy = [], []


class Seen(Hook):
    """The hook of one module."""

    def __init__(self, calls: Calls, run: Run) -> None:
        self.calls, self.run = calls, run

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        run, calls = self.run, self.calls
        if is_compiling():
            run.capture()
            return
        samples = rows(args, output)
        if samples == SHAPES_ALONE:
            return
        if calls.given is not None:
            calls.met(run, args, output)
        if current_backward() == -1:  # what runs within a backward is a checkpoint's second run
            run.calls += 1
            run.samples += samples
            if run.leaf and calls.way is not None:
                calls.way.append(run.name)
        if not is_grad_enabled():
            run.off = calls.now
        elif samples:
            run.taught = calls.now
        else:
            run.empty = calls.now


def has_forward(module: nn.Module) -> bool:
    """Whether a module is ever called: a list of modules is not, and dice are thrown. A script calls no hook."""
    own = "forward" in vars(module)  # a Join makes its forward from its formula
    return (own or type(module).forward is not nn.Module.forward) and not isinstance(module, Dice | ScriptModule)


def is_leaf(module: nn.Module) -> bool:
    """Whether a way names it: what has no modules inside, and torch's own whole, such as attention."""
    if isinstance(module, Node | nn.Sequential):
        return False
    own = type(module).__module__.startswith("torch.nn.modules")
    return own or not any(has_forward(child) for _, child in named_modules(module) if child is not module)


def rows(args: Any, output: Any) -> int:
    """The entries of the first axis of the first tensor that went in; else, as by keywords, of the first that came out.

    A number among the outputs, such as a loss, has no samples to count.
    """
    tensor = args[0] if args and args[0].__class__ is Tensor else next(tensors_in(args), None)
    if tensor is None:
        tensor = next((one for one in tensors_in(output) if one.is_nested or one.dim()), None)
    if tensor is None:
        return 1
    if tensor.is_meta:
        return SHAPES_ALONE
    if tensor.is_nested:
        return tensor.size(0)
    return int(shape[0]) if (shape := tensor.shape) else 1


def place(tensor: Tensor) -> int:
    """Where its numbers lie; what was detached lies where it lay. 0: nowhere that one could tell."""
    try:
        return tensor.data_ptr() if tensor.layout is torch.strided and not tensor.is_meta else 0
    except RuntimeError:  # a transform's tensor, as of `vmap`, has no numbers of its own
        return 0
