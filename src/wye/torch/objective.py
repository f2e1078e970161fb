"""`Objective`: a formula whose value is a loss, and whose named values are its terms."""

from __future__ import annotations

import inspect
import os
import warnings
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from ..errors import PartError, WyeWarning
from ..formula.formula import Formula
from ..formula.joining import taken_by_name
from ..formula.running import constant_in_graphs
from ..formula.statements import FILENAME
from ..formula.totals import check_nonfinite, no_scalar, nonfinite, shown, summands_of
from .join import Join

STILL = 100
"""Training calls after which a schedule that never moved is worth a warning."""
INNER = (
    os.path.join(Path(__file__).parents[1], ""),
    os.path.join(Path(torch.__file__).parent, ""),
    FILENAME.partition("{")[0],
)
"""Where the frames between the user's line and a warning lie."""

Terms = dict[str, Tensor]
Observer = Callable[["Objective", Tensor, Mapping[str, Any]], None]
"""Is told the total and the terms of a call while they are still on the graph."""


class Objective(Join):
    """A loss as a formula: a call returns the total and its terms.

    `terms` is a plain dict of detached tensors without axes: the named values that the formula reached, and the
    unnamed summands of its last line under their text. Nothing waits for the device.

    Args:
        formula: as for `Join`; its value has no axes. A callable returns the total, or the total and its terms.
        on_nonfinite: what becomes of a total that is infinite or NaN: `keep` it; `raise` a NonFiniteError that names
            the term; or `skip`: return a fresh zero that leads to no weight. The last two wait for the device, so a
            captured graph refuses them.
        strict: as for `Join`.
        **parts: as for `Join`; whole networks too: one optimizer over `objective.parameters()` trains them all.

    Raises:
        ShapeError: the value has axes.
        NonFiniteError: with `on_nonfinite="raise"`.
        PartError: `raise` and `skip` under torch.compile or torch.export.

    Example:
        >>> import torch, wye
        >>> loss = wye.Objective("ce + beta * norm(w)", ce="cross_entropy(logits, label)", beta=0.1)
        >>> total, terms = loss(logits=torch.zeros(2, 4), label=torch.tensor([0, 3]), w=torch.ones(4))
        >>> {name: round(float(term), 4) for name, term in terms.items()}
        {'ce': 1.3863, 'beta * norm(w)': 0.2}
    """

    _terms = True
    _observers: tuple[Observer, ...] = ()
    _skipped = False

    def __init__(
        self,
        formula: str | Formula | Callable[..., Any],
        /,
        *,
        on_nonfinite: str = "keep",
        strict: bool = True,
        **parts: Any,
    ) -> None:
        check_nonfinite(on_nonfinite)
        super().__init__(formula, strict=strict, **parts)
        self._on_nonfinite = on_nonfinite
        self._still = 0

    def on(self, *mappings: Mapping[str, Any], **more: Any) -> tuple[Tensor, Terms]:
        """The call for a training loop: takes by name what it reads, from outputs and batch as they are.

        Args:
            *mappings: dicts or other mappings; what the objective does not read is left alone.
            **more: further inputs by name.

        Raises:
            InputError: an input is in none of them, or two hold different values under its name.
        """
        reads = self._made.reads if self._made else self.inputs
        return self(**taken_by_name(f"{type(self).__name__}.on(...)", reads, [*mappings, more]))

    def summands(self, *mappings: Mapping[str, Any], **more: Any) -> Terms:
        """What the total is the sum of, each still on its graph: for `Balance`, which weighs their gradients.

        A named value that is subtracted stands under its name, with the minus in its value; a total that is no sum is
        the one summand. Inputs are given as to `on`.

        Raises:
            PartError: the objective is a callable, or compiled.

        Example:
            >>> import torch, wye
            >>> w = torch.ones(3, requires_grad=True)
            >>> found = wye.Objective("fit - gain", fit="sum(w)", gain="mean(w)").summands(w=w)
            >>> {name: term.item() for name, term in found.items()}, found["fit"].requires_grad
            ({'fit': 3.0, 'gain': -1.0}, True)
        """
        if not isinstance(self._source, Formula):
            what, got = "a callable does not tell its summands.", shown(self._source)
            raise PartError(
                what, "Objective.summands(...)", got, "write a formula, or give Balance a dict of the terms"
            )
        heard: list[tuple[Tensor, Mapping[str, Any]]] = []
        end = observe(self, lambda _, total, terms: heard.append((total, terms)))
        try:
            total, _ = self.on(*mappings, **more)
        finally:
            end()
        if not heard:
            what, fix = "a compiled objective keeps its summands inside.", "compile the networks, not the objective"
            raise PartError(what, "Objective.summands(...)", "torch.compile", fix)
        ((whole, terms),) = heard
        named = self._made.analysis.named if self._made else {}
        counts = summands_of(self._source, terms.keys() - named.keys(), terms)
        if counts is None:
            return {str(self._source).rpartition("\n")[2]: total}
        if total is not whole:  # skipped: a fresh zero that leads to no weight
            return {name: torch.zeros_like(total, requires_grad=total.requires_grad) for name in counts}
        found = {name: torch.as_tensor(terms[name]).to(total) for name in counts}
        return {name: found[name] if count == 1 else count * found[name] for name, count in counts.items() if count}

    def follow(self, optimizer: Optimizer) -> RemovableHandle:
        """Advances `step` after each step of the optimizer; the handle's `remove()` ends it."""
        held = weakref.ref(self)

        def advance(*_: object) -> None:
            objective = held()
            if objective is not None:
                objective.advance()

        return optimizer.register_step_post_hook(advance)

    def _install_callable(self) -> None:
        super()._install_callable()
        plain: Callable[..., Any] = self.__dict__["forward"]

        def forward(*args: Any, **kwargs: Any) -> tuple[Tensor, Terms]:
            value = plain(*args, **kwargs)
            if isinstance(value, tuple):
                whole = cast(tuple[Any, ...], value)
                if len(whole) == 2 and isinstance(whole[1], Mapping):
                    return self._finish(whole[0], whole[1])
            return self._finish(value, {})

        forward.__signature__ = cast(Any, plain).__signature__  # type: ignore[attr-defined]
        self.__dict__["forward"] = forward

    def _finish(self, total: Any, terms: Mapping[str, Any]) -> tuple[Tensor, Terms]:
        """The total and its terms, from what the formula computed."""
        if isinstance(total, bool | int | float):
            total = torch.as_tensor(float(total))
        if not isinstance(total, Tensor) or total.dim() != 0:
            shape = tuple(total.shape) if isinstance(total, Tensor) else None
            raise no_scalar(self.formula, self._made.text if self._made else None, total, shape)
        plain = {
            name: value.detach() if isinstance(value, Tensor) else torch.as_tensor(float(value))
            for name, value in terms.items()
            if (isinstance(value, Tensor) and value.dim() == 0) or isinstance(value, bool | int | float)
        }
        if torch.compiler.is_compiling():
            if self._on_nonfinite != "keep":
                refuse_to_wait(self._on_nonfinite)
            return total, plain
        self._watch_schedules()
        for observe in self._observers:
            observe(self, total, {name: terms[name] for name in plain})
        if self._on_nonfinite == "skip":
            self._skipped = not bool(torch.isfinite(total))
        if self._on_nonfinite != "keep" and not bool(torch.isfinite(total)):
            return self._nonfinite(total, plain), plain
        return total, plain

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_observers"}

    def _renews(self) -> bool:
        return super()._renews() and not self._skipped

    def _nonfinite(self, total: Tensor, terms: Terms) -> Tensor:
        if self._on_nonfinite == "skip":
            return torch.zeros_like(total, requires_grad=total.requires_grad)
        raise nonfinite(shown(self.formula), {name: float(term) for name, term in terms.items()}, total.item())

    def _watch_schedules(self) -> None:
        """A schedule that no optimizer step ever moves is hardly meant."""
        if not self._schedules or self._step or not self.training or not torch.is_grad_enabled():
            return
        self._still += 1
        if self._still == STILL:
            names = ", ".join(f"`{name}`" for name in self._schedules)
            warnings.warn(
                f"{names} never moved in {STILL} training calls: "
                "say objective.follow(optimizer), or advance() by hand.",
                WyeWarning,
                stacklevel=users_level() - 1,
            )


def observe(objective: Objective, observer: Observer) -> Callable[[], None]:
    """Tells an observer of each call of the objective outside of captured graphs; what it returns ends it."""
    objective.__dict__["_observers"] = (*objective._observers, observer)  # pyright: ignore[reportPrivateUsage]

    def end() -> None:
        left = [one for one in objective._observers if one is not observer]  # pyright: ignore[reportPrivateUsage]
        objective.__dict__["_observers"] = tuple(left)

    return end


def users_level() -> int:
    """The stack level, seen from here, of the first frame outside of wye, its formulas and torch."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_back is not None and frame.f_code.co_filename.startswith(INNER):
        level, frame = level + 1, frame.f_back
    return level


@constant_in_graphs
def refuse_to_wait(setting: str) -> None:
    """Raises from within a capture; Dynamo runs it, so that the message comes through."""
    raise PartError(
        "a captured graph cannot wait for the device.",
        "Objective(..., on_nonfinite=...)",
        f"on_nonfinite={setting!r}",
        'build it with on_nonfinite="keep", or compile the networks and call the objective outside',
    )


__all__ = ["Objective"]
