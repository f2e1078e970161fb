"""`Join`: a formula over layers, tensors and numbers, as a `keras.Model`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

import keras

from ..formula.formula import Formula
from ..formula.joining import check_strict, joined_by, taken_by_name, wrong_inputs
from ..formula.recipe import Recipe
from .fitting import Moving
from .kernels import as_it_stands, one_number, ops
from .layers import Named, untraced
from .making import Made
from .parts import NUMBERS, Parts
from .symbolic import fresh, symbol_of
from .writing import announce, read_parts, written_parts, written_source


@keras.saving.register_keras_serializable("wye")
class Join(Moving, Named, Parts, keras.Model):
    """A model whose value is a formula over its parts and inputs.

    The names that are not parts are its inputs, in the order in which the formula reads them; they are fixed here.
    They are given by position, by name, as a list, or as a dict, of which it takes what it reads. `join.formula =
    text` switches the formula: it is checked first, and the old one stays if the new one fails. Numbers are set by
    assignment, `join.beta = 0.5`. Both take effect in the next step of a fit; the optimizer keeps its state.

    Args:
        formula: a text, a `Formula`, or a callable that takes parts and inputs by name.
        strict: whether undeclared data must fit as it is; False broadcasts as Keras does.
        name: of the model, as Keras knows it.
        **parts: layers, Variables, tensors, numbers, named formulas, Schedules, Tables, Edges, and callables.

    Raises:
        FormulaError: the formula is not in the language.
        PartError: a part is of no known kind, or its name is taken.

    Shape:
        Whatever the formula makes of its inputs; an empty batch is a batch.

    Example:
        >>> import keras, wye.keras as wye
        >>> join = wye.Join("a(x) + gain * b(x)", a=keras.layers.Dense(2), b=keras.layers.Dense(2), gain=0.5)
        >>> tuple(join(keras.ops.zeros((3, 4))).shape)
        (3, 2)
        >>> join.formula = "a(x) * b(x)"
        >>> join.inputs
        ('x',)
    """

    _terms = False

    def __init__(
        self,
        formula: str | Formula | Callable[..., Any],
        /,
        *,
        strict: bool = True,
        name: str | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(name=name)
        check_strict(strict)
        self._strict = strict
        self._inputs_by_name: Inputs = Inputs(None)
        self._hold(parts)
        self._source: Formula | Callable[..., Any] = formula if callable(formula) else Formula(formula)
        self._install(self._make(self._source, self._held.formulas))

    @classmethod
    def of(cls, operator: str, *modules: Callable[..., Any]) -> Join:
        """Layers on one input `x`, joined by the name of an operator: `+ - * / max min mean concat`.

        Example:
            >>> import keras, wye.keras as wye
            >>> str(wye.Join.of("max", keras.layers.Dense(2), keras.layers.Dense(2)).formula)
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
        made = self._make(source, self._held.formulas)
        self._source = source
        self._install(made)

    @property
    def inputs(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The names of its inputs, in order."""
        return self._inputs_by_name.names or ()

    @property
    def code(self) -> str:
        """The statements that a call runs, one for each value."""
        return self._made.code if self._made else inspect.getsource(cast(Any, self._source))

    def _make(self, source: Formula | Callable[..., Any], formulas: Mapping[str, Formula]) -> Made | None:
        if not isinstance(source, Formula):
            self._held.refuse_updates(type(self).__name__, "its value is a callable", "write a formula")
            return None
        tables, updates = self._held.read_by()
        kinds = self._value_kinds()
        recipe = Recipe(source, dict(formulas), *self._names(), kinds, self._strict, self._terms, tables, updates)
        return Made(recipe, self._inputs_by_name.names)

    def _install(self, made: Made | None) -> None:
        self._made = made
        if made is None:
            names = list(inspect.signature(cast(Any, self._source)).parameters)
            found = tuple(name for name in names if name not in self._held.kinds)
        else:
            found = made.inputs
        self._inputs_by_name = Inputs(self._inputs_by_name.names or found)
        self._held.renewed()

    def _replace_formula(self, name: str, formula: Formula) -> None:
        made = self._make(self._source, {**self._held.formulas, name: formula})
        self._held.formulas[name] = formula
        self._install(made)

    def _remake(self) -> None:
        self._install(self._make(self._source, self._held.formulas))

    # what a file holds of it

    def get_config(self) -> dict[str, Any]:
        announce(self)
        return {
            "formula": written_source(self._source, "formula"),
            "inputs": list(self.inputs),
            "strict": self._strict,
            "name": self.name,
            "parts": written_parts(self._held),
            **self._written_settings(),
        }

    def _written_settings(self) -> dict[str, Any]:
        """Further settings."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Join:  # pyright: ignore
        given = {key: value for key, value in config.items() if key not in ("formula", "inputs", "parts")}
        made = cls(config["formula"], **given, **read_parts(config["parts"]))
        made._inputs_by_name = Inputs(tuple(config["inputs"]))
        return made

    def __repr__(self) -> str:
        words = [repr(self._source.text) if isinstance(self._source, Formula) else repr(self._source)]
        layers = [f"{name}={self._held.part(name)!r}" for name, kind in self._held.kinds.items() if kind == "module"]
        return f"{type(self).__name__}({', '.join([*words, *self._settings(), *layers])})"

    # calls

    def _reads(self) -> tuple[str, ...]:
        return self._made.reads if self._made else self.inputs

    def _by_name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The inputs of a call by name, numbers as tensors."""
        title, known, reads = type(self).__name__, self.inputs, self._reads()
        if len(args) == 1 and not kwargs:
            (only,) = args
            if isinstance(only, Mapping) and any(name in only for name in known):
                return _tensors(taken_by_name(f"{title}({', '.join(known)})", reads, [only]))
            if isinstance(only, list | tuple) and len(known) > 1:
                args = tuple(only)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        wrong = wrong_inputs(title, known, reads, len(args), kwargs)
        if wrong is not None:
            raise wrong
        given = {**dict(zip(known, args, strict=False)), **kwargs}
        return _tensors({name: value for name, value in given.items() if name in reads})

    @as_it_stands
    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """The value; Keras tells the layers inside of `training` where the one around them takes it, too."""
        self._seen()
        self._refuse_missing(inputs)
        self._held.training = bool(training)
        if self._made is not None:
            return self._made(self._held.reading, inputs)
        held = self._held
        names = [name for name in inspect.signature(cast(Any, self._source)).parameters if name in held.kinds]
        return cast(Any, self._source)(**{name: self._for_a_callable(name) for name in names}, **inputs)

    def _for_a_callable(self, name: str) -> Any:
        """A part as a callable in the place of the formula gets it: numbers fit the values of the layer."""
        value = self._held.value(name)
        return ops.cast(value, self.compute_dtype) if self._held.kinds[name] in ("number", "schedule") else value

    def compute_output_spec(self, inputs: dict[str, Any], **_: Any) -> Any:
        """The same call on symbols: they check all that is known of the shapes."""
        with untraced(self):
            return keras.tree.map_structure(symbol_of, self.call(fresh(inputs)))


class Inputs:
    """The names of inputs; of Keras's own containers it is none, for Keras would track and save those."""

    def __init__(self, names: tuple[str, ...] | None) -> None:
        self.names = names


def _tensors(values: dict[str, Any]) -> dict[str, Any]:
    return {name: one_number(value) if isinstance(value, NUMBERS) else value for name, value in values.items()}
