"""The terms of an objective over time: what each is worth, what it weighs, and its share of the gradient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..formula.formula import Formula
from ..formula.totals import summands_of
from ..torch.objective import Objective, observe
from .account import Term
from .contexts import Batch, Context, contexts_of, tensors_in
from .hooks import Hook
from .series import Numbers
from .shares import Shares, hidden_in, shares_of
from .slopes import Edge, ReachError, edge_of, now

COMPILED = "the objective is compiled, and its terms stay inside the graph: compile the networks, not the objective"
UNSEEN = "no training call of the objective was seen outside of a captured graph"
SKIPPED = "the batch was skipped: its total is not finite"
NONE = "the objective returns no terms: let it return (total, terms)"


class Call:
    """A call that is under way: when it began, and the edges that gradients are taken at."""

    def __init__(self, given: list[Tensor]) -> None:
        self.since = now()
        self.places: dict[Edge, None] = dict.fromkeys(edge_of(tensor) for tensor in given if tensor.requires_grad)
        self.total: Tensor | None = None
        self.terms: Mapping[str, Any] = {}


class Ear(Hook):
    """A hook that is deaf in captured graphs."""

    def __init__(self, hear: Callable[..., None]) -> None:
        self._hear = hear

    def __call__(self, *args: Any) -> None:
        if not torch.compiler.is_compiling():
            self._hear(*args)


class Terms:
    """Follows the terms of an objective on sampled steps: the first, and every `every`-th from there.

    Of a step its first training call counts: with gradients on, not in eval mode, and with a total that requires a
    gradient. With h for what the objective was handed and requires a gradient (inputs, and what its parts make of
    plain data; without any, its own Parameters), and the derivatives those of the loss alone, h held still:

        value   t
        weight  w = ∂total/∂t, by all ways: 1 for a summand, beta for `ce` in `beta * ce`
        share   ‖w ∂t/∂h‖ / Σ ‖c ∂s/∂h‖

    The sum goes over the summands s of the formula's top line, which stand there c times; so their shares add up to 1,
    and a named value inside a summand has its share beside them. Where the top line is no sum, or the objective is a
    callable or another module, the sum goes over the terms that lie in no other term, and `rest`: what comes by way of
    none. The total itself has share 1.

    Nothing runs a second time but the backward of the loss, up to h and by hand: no hook fires, `.grad` and the graph
    stay as they are, and nothing of the graph is held when the call is over. What cannot be had is None, and `why_not`
    says why.

    Args:
        objective: an Objective, or a module that returns a total, or a total and a dict of its terms; None: nothing.
        every: of how many optimizer steps one is looked at.
    """

    def __init__(self, objective: nn.Module | None, every: int = 50) -> None:
        self.every = every
        self.terms: dict[str, Term] = {}
        self.contexts: dict[str, Context] = {}
        self.batch = Batch()
        self.rest = Numbers()
        self.reasons: Counter[str] = Counter()
        self._outer = objective
        self._inner: nn.Module | None = getattr(objective, "_orig_mod", objective)
        self._step, self._wanted, self._seen = 0, True, False
        self._call: Call | None = None
        self._ends: list[Callable[[], None]] = []
        self._heard: dict[int, Callable[[], None]] = {}
        if objective is not None and self._inner is not None:
            before, after = Ear(self._before), Ear(self._after)
            self._ends = [
                objective.register_forward_pre_hook(before, with_kwargs=True).remove,
                objective.register_forward_hook(after, always_call=True).remove,
            ]
            if isinstance(self._inner, Objective):
                self._ends.append(observe(self._inner, self._told))
            self.contexts = contexts_of(self._inner)
            self._hear_parts()

    def due(self, step: int) -> bool:
        """Called with the number of optimizer steps so far; whether the next call is looked at."""
        self._call = None
        if step != self._step:
            self._step, self._wanted = step, step % self.every == 0
            if self._wanted and self._ends:
                self._hear_parts()
        return self._wanted

    def stop(self) -> None:
        """Lets the objective go; what was found stays readable."""
        for end in (*self._ends, *self._heard.values()):
            end()
        self._ends, self._heard, self._call, self._outer, self._inner = [], {}, None, None, None

    @property
    def why_not(self) -> str:
        """Why there are no terms, or why they lack a weight or a share; empty where all is there."""
        if self.terms:
            return next((why for why, _ in self.reasons.most_common(1)), "")
        if getattr(self._outer, "_compiled_call_impl", None) is not None:
            return COMPILED
        return NONE if self._seen else UNSEEN

    # what happens

    def _hear_parts(self) -> None:
        """What parts make of plain data is where networks end, in an objective that owns them."""
        children = dict(self._inner.named_children()) if isinstance(self._inner, Objective) else {}
        parts = {id(part): part for part in children.values()}
        for gone in [key for key in self._heard if key not in parts]:
            self._heard.pop(gone)()
        for key, part in parts.items():
            if key not in self._heard:
                hook = part.register_forward_hook(Ear(self._part), with_kwargs=True)
                self._heard[key] = hook.remove

    def _before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._call = None
        if not self._wanted or module is not self._outer or not module.training or not torch.is_grad_enabled():
            return
        given = list(tensors_in((args, kwargs)))
        if in_a_capture(given):
            return
        self._call = Call(given)
        self.batch = Batch.of(given)

    def _part(self, part: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if self._call is None or any(tensor.requires_grad for tensor in tensors_in((args, kwargs))):
            return
        self._call.places |= dict.fromkeys(edge_of(one) for one in tensors_in(output) if one.requires_grad)

    def _told(self, objective: Objective, total: Tensor, terms: Mapping[str, Any]) -> None:
        if self._call is not None and objective is self._inner:
            self._call.total, self._call.terms = total, terms

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        call, self._call = self._call, None
        if call is None or output is None or module is not self._outer:
            return
        live = call.total is not None
        if call.total is None:
            whole = cast(tuple[Any, ...], output) if isinstance(output, tuple) else (output,)
            call.total = whole[0]
            call.terms = whole[1] if len(whole) == 2 and isinstance(whole[1], Mapping) else {}
        total = call.total
        if not isinstance(total, Tensor) or total.dim() or not total.requires_grad:
            return
        self._wanted, self._seen = False, True
        if self._inner is not None:
            self.contexts = contexts_of(self._inner)
        terms = {
            str(name): term if isinstance(term, Tensor) else torch.as_tensor(float(term))
            for name, term in call.terms.items()
            if (isinstance(term, Tensor) and term.dim() == 0) or isinstance(term, bool | int | float)
        }
        with ExitStack() as quiet:
            quiet.enter_context(torch.no_grad())
            quiet.enter_context(torch.random.fork_rng([total.device] if total.is_cuda else []))
            for kind in {"cpu", total.device.type}:
                if torch.is_autocast_enabled(kind):
                    quiet.enter_context(torch.autocast(kind, enabled=False))
            if terms:
                # A skipped batch returns another total, which leads to no weight.
                skipped = live and output[0] is not total and not bool(torch.isfinite(total))
                none = dict.fromkeys(terms)
                found = Shares({**none}, {**none}, None, SKIPPED) if skipped else None
                self._note(terms, found or self._shares(total, terms, call, live))

    def _note(self, terms: Mapping[str, Tensor], found: Shares) -> None:
        """Values, weights and shares of one call, written down."""
        self.reasons.update([found.why] if found.why else [])
        for name, term in terms.items():
            kept = self.terms.setdefault(name, Term(since=self._step))
            kept.until = None
            kept.value.put(self._step, float(term.detach()))
            kept.weight.put(self._step, found.weights[name])
            kept.share.put(self._step, found.shares[name])
        self.rest.put(self._step, found.rest)
        for name, kept in self.terms.items():
            if name not in terms and kept.until is None:
                kept.until = self._step

    def _shares(self, total: Tensor, terms: Mapping[str, Tensor], call: Call, live: bool) -> Shares:
        formula, summands, hidden = getattr(self._inner, "formula", None), None, frozenset[str]()
        written = live and isinstance(formula, Formula)  # then what requires no gradient has none, and is not cut off
        if isinstance(self._inner, Objective) and isinstance(formula, Formula):
            summands = summands_of(formula, self._inner.inputs, terms)
            hidden = hidden_in(self._inner.code, terms)
        known: dict[str, float | None] = {
            name: 1.0 if summands and name in summands and not name.isidentifier() else None for name in terms
        }
        detached = [] if written else [name for name, term in terms.items() if not term.requires_grad]
        if len(detached) == len(terms):
            return Shares(known, dict.fromkeys(terms), None, "the terms came detached from the graph")
        places = call.places or own_weights(self._inner)
        try:
            found = shares_of(total, terms, summands, list(places), call.since, hidden)
        except ReachError as error:
            return Shares(known, dict.fromkeys(terms), None, str(error))
        except Exception as error:  # whatever a backward may raise: the run goes on
            first = next(iter(str(error).splitlines()), "")
            return Shares(known, dict.fromkeys(terms), None, f"{type(error).__name__} in a backward: {first}")
        if not detached:
            return found
        shares = {name: None if name in detached else share for name, share in found.shares.items()}
        return Shares(found.weights, shares, found.rest, f"`{detached[0]}` came detached from the graph")


def own_weights(module: nn.Module | None) -> dict[Edge, None]:
    weights = module.parameters(recurse=False) if module is not None else []
    return dict.fromkeys(edge_of(weight) for weight in weights if weight.requires_grad)


def in_a_capture(given: list[Tensor]) -> bool:
    """Whether numbers cannot be read now: a transform is active, or a CUDA graph is being recorded."""
    transformed: Any = torch._C._are_functorch_transforms_active  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    return transformed() or (any(one.is_cuda for one in given) and torch.cuda.is_current_stream_capturing())


__all__ = ["Terms"]
