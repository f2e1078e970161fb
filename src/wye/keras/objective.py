"""`Objective`: a formula whose value is a loss and whose named values are its terms; it is what one fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import keras

from ..errors import PartError
from ..formula.formula import Formula
from ..formula.joining import taken_by_name
from ..formula.totals import check_nonfinite, no_scalar, nonfinite, shown
from .fitting import Fitted, Means, Over
from .join import Join
from .kernels import Array, Tensor, as_it_stands, ops, truth
from .making import Made

Terms = dict[str, Array]


@keras.saving.register_keras_serializable("wye")
class Objective(Fitted, Join):
    """A loss as a formula: a call returns the total and its terms.

    `terms` is a plain dict of tensors without axes, through which no gradient flows: the named values that the
    formula reached, and the unnamed summands of its last line under their text.

    An objective that owns its networks is what one fits, on a dict: `objective.compile("adam")`, then
    `objective.fit({"image": ..., "label": ...})`. Its value is the loss, and its terms are metrics. `sample_weight`
    and `y` go to the inputs of those names; a dict given as `y` joins the others. `predict` gives one total, and one
    of each term, for each batch.

    Args:
        formula: as for `Join`; its value has no axes. A callable returns the total, or the total and its terms.
        on_nonfinite: what becomes of a total that is infinite or NaN: `keep` it; `raise` a NonFiniteError that names
            the term; or `skip`: return a fresh zero that leads to no weight, in a loop of your own. The last two wait
            for the device, so a captured graph refuses them.
        strict: as for `Join`.
        name: of the model, as Keras knows it.
        **parts: as for `Join`; whole networks too: one optimizer trains them all.

    Raises:
        ShapeError: the value has axes.
        NonFiniteError: with `on_nonfinite="raise"`.
        PartError: `raise` and `skip` within a captured step.

    Example:
        >>> import keras, wye.keras as wye
        >>> loss = wye.Objective("ce + beta * norm(w)", ce="cross_entropy(logits, label)", beta=0.1)
        >>> zeros, label = keras.ops.zeros((2, 4)), keras.ops.array([0, 3])
        >>> total, terms = loss(logits=zeros, label=label, w=keras.ops.ones(4))
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
        name: str | None = None,
        **parts: Any,
    ) -> None:
        check_nonfinite(on_nonfinite)
        super().__init__(formula, strict=strict, name=name, **parts)
        # its layers may compute in half precision; in that a loss would overflow, and Keras's own have whole floats too
        self.dtype_policy = keras.config.dtype_policy().variable_dtype
        self._on_nonfinite = on_nonfinite

    def on(self, *mappings: Mapping[str, Any], **more: Any) -> tuple[Array, Terms]:
        """The call for a training loop: takes by name what it reads, from outputs and batch as they are.

        Args:
            *mappings: dicts or other mappings; what the objective does not read is left alone.
            **more: further inputs by name.

        Raises:
            InputError: an input is in none of them, or two hold different values under its name.
        """
        return self._on([*mappings, more])

    def _on(self, mappings: Sequence[Any], training: bool | None = None) -> tuple[Array, Terms]:
        """The same within a step, which says whether it trains."""
        return self(**taken_by_name(f"{type(self).__name__}.on(...)", self._reads(), mappings), training=training)

    def over(self, model: keras.Model) -> Over:
        """A `keras.Model` of the same layers as `model`, whose loss is this objective over all outputs.

        Its inputs are the keys of `x` and of `y` where those are dicts, and the outputs of the model: by the keys of
        its dict, else by its `output_names`. What has no name is called as Keras calls it: `x`, `y`, `y_pred`,
        `sample_weight`.

        Example:
            >>> import keras, numpy, wye.keras as wye
            >>> image = keras.Input((4,))
            >>> net = keras.Model(image, {"logits": keras.layers.Dense(3)(image)})
            >>> model = wye.Objective("cross_entropy(logits, label)").over(net)
            >>> model.compile("sgd")
            >>> history = model.fit(numpy.ones((8, 4)), {"label": numpy.zeros(8, int)}, verbose=0)
            >>> sorted(history.history)
            ['loss']
        """
        return Over(self, model)

    # what a call returns

    @as_it_stands
    def call(self, inputs: dict[str, Any], training: bool | None = None) -> tuple[Array, Terms]:
        found = super().call(inputs, training)
        if self._made is not None:
            return found
        whole = cast(tuple[Any, ...], found if isinstance(found, tuple) else (found,))
        if len(whole) == 2 and isinstance(whole[1], Mapping):
            return self._finish(whole[0], whole[1])
        return self._finish(found, {})

    def _written_settings(self) -> dict[str, Any]:
        return {"on_nonfinite": self._on_nonfinite}

    def _hold(self, parts: Mapping[str, Any]) -> None:
        super()._hold(parts)
        self._held.__dict__["_finish"] = self._finish
        self._means = Means()

    def _install(self, made: Made | None) -> None:
        super()._install(made)
        names: Iterable[str] = made.terms if made else ()
        shapes = getattr(self, "_shapes", None)
        if shapes is not None and all(name in shapes.symbols for name in self._reads()):
            names = self.compute_output_spec(shapes.symbols)[1]
        self._follow(names)

    def _build_on(self, symbols: Any) -> Any:
        outline = super()._build_on(symbols)
        self._follow(outline[1])
        return outline

    def _follow(self, names: Iterable[str]) -> None:
        """Makes metrics of terms; a whole without a name of its own is the loss itself."""
        whole = str(self._made.recipe.formula).splitlines()[-1] if self._made else ""
        self._means.hold([name for name in names if name != whole or name.isidentifier()])

    def _finish(self, total: Any, terms: Mapping[str, Any]) -> tuple[Array, Terms]:
        """The total and its terms, from what the formula computed."""
        if isinstance(total, bool | int | float):
            total = ops.convert_to_tensor(float(total), keras.config.floatx())
        if not isinstance(total, Tensor) or len(total.shape) != 0:
            shape = tuple(total.shape) if isinstance(total, Tensor) else None
            raise no_scalar(self.formula, self._made.text if self._made else None, total, shape)
        plain = {
            name: ops.stop_gradient(value if isinstance(value, Tensor) else ops.convert_to_tensor(float(value)))
            for name, value in terms.items()
            if (isinstance(value, Tensor) and len(value.shape) == 0) or isinstance(value, bool | int | float)
        }
        if self._on_nonfinite == "keep" or isinstance(total, keras.KerasTensor):
            return total, plain
        return self._finite(total, plain), plain

    def _finite(self, total: Array, terms: Terms) -> Array:
        """The total where it is finite."""
        finite = truth(ops.isfinite(total))
        if finite is None:
            raise PartError(
                "a captured graph cannot wait for the device.",
                "Objective(..., on_nonfinite=...)",
                f"on_nonfinite={self._on_nonfinite!r}",
                'build it with on_nonfinite="keep", or call it outside of captured steps',
            )
        if finite:
            return total
        if self._on_nonfinite == "skip":
            self._held.training = False  # no table is updated by such a batch
            return ops.zeros((), total.dtype)
        raise nonfinite(shown(self.formula), {name: float(term) for name, term in terms.items()}, float(total))
