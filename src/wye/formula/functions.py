"""The functions of the language: their names, what they take, and their mathematics.

A front gives each of them an implementation under the same name; `reference` gives the one in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Option = int | float | bool | str | tuple[float, ...] | None


@dataclass(frozen=True)
class Function:
    """One function: `kind` says how it treats axes, `values` and `extra` what it is called with.

    Args:
        name: the name in formulas.
        kind: `elementwise` (arguments meet by name), `reduction` (loses the named axes), `along` (keeps its one
            axis), `pair` (two values meet, then lose one axis), `structure`, `random` or `loss`.
        values: names of the required positional values.
        mathematics: one line.
        extra: names of further values that may be left out; by keyword alone where names of axes may be written.
        options: keywords that take a constant, with their defaults.
        variadic: whether any number of values may be written.
        smooth: whether gradients flow; those of `round`, `floor` and `sign` are zero, `any` and `all` have none.
    """

    name: str
    kind: str
    values: tuple[str, ...]
    mathematics: str
    extra: tuple[str, ...] = ()
    options: dict[str, Option] = field(default_factory=dict[str, Option])
    variadic: bool = False
    smooth: bool = True

    @property
    def signature(self) -> str:
        """As one would write it: `sum(x, *axes, axis=None, keepdims=False, where=None)`."""
        words = [*self.values, *(["*more"] if self.variadic else [])]
        words += {"reduction": ["*axes"], "along": ["axis"], "pair": ["axis"]}.get(self.kind, [])
        words += [f"{name}=None" for name in self.extra]
        words += [f"{name}={default!r}" for name, default in self.options.items()]
        return f"{self.name}({', '.join(words)})"


_AXIS: dict[str, Option] = {"axis": None, "keepdims": False}
_LOSS: dict[str, Option] = {"reduction": "mean"}
_CONTRAST: dict[str, Option] = {"normalize": True, "multiply": None, **_LOSS}

_ELEMENTWISE = (
    Function("abs", "elementwise", ("x",), "|x|; the gradient at 0 is 0."),
    Function("exp", "elementwise", ("x",), "e to the x."),
    Function("expm1", "elementwise", ("x",), "e to the x, minus 1, exact near 0."),
    Function("log", "elementwise", ("x",), "The natural logarithm; -inf at 0, NaN below."),
    Function("log1p", "elementwise", ("x",), "log(1 + x), exact near 0."),
    Function("sqrt", "elementwise", ("x",), "The square root; NaN below 0."),
    Function("relu", "elementwise", ("x",), "max(x, 0); the gradient at 0 is 0."),
    Function("sigmoid", "elementwise", ("x",), "1 / (1 + exp(-x))."),
    Function("tanh", "elementwise", ("x",), "The hyperbolic tangent."),
    Function("softplus", "elementwise", ("x",), "log(1 + exp(x)), without overflow."),
    Function("sin", "elementwise", ("x",), "The sine of x in radians."),
    Function("cos", "elementwise", ("x",), "The cosine of x in radians."),
    Function("sign", "elementwise", ("x",), "-1, 0 or 1.", smooth=False),
    Function("round", "elementwise", ("x",), "The nearest whole number, halves to the even one.", smooth=False),
    Function("floor", "elementwise", ("x",), "The largest whole number not above x.", smooth=False),
    Function("stop", "elementwise", ("x",), "x itself; no gradient passes."),
    Function(
        "cast",
        "elementwise",
        ("x",),
        "x in another dtype: float16, bfloat16, float32, float64, int32, int64 or bool.",
        options={"dtype": "float32"},
    ),
    Function("clamp", "elementwise", ("x",), "min(max(x, low), high); either may be left out.", ("low", "high")),
    Function("where", "elementwise", ("condition", "x", "y"), "x where the condition holds, y elsewhere."),
)
_REDUCTIONS = (
    Function("sum", "reduction", ("x",), "The sum; of nothing 0.", ("where",), _AXIS),
    Function("mean", "reduction", ("x",), "The sum over the number of entries; of nothing 0.", ("where",), _AXIS),
    Function(
        "max",
        "reduction",
        ("x",),
        "The largest entry, equal ones share the gradient; of several values: elementwise.",
        ("where",),
        _AXIS,
        variadic=True,
    ),
    Function(
        "min",
        "reduction",
        ("x",),
        "The smallest entry, equal ones share the gradient; of several values: elementwise.",
        ("where",),
        _AXIS,
        variadic=True,
    ),
    Function(
        "norm", "reduction", ("x",), "The square root of the sum of squares; the gradient at 0 is 0.", ("where",), _AXIS
    ),
    Function("var", "reduction", ("x",), "The mean square of x minus its mean: divided by N.", ("where",), _AXIS),
    Function("any", "reduction", ("x",), "Whether some entry is true (not zero).", ("where",), _AXIS, smooth=False),
    Function("all", "reduction", ("x",), "Whether every entry is true (not zero).", ("where",), _AXIS, smooth=False),
    Function("logsumexp", "reduction", ("x",), "log(sum(exp(x))), without overflow.", ("where",), _AXIS),
    Function(
        "weighted_mean",
        "reduction",
        ("x", "w"),
        "sum(w * x) / sum(w); 0 where the weights sum to 0.",
        (),
        _AXIS,
    ),
)
_ALONG = (
    Function(
        "softmax",
        "along",
        ("x",),
        "exp(x) / sum(exp(x)) along one axis; left-out entries are 0.",
        ("where",),
        {"axis": -1},
    ),
    Function("log_softmax", "along", ("x",), "x - logsumexp(x) along one axis.", (), {"axis": -1}),
    Function("unit", "along", ("x",), "x / norm(x) along one axis; a zero row stays zero.", (), {"axis": -1}),
    Function("dot", "pair", ("a", "b"), "sum(a * b) along one axis.", (), {"axis": -1}),
    Function("cosine", "pair", ("a", "b"), "dot(unit(a), unit(b)) along one axis; 0 for a zero row.", (), {"axis": -1}),
    Function("distance", "pair", ("a", "b"), "norm(a - b) along one axis; the gradient at 0 is 0.", (), {"axis": -1}),
)
_STRUCTURE = (
    Function(
        "take", "structure", ("x", "index"), "The entries of x at whole-numbered places along an axis.", (), {"axis": 0}
    ),
    Function(
        "concat", "structure", ("x",), "The values one after the other along an axis.", (), {"axis": -1}, variadic=True
    ),
    Function("stack", "structure", ("x",), "The values side by side along a new axis.", (), {"axis": 0}, variadic=True),
    Function(
        "last", "structure", ("x",), "The last entry along an axis: of a sequence, its last step.", (), {"axis": 1}
    ),
    Function("expand_as", "structure", ("x", "y"), "x repeated to the shape of y."),
    Function("size", "structure", ("x",), "The length of an axis: size(b), or size(x, axis=0).", (), {"axis": None}),
)
_RANDOM = (
    Function(
        "die", "random", ("low", "high"), "A whole number from low to high, both included, the same for the batch."
    ),
    Function("coin", "random", ("p",), "True with probability p, the same for the batch."),
)
_LOSSES = (
    Function("mse", "loss", ("pred", "target"), "mean((pred - target) ** 2).", (), _LOSS),
    Function(
        "cross_entropy",
        "loss",
        ("logits", "target"),
        "-log(softmax(logits)[target]) over the last axis, mean over the targets kept.",
        (),
        {**_LOSS, "ignore_index": -100, "label_smoothing": 0.0},
    ),
    Function(
        "pair",
        "loss",
        ("a", "b", "label"),
        "With s = sum(a * b) over the last axis: 1 - s where the label is 1, max(0, s + margin) where it is 0; "
        "`label_weights=(0.7, 0.3)` multiplies the losses of the labels 0 and 1.",
        (),
        {"margin": 0.1, "label_weights": None, **_LOSS},
    ),
    Function(
        "pair_margin",
        "loss",
        ("a", "b", "label"),
        "With s = sum(a * b) over the last axis: max(0, margin - s) where the label is 1, max(0, s + margin) where it "
        "is 0; `label_weights` as for `pair`.",
        (),
        {"margin": 0.2, "label_weights": None, **_LOSS},
    ),
    Function(
        "info_nce",
        "loss",
        ("query", "key", "temperature"),
        "With s[i, j] = dot(query[i], key[j]) / temperature of unit rows: the mean of logsumexp(s[i]) - s[i, i]; or "
        "keys of the query's label belong to it, `label` and `key_label`; or `target[i, j]` says how much.",
        ("label", "key_label", "target"),
        _CONTRAST,
    ),
    Function(
        "clip_loss",
        "loss",
        ("a", "b", "temperature"),
        "`info_nce` of a against b and of b against a, the mean of both.",
        ("label", "target"),
        _CONTRAST,
    ),
    Function(
        "siglip_loss",
        "loss",
        ("a", "b", "temperature", "bias"),
        "With s[i, j] = dot(a[i], b[j]) / temperature + bias of unit rows: sum(softplus(s)) - sum(s[i, i]) over N; or "
        "rows of one `label` belong together; or `target[i, j]` says how much.",
        ("label", "target"),
        _CONTRAST,
    ),
    Function(
        "nt_xent",
        "loss",
        ("a", "b", "temperature"),
        "`info_nce` of all 2N rows against all others, a[i] and b[i] belonging together.",
        (),
        _CONTRAST,
    ),
    Function(
        "sup_con",
        "loss",
        ("x", "label", "temperature"),
        "`info_nce` of all rows against all others, those of one label belonging together; rows alone with theirs are "
        "left out.",
        (),
        _CONTRAST,
    ),
)

FUNCTIONS: dict[str, Function] = {
    function.name: function for function in (*_ELEMENTWISE, *_REDUCTIONS, *_ALONG, *_STRUCTURE, *_RANDOM, *_LOSSES)
}
LATER = frozenset({"cumsum", "diff"})
WRITTEN = {
    "detach": "stop(x)",
    "no_grad": "stop(x)",
    "std": "sqrt(var(x))",
    "pow": "x ** y",
    "square": "x ** 2",
    "einsum": "sum(a[i, d] * b[d, j], d)",
    "matmul": "sum(a[i, d] * b[d, j], d), or a @ b",
    "len": "size(b), or size(x, axis=0)",
    "float": "cast(x, dtype='float32')",
    "int": "cast(x, dtype='int64')",
    "maximum": "max(x, y)",
    "minimum": "min(x, y)",
    "cat": "concat(x, y)",
}
"""Names of other libraries, and how they are written here."""
OUTSIDE = frozenset({"topk", "prod", "gelu", "silu", "rand", "randn", "argmax", "argmin", "sort", "dropout"})
"""Names of other libraries that are far from any function of this language, whatever their spelling."""
DTYPES = ("float16", "bfloat16", "float32", "float64", "int32", "int64", "bool")
