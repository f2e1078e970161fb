"""Every function, against torch's own or a loop."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.unit.formula.reference.run import drawn, same, value
from wye.errors import FormulaError, RangeError, ShapeError
from wye.formula.functions import FUNCTIONS

X = drawn(3, 4) * 3
EDGES = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-300, 40.0, -40.0, 800.0, -800.0, np.inf, -np.inf, np.nan]
)
MASK = np.array([[True, False, True, True], [False, False, False, False], [True, True, True, True]])

ELEMENTWISE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "abs": torch.abs,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "sin": torch.sin,
    "cos": torch.cos,
    "sign": lambda x: torch.where(x.isnan(), x, torch.sign(x)),
    "round": torch.round,
    "floor": torch.floor,
    "stop": lambda x: x,
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str) -> None:
    for x in (X, EDGES):
        same(value(f"{name}(x)", x=x), ELEMENTWISE[name](torch.as_tensor(x)))
    same(value(f"{name}(x[b, k])", x=X), ELEMENTWISE[name](torch.as_tensor(X)))


@pytest.mark.parametrize("name", ["abs", "sign", "relu", "round", "floor", "stop"])
def test_whole_numbers_stay_whole(name: str) -> None:
    x = np.array([-3, 0, 2**60], np.int64)
    found = value(f"{name}(x)", x=x)
    assert found.dtype == np.int64
    assert found.tolist() == {"abs": [3, 0, 2**60], "sign": [-1, 0, 1], "relu": [0, 0, 2**60]}.get(name, x.tolist())


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float64", [0.1, 1e300, -2.7, 300.0]),
        ("float32", np.float32([0.1, np.inf, -2.7, 300.0])),
        ("float16", np.float16([0.1, np.inf, -2.7, 300.0])),
        ("bfloat16", torch.tensor([0.1, math.inf, -2.7, 300.0]).bfloat16().double().numpy()),
        ("bool", [True, True, True, True]),
    ],
)
def test_cast_rounds(dtype: str, expected: object) -> None:
    same(value(f'cast(x, dtype="{dtype}")', x=np.array([0.1, 1e300, -2.7, 300.0])), np.asarray(expected))


def test_cast_to_whole_numbers_cuts_off() -> None:
    found = value('cast(x, dtype="int64")', x=np.array([1.9, -1.9, 0.0]))
    assert found.dtype == np.int64
    assert found.tolist() == [1, -1, 0]
    assert value('cast(x[b] > 0, "float32")', x=np.array([1.9, -1.9])).tolist() == [1.0, 0.0]
    values = np.concatenate([drawn(50), drawn(50) * 1e30, [np.nan, np.inf, -np.inf, 0, 3.4e38]])
    same(value('cast(x, dtype="bfloat16")', x=values), torch.as_tensor(values).bfloat16().double())


def test_clamp_and_where() -> None:
    x = torch.as_tensor(X)
    same(value("clamp(x, -1, 2)", x=X), x.clamp(-1, 2))
    same(value("clamp(x, high=0)", x=X), x.clamp(max=0))
    same(value("clamp(x, low=x2)", x=X, x2=X * 0.5), np.maximum(X, X * 0.5))
    same(value("clamp(x[b, k], low=m[b])", x=X, m=np.zeros(3)), x.clamp(min=0))
    with pytest.raises(FormulaError, match="wants a bound"):
        value("clamp(x)", x=X)
    same(value("where(x, 1, y)", x=np.array([0.0, np.nan, 2.0]), y=np.array([5.0, 6.0, 7.0])), [5, 1, 1])
    chosen = value("where(m, i, 0)", m=np.array([True, False]), i=np.array([7, 8], np.uint8))
    assert chosen.dtype.kind == "i"
    assert chosen.tolist() == [7, 0]


REDUCTIONS: dict[str, Callable[..., torch.Tensor]] = {
    "sum": torch.sum,
    "mean": torch.mean,
    "max": torch.amax,
    "min": torch.amin,
    "norm": torch.linalg.vector_norm,
    "var": lambda x, **words: torch.var(x, correction=0, **words),
    "any": lambda x, **words: torch.any(x != 0, **words),
    "all": lambda x, **words: torch.all(x != 0, **words),
    "logsumexp": torch.logsumexp,
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str) -> None:
    plain = REDUCTIONS[name]
    cube = drawn(3, 4, 5) * (drawn(3, 4, 5) > 0)
    x = torch.as_tensor(cube)
    for axis in (0, 1, -1):
        same(value(f"{name}(x, axis={axis})", x=cube), plain(x, dim=axis))
        same(value(f"{name}(x, axis={axis}, keepdims=True)", x=cube), plain(x, dim=axis, keepdim=True))
    same(value(f"{name}(x)", x=cube), plain(x.flatten(), dim=0))
    same(value(f"{name}(x, keepdims=True)", x=cube), plain(x.flatten(), dim=0).reshape(1, 1, 1))
    same(value(f"{name}(x[a, b, c], b)", x=cube), plain(x, dim=1))
    same(
        value(f"{name}(x[a, b, c], c, a)", x=cube),
        plain(x, dim=(0, 2)) if name not in ("any", "all") else plain(plain(x, dim=2), dim=0),
    )
    same(value(f"{name}(x[a, b, c])", x=cube), plain(x.flatten(), dim=0))
    same(value(f"{name}(x[..., c], c)", x=cube), plain(x, dim=-1))


OF_NONE = {"sum": 0.0, "mean": 0.0, "norm": 0.0, "var": 0.0, "any": False, "all": True, "logsumexp": -math.inf}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_where_leaves_entries_out(name: str) -> None:
    x = np.where(MASK, X, np.nan)
    kept = MASK if name not in ("max", "min") else MASK[::2]
    x = x if name not in ("max", "min") else x[::2]
    rows = [
        REDUCTIONS[name](torch.as_tensor(row[keep]), dim=0).item() if keep.any() else OF_NONE[name]
        for row, keep in zip(x, kept, strict=True)
    ]
    same(value(f"{name}(x, axis=1, where=m)", x=x, m=kept), rows)
    same(value(f"{name}(x[b, k], k, where=m[b, k])", x=x, m=kept), rows)
    same(value(f"{name}(x[b, k], k, where=m[k, b])", x=x, m=kept.T), rows)
    same(value(f"{name}(x, where=m)", x=x, m=kept), REDUCTIONS[name](torch.as_tensor(x[kept]), dim=0))


@pytest.mark.parametrize("name", OF_NONE)
def test_reductions_of_nothing(name: str) -> None:
    assert value(f"{name}(x)", x=np.zeros(0)) == OF_NONE[name]
    same(value(f"{name}(x, axis=1)", x=np.zeros((2, 0))), [OF_NONE[name]] * 2)


@pytest.mark.parametrize("name", ["max", "min"])
def test_extremes_of_nothing_are_errors(name: str) -> None:
    for text in (f"{name}(x)", f"{name}(y[b, k], k, where=m[b, k])", f"{name}(y, axis=1, where=m)"):
        with pytest.raises(FormulaError, match="of no entries has no value"):
            value(text, x=np.zeros(0), y=X, m=MASK)
    assert value(f"{name}(x, axis=1)", x=np.zeros((0, 3))).shape == (0,)


def test_where_may_bring_axes_of_its_own() -> None:
    x = drawn(3)
    same(value("sum(x[b], b, where=m[b, k])", x=x, m=MASK), x @ MASK)
    same(value("mean(x, where=m)", x=X, m=MASK[:, :1]), X[[0, 2]].mean())


def test_reductions_of_other_dtypes() -> None:
    mask, small, whole = np.array([True, False, True]), np.array([100, 100], np.int8), np.array([2**60, 1])
    assert value("sum(m)", m=mask) == 2.0
    assert value("sum(m)", m=small) == 200.0
    assert value("sum(m)", m=whole) == 2**60 + 1
    assert value("max(m)", m=whole).dtype == np.int64
    assert value("min(m)", m=small).dtype == np.float64
    assert value("mean(m)", m=whole[1:]).dtype == np.float64
    assert value("mean(m)", m=mask) == 2 / 3


def test_extremes_keep_nan_and_infinity() -> None:
    assert math.isnan(value("max(x)", x=np.array([1.0, np.nan])))
    assert value("logsumexp(x)", x=np.array([-np.inf, -np.inf])) == -math.inf
    assert value("logsumexp(x)", x=np.array([0.0, np.inf])) == math.inf
    assert value("logsumexp(x)", x=np.array([1000.0, 1000.0])) == 1000 + math.log(2)
    same(value("max(x, y)", x=np.array([1.0, np.nan]), y=np.array([2.0, 0.0])), [2.0, np.nan])


def test_several_values_join_entry_by_entry() -> None:
    same(value("max(x, 0, y)", x=X, y=-X), abs(X))
    same(value("min(x[b, k], y[k])", x=X, y=X[0]), np.minimum(X, X[0]))
    with pytest.raises(FormulaError, match="has no keywords"):
        value("max(x, y, axis=0)", x=X, y=X)


def test_weighted_mean() -> None:
    w = np.array([[1.0, 2.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, -1.0, 0.5, 0.5]])
    rows = [float((w[b] * X[b]).sum() / w[b].sum()) if w[b].sum() else 0.0 for b in range(3)]
    same(value("weighted_mean(x, w, axis=1)", x=X, w=w), rows)
    same(value("weighted_mean(x[b, k], w[b, k], k)", x=X, w=w), rows)
    same(value("weighted_mean(x, w)", x=X, w=w), (w * X).sum() / w.sum())
    same(value("weighted_mean(x[b, k], v[b])", x=X, v=w[:, 0]), (X * w[:, :1]).sum() / (4 * w[:, 0].sum()))
    same(value("weighted_mean(x, w, axis=0, keepdims=True)", x=X, w=abs(w) + 1), [np.average(X, 0, abs(w) + 1)])


ALONG = {"softmax": F.softmax, "log_softmax": F.log_softmax, "unit": lambda x, dim: x / x.norm(dim=dim, keepdim=True)}


@pytest.mark.parametrize("name", ALONG)
def test_along_an_axis(name: str) -> None:
    plain, x = ALONG[name], torch.as_tensor(X)
    same(value(f"{name}(x)", x=X), plain(x, dim=-1))
    same(value(f"{name}(x, axis=0)", x=X), plain(x, dim=0))
    same(value(f"{name}(x[b, k], b)", x=X), plain(x, dim=0))
    same(value(f"{name}(x[..., k], k)", x=X), plain(x, dim=-1))
    for text in (f"{name}(x[b, k])", f"{name}(x[b, k], b, k)"):
        with pytest.raises(ShapeError, match="along one named axis"):
            value(text, x=X)
    with pytest.raises(FormulaError, match="takes names of axes"):
        value(f"{name}(x, 1)", x=X)
    with pytest.raises(ShapeError, match="has no axis -1"):
        value(f"{name}(x)", x=np.float64(1))


def test_softmax_at_its_edges() -> None:
    x = np.where(MASK, X, np.nan)
    rows = [
        np.where(keep, np.exp(row), 0) / max(np.exp(row[keep]).sum(), 1e-300) for row, keep in zip(x, MASK, strict=True)
    ]
    same(value("softmax(x, where=m)", x=x, m=MASK), np.nan_to_num(rows))
    same(value("softmax(x[b, k], k, where=m[b, k])", x=x, m=MASK), np.nan_to_num(rows))
    edges = np.array([[1000.0, 0.0], [-np.inf, 0.0], [-np.inf, -np.inf], [np.inf, 0.0]])
    same(value("softmax(x)", x=edges), F.softmax(torch.as_tensor(edges), -1))
    same(value("log_softmax(x)", x=edges), F.log_softmax(torch.as_tensor(edges), -1))


def test_zero_rows() -> None:
    zero = np.zeros((2, 3))
    same(value("unit(x)", x=zero), zero)
    same(value("norm(x, axis=1)", x=zero), np.zeros(2))
    same(value("cosine(x, y)", x=zero, y=zero + 1), np.zeros(2))
    same(value("distance(x, x)", x=zero), np.zeros(2))


def test_pairs() -> None:
    x, y = torch.as_tensor(X), torch.as_tensor(X[::-1].copy())
    expected = {"dot": (x * y).sum(-1), "cosine": F.cosine_similarity(x, y, dim=-1), "distance": (x - y).norm(dim=-1)}
    for name, rows in expected.items():
        same(value(f"{name}(x, y)", x=X, y=X[::-1]), rows)
        same(value(f"{name}(x, y, axis=0)", x=X.T, y=X[::-1].T), rows)
        same(value(f"{name}(x[b, k], y[k, b], k)", x=X, y=X[::-1].T), rows)
    same(value("cosine(x[i, d], y[j, d], d)", x=X, y=X), F.cosine_similarity(x[:, None], x, dim=-1))
    with pytest.raises(ShapeError):
        value("dot(x, y)", x=X, y=X[:, :1])
    with pytest.raises(ShapeError, match="along one named axis"):
        value("dot(x[b, k], y[b, k])", x=X, y=X)
    with pytest.raises(ShapeError, match="the value has no axis `k`"):
        value("dot(x[b, k], y[b], k)", x=X, y=X[:, 0])


def test_structure() -> None:
    cube, index = drawn(3, 4, 5), np.array([2, 0, 2])
    same(value("take(x, i)", x=cube, i=index), cube[index])
    same(value("take(x, i, axis=-1)", x=cube, i=index), cube[..., index])
    same(value("concat(x, y)", x=cube, y=cube), np.concatenate([cube, cube], -1))
    same(value("concat(x, y, x, axis=0)", x=cube, y=cube[:1]), np.concatenate([cube, cube[:1], cube]))
    same(value("stack(x, y)", x=cube, y=cube), np.stack([cube, cube]))
    same(value("stack(x, y, axis=-1)", x=cube, y=cube), np.stack([cube, cube], -1))
    same(value("stack(sum(x), 2)", x=cube), [cube.sum(), 2])
    same(value("last(x)", x=cube), cube[:, -1])
    same(value("last(x, axis=0)", x=cube), cube[-1])
    same(value("expand_as(x, y)", x=cube[:, :1], y=cube), np.broadcast_to(cube[:, :1], cube.shape))
    same(value("expand_as(2, y)", y=cube), np.full(cube.shape, 2))
    assert value("concat(x, x)", x=index).dtype == np.int64


@pytest.mark.parametrize(
    "text",
    [
        "concat(x[b, k], y)",
        "stack(x[b, k], y)",
        "take(x[b, k], i)",
        "last(x[b, k])",
        "expand_as(x[b, k], y)",
        "x[b, k] @ y",
    ],
)
def test_structure_refuses_declared_values(text: str) -> None:
    with pytest.raises(ShapeError, match="undeclared values"):
        value(text, x=X, y=X, i=np.array([0]))


def test_structure_checks_shapes_and_indices() -> None:
    for text in ("concat(x, y)", "stack(x, y)", "concat(x, 1)", "expand_as(x, y)", "last(v)", "take(x, i, axis=2)"):
        with pytest.raises(ShapeError):
            value(text, x=X, y=X[:2], v=np.zeros(3), i=np.array([0]))
    for bad in (3, -1):
        with pytest.raises(RangeError, match="outside of its axis"):
            value("take(x, i)", x=X, i=np.array([0, bad]))
    for index in (np.zeros(1), np.zeros((1, 1), np.int64), np.int64(0)):
        with pytest.raises(FormulaError):
            value("take(x, i)", x=X, i=index)
    with pytest.raises(FormulaError, match="no last entry"):
        value("last(x)", x=np.zeros((3, 0)))


def test_matrix_products() -> None:
    a, b, v = drawn(2, 3, 4), drawn(4, 5), drawn(4)
    same(value("a @ b", a=a, b=b), a @ b)
    same(value("a @ v", a=a, v=v), a @ v)
    same(value("v @ b", v=v, b=b), v @ b)
    same(value("v @ v", v=v), v @ v)
    same(value("2 * a @ b / 4 + 1", a=a, b=b), a @ b / 2 + 1)
    for left, right in ((a, v[:3]), (a, drawn(3, 4, 5)), (a, drawn(1, 4, 5)), (v, np.float64(2))):
        with pytest.raises(ShapeError, match="do not multiply as matrices"):
            value("a @ b", a=left, b=right)
    same(value("a @ b", a=a, b=drawn(1, 4, 5) * 0, strict=False), np.zeros((2, 3, 5)))


def test_functions_that_fall_or_come_later() -> None:
    for text in ("die(1, 6)", "coin(0.5)"):
        with pytest.raises(FormulaError, match="conditions, times and indices only"):
            value(text)
    with pytest.raises(FormulaError, match="not yet"):
        value("cumsum(x)", x=X)


def test_every_function_is_tested_here() -> None:
    others = "cast clamp where weighted_mean dot cosine distance take concat stack last expand_as size die coin"
    here = {*ELEMENTWISE, *REDUCTIONS, *ALONG, *others.split()}
    assert here == {name for name, function in FUNCTIONS.items() if function.kind != "loss"}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("sum(x, 1)", "takes names of axes"),
        ("sum(x, x)", "takes names of axes"),
        ("sum(x[b, k], 0)", "takes names of axes"),
        ("sum(x[b, k], t)", "has no axis `t`"),
        ("sum(x[b, k], k, k)", "written twice"),
        ("sum(x, k) + sum(x[b, k])", "axes of the value are not named"),
        ("sum(x[b, k], axis=1)", "reduced by name"),
        ("sum(x[b, k], k, keepdims=True)", "reduced by name"),
        ("sum(x, axis=2)", "has no axis 2"),
        ("sum(x, axis=-3)", "has no axis -3"),
        ("sum(x, axis=1.0)", "constant of another kind"),
        ("sum(x, axis=x)", "constant of another kind"),
        ("sum(x, keepdims=1)", "constant of another kind"),
        ("sum(x, dim=1)", "has no keyword `dim`"),
        ("sum()", "lacks x"),
        ("exp(x, x)", "takes fewer values"),
        ("where(x, 1)", "lacks y"),
        ("max(x[b, k], b, 1)", "takes names of axes"),
        ('cast(x, dtype="complex64")', "constant of another kind"),
        ("clamp(x, 0, low=1)", "got `low` twice"),
        ("softmax(x[b, k], axis=1)", "reduced by name"),
        ("sin", "not known"),
        ("sinus(x)", "no function and no part"),
    ],
)
def test_calls_are_checked(text: str, match: str) -> None:
    with pytest.raises(FormulaError, match=match):
        value(text, x=X)
