"""`Objective`: a formula whose value is a loss, and whose named values are its terms."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from ..errors import InputError, NonFiniteError, PartError, Place, ShapeError, WyeWarning, listed
from ..formula.formula import Formula
from .join import Join

STILL = 100
"""Training calls after which a schedule that never moved is worth a warning."""
NONFINITE = ("keep", "raise", "skip")

Terms = dict[str, Tensor]


class Objective(Join):
    """A loss as a formula: a call returns the total and its terms.

    `terms` is a plain dict of detached tensors without axes: the named values that the formula reached, and the
    unnamed summands of its last line under their text. Nothing waits for the device.

    Args:
        formula: as for `Join`; its value has no axes.
        on_nonfinite: what becomes of a total that is infinite or NaN: `keep` it; `raise` a NonFiniteError that names
            the term; or `skip`: return a fresh zero that leads to no weight. The last two wait for the device.
        strict: as for `Join`.
        **parts: as for `Join`; whole networks too: one optimizer over `objective.parameters()` trains them all.

    Raises:
        ShapeError: the value has axes.
        NonFiniteError: with `on_nonfinite="raise"`.

    Example:
        >>> import torch, wye
        >>> loss = wye.Objective("ce + beta * norm(w)", ce="cross_entropy(logits, label)", beta=0.1)
        >>> total, terms = loss(logits=torch.zeros(2, 4), label=torch.tensor([0, 3]), w=torch.ones(4))
        >>> {name: round(float(term), 4) for name, term in terms.items()}
        {'ce': 1.3863, 'beta * norm(w)': 0.2}
    """

    _terms = True

    def __init__(
        self,
        formula: str | Formula | Callable[..., Any],
        /,
        *,
        on_nonfinite: str = "keep",
        strict: bool = True,
        **parts: Any,
    ) -> None:
        if on_nonfinite not in NONFINITE:
            raise PartError(
                "a total that is not finite can be kept, raised or skipped.",
                f"on_nonfinite={on_nonfinite!r}",
                repr(on_nonfinite),
                f"choose from {', '.join(map(repr, NONFINITE))}",
            )
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
        given: dict[str, Any] = {}
        for name in self.inputs:
            found = [mapping[name] for mapping in (*mappings, more) if name in mapping]
            if any(value is not found[0] for value in found):
                raise InputError(
                    f"two mappings hold an input `{name}`.",
                    f"{type(self).__name__}.on(...)",
                    name,
                    f"give it by name: {name}=...",
                )
            if found:
                given[name] = found[0]
        missing = [name for name in (self._made.reads if self._made else self.inputs) if name not in given]
        if missing:
            known = [name for mapping in (*mappings, more) for name in mapping]
            raise InputError(
                f"the input `{missing[0]}` is in none of the mappings.",
                f"{type(self).__name__}.on(...)",
                f"keys {listed(map(str, known))}",
                f"give {missing[0]}=..., or a mapping that has it",
            )
        return self(**given)

    def follow(self, optimizer: Optimizer) -> RemovableHandle:
        """Advances `step` after each step of the optimizer; the handle's `remove()` ends it."""
        held = weakref.ref(self)

        def advance(*_: object) -> None:
            objective = held()
            if objective is not None:
                objective.advance()

        return optimizer.register_step_post_hook(advance)

    def advance(self) -> None:
        """Counts one optimizer step by hand; schedules move."""
        super().advance()
        self._still = -1

    def _finish(self, total: Any, terms: Mapping[str, Any]) -> tuple[Tensor, Terms]:
        """The total and its terms, from what the formula computed."""
        if not isinstance(total, Tensor):
            total = torch.as_tensor(float(total))
        if total.dim() != 0:
            text = self._made.text if self._made else ""
            line = str(self.formula).rpartition("\n")[2]
            raise ShapeError(
                "the value of an objective has no axes.",
                Place(text, 0, len(text.partition("\n")[0])) if text else line,
                f"shape {tuple(total.shape)}",
                f"take the mean: mean({line})",
            )
        plain = {
            name: value.detach() if isinstance(value, Tensor) else torch.as_tensor(float(value))
            for name, value in terms.items()
            if (isinstance(value, Tensor) and value.dim() == 0) or isinstance(value, bool | int | float)
        }
        if not torch.compiler.is_compiling():
            self._watch_schedules()
            if self._on_nonfinite != "keep" and not bool(torch.isfinite(total)):
                return self._nonfinite(total, plain), plain
        return total, plain

    def _nonfinite(self, total: Tensor, terms: Terms) -> Tensor:
        if self._on_nonfinite == "skip":
            return torch.zeros_like(total, requires_grad=total.requires_grad)
        guilty = [name for name, term in terms.items() if not bool(torch.isfinite(term))]
        values = ", ".join(f"{name} = {float(term):g}" for name, term in terms.items())
        what = f"the term `{guilty[0]}` is not finite." if guilty else "the total is not finite, though every term is."
        fix = 'look into that term, or skip such batches: on_nonfinite="skip"'
        raise NonFiniteError(what, str(self.formula), values or f"total = {float(total):g}", fix)

    def _watch_schedules(self) -> None:
        """A schedule that no optimizer step ever moves is hardly meant."""
        if not self._schedules or self._still < 0 or not self.training or not torch.is_grad_enabled():
            return
        self._still += 1
        if self._still == STILL:
            names = ", ".join(f"`{name}`" for name in self._schedules)
            warnings.warn(
                f"{names} never moved in {STILL} training calls: "
                "say objective.follow(optimizer), or advance() by hand.",
                WyeWarning,
                stacklevel=2,
            )


__all__ = ["Objective"]
