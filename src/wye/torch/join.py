"""`Join`: a formula over networks, tensors and numbers, as a module."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, cast

import torch
from torch import nn
from torch.func import functional_call

from ..errors import FlowError, InputError, PartError
from ..formula.formula import Formula
from ..formula.joining import check_strict, joined_by, wrong_inputs
from ..formula.recipe import Recipe
from ..formula.totals import shown
from .failures import explained
from .front import capturing
from .keras_layer import adopted
from .making import Made
from .parts import Parts

current_backward = torch._C._current_graph_task_id  # pyright: ignore[reportPrivateUsage]
GENERATED = ("forward", "_traced", "_made")


class Join(Parts):
    """A module whose value is a formula over its parts and inputs.

    The names that are not parts are its inputs, in the order in which the formula reads them; they are fixed here.
    `join.formula = text` switches the formula: it is checked first, and the old one stays if the new one fails.
    Numbers are set by assignment, `join.beta = 0.5`, and take effect at the next call, without a new compilation.

    Args:
        formula: a text, a `Formula`, or a callable that takes parts and inputs by name.
        strict: whether undeclared data must fit as it is; False broadcasts as torch does.
        **parts: modules, Parameters, tensors (buffers), numbers, named formulas, Schedules, Tables, Edges, callables;
            also layers of Keras on its torch backend, once they are built: train() and eval() reach them.

    Raises:
        FormulaError: the formula is not in the language.
        PartError: a part is of no known kind, or its name is taken.

    Shape:
        Whatever the formula makes of its inputs; an empty batch is a batch.

    Example:
        >>> import torch, wye
        >>> join = wye.Join("a(x) + gain * b(x)", a=torch.nn.Linear(4, 2), b=torch.nn.Linear(4, 2), gain=0.5)
        >>> join(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
        >>> join.formula = "a(x) * b(x)"
        >>> join.inputs
        ('x',)
    """

    _terms = False
    _inputs: tuple[str, ...] | None = None

    def __init__(self, formula: str | Formula | Callable[..., Any], /, *, strict: bool = True, **parts: Any) -> None:
        super().__init__()
        check_strict(strict)
        self._strict = strict
        self._hold(parts)
        self._source: Formula | Callable[..., Any] = formula if callable(formula) else Formula(formula)
        self._install(self._make(self._source, self._formulas))

    @classmethod
    def of(cls, operator: str, *modules: Callable[..., Any]) -> Join:
        """Modules on one input `x`, joined by the name of an operator: `+ - * / max min mean concat`.

        Example:
            >>> import torch, wye
            >>> str(wye.Join.of("max", torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)).formula)
            'max(a(x), b(x))'
        """
        text, names = joined_by(operator, len(modules))
        parts: dict[str, Any] = dict(zip(names, modules, strict=True))
        return cls(text, **parts)

    # the formula

    @property
    def formula(self) -> Formula | Callable[..., Any]:
        """The formula, to be read and assigned."""
        return self._source

    @formula.setter
    def formula(self, formula: str | Formula | Callable[..., Any]) -> None:
        source = formula if callable(formula) else Formula(formula)
        made = self._make(source, self._formulas)
        self._source = source
        self._install(made)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its inputs, in order."""
        return self._inputs or ()

    @property
    def code(self) -> str:
        """The statements that a call runs, one for each value."""
        return (self.__dict__["forward"].__doc__ or "") if self._made else inspect.getsource(cast(Any, self._source))

    def _make(self, source: Formula | Callable[..., Any], formulas: Mapping[str, Formula]) -> Made | None:
        if not isinstance(source, Formula):
            self._refuse_updates("its value is a callable", "write a formula")
            return None
        return Made(self._recipe(source, formulas), self._inputs)

    def _recipe(self, source: Formula, formulas: Mapping[str, Formula]) -> Recipe:
        kinds = self._value_kinds()
        tables, updates = self._read_by()
        return Recipe(source, dict(formulas), *self._names(), kinds, self._strict, self._terms, tables, updates)

    def _install(self, made: Made | None) -> None:
        self._made = made
        if made is None:
            self._install_callable()
            return
        self._inputs = made.inputs
        self.__dict__["forward"] = MethodType(made.forward, self)
        self.__dict__["_traced"] = MethodType(made.traced, self)

    def _install_callable(self) -> None:
        """A callable in the place of a formula: parts and inputs reach it by name."""
        names = list(inspect.signature(cast(Any, self._source)).parameters)
        inputs = tuple(name for name in names if name not in self._kinds)
        self._inputs = self._inputs or inputs

        def forward(*args: Any, **kwargs: Any) -> Any:
            given = {**dict(zip(inputs, args, strict=False)), **kwargs}
            held = {name: self._callables.get(name) or getattr(self, name) for name in names if name in self._kinds}
            return cast(Any, self._source)(**held, **given)

        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in inputs]
        forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        self.__dict__["forward"] = forward

    def _otherwise(self, *inputs: Any) -> Any:
        """A call whose inputs are not all tensors of floats."""
        assert self._made is not None
        if capturing():
            return cast(Any, self)._traced(
                *(torch.as_tensor(value) if isinstance(value, bool | int | float) else value for value in inputs)
            )
        return self._made.variant(inputs)(self, *inputs)

    def _replace_formula(self, name: str, formula: Formula) -> None:
        made = self._make(self._source, {**self._formulas, name: formula})
        self._formulas[name] = formula
        self._install(made)

    # calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._compiled_call_impl is not None:
                return self._compiled_call_impl(*args, **kwargs)
            return self._call_impl(*args, **kwargs)
        except Exception as error:
            told = self._told(error, args, kwargs)
            if told is error:
                raise
            raise told from None

    def _told(self, error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception:
        """The error in the words of the formula, where it is the formula's."""
        if isinstance(error, TypeError):
            wrong = self._wrong_inputs(args, kwargs)
            if wrong is not None:
                return wrong
        if self._made is None:
            return error
        for function in self._made.codes():
            told = explained(error, function.__code__, self._made.text, self._made.calls)
            if told is not error:
                return told
        return error

    def _wrong_inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> InputError | None:
        required = self._made.reads if self._made else self.inputs
        return wrong_inputs(type(self).__name__, self.inputs, required, len(args), kwargs)

    def _refuse_recompute(self) -> None:
        """A second run of the same call would read the entries that the first one wrote."""
        if not torch.compiler.is_compiling() and self._renews() and current_backward() != -1:
            what, got = "a table was updated, and is read again within a backward.", "a call that is recomputed"
            fix = "checkpoint the networks, and call this outside of that"
            raise FlowError(what, shown(self.formula), got, fix)

    def _refuse_missing(self) -> None:
        raise TypeError("an input is missing")

    # what torch asks of a module

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in GENERATED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._install(self._make(self._source, self._formulas))

    def _replicate_for_data_parallel(self) -> Join:
        replica = cast(Join, super()._replicate_for_data_parallel())
        replica._kinds = {
            name: kind for name, kind in self._kinds.items() if name not in self._mirrors
        }  # set as buffers
        replica._install(self._made)
        return replica

    def extra_repr(self) -> str:
        words = [repr(self._source.text) if isinstance(self._source, Formula) else repr(self._source)]
        return ", ".join([*words, *self._settings()])


class Frozen(nn.Module):
    """A module whose weights no gradient reaches, while gradients pass through to its inputs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        # each weight of each module once: torch would restore those of a module that stands twice to the wrong ones
        weights = {
            f"{path}.{name}" if path else name: weight.detach()
            for path, module in self.module.named_modules()
            for name, weight in module.named_parameters(recurse=False)
            if weight.requires_grad
        }
        if not weights:  # as within another Frozen, which holds them already
            return self.module(*args, **kwargs)
        return functional_call(self.module, weights, args, kwargs, tie_weights=False)


def frozen(module: nn.Module) -> Frozen:
    """The module with its weights held still: gradients pass through it, none to its weights.

    The weights stay its own and are saved with it; the same module elsewhere still trains.

    Example:
        >>> import torch, wye
        >>> target = torch.nn.Linear(2, 2)
        >>> join = wye.Join("mse(a(x), stop(b(x)))", a=torch.nn.Linear(2, 2), b=wye.frozen(target))
        >>> join(torch.ones(1, 2)).backward()
        >>> target.weight.grad is None
        True
    """
    module = adopted(module, "module", "frozen(...)")
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PartError(
            "only a module can be frozen.", "frozen(...)", type(module).__name__, "write stop(x) for a value"
        )
    return Frozen(module)
