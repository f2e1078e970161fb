"""Gradients of nodes: none, some and all samples taken, never a trace of what was not taken, in eager and captured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from keras import ops

import wye.keras as wye
from tests.keras.flow_rows import Inverse, Logged, Plain, Rooted, by_rows
from tests.keras.flow_slopes import EACH, sloped
from tests.keras.plain import dense

MASKS: dict[str, Any] = {
    "none": [[0.0, -1.0], [-4.0, 0.0], [-2.0, -3.0], [0.0, 0.0]],
    "some": [[0.0, -1.0], [4.0, 0.25], [16.0, 81.0], [0.0, 0.0]],
    "first": [[16.0, 81.0], [0.0, -1.0], [-2.0, 5.0], [0.0, 0.0]],
    "all": [[16.0, 81.0], [4.0, 0.25], [2.0, 3.0], [0.5, 1.0]],
}
"""Rows of which one is taken where both its entries are above zero: elsewhere roots, logarithms and inverses fail."""


def positive(row: Any) -> bool:
    return bool((row.real > 0).all())


def roots(row: Any, weight: Any, most: int, bound: float = 0) -> Any:
    for _ in range(most):
        if not (row.real > bound).all():
            break
        row = np.sqrt(weight * row)
    return row


def times(row: Any, count: int, run: Callable[[Any], Any]) -> Any:
    for _ in range(count):
        row = run(row)
    return row


NODES: dict[str, tuple[Callable[[], Any], Plain]] = {
    "When": (
        lambda: wye.When("all(x > 0)", Rooted()),
        lambda x, w: np.sqrt(w * x) if positive(x) else x,
    ),
    "When of two": (
        lambda: wye.When("all(x > 0)", Logged(), "3 * x"),
        lambda x, w: np.log(w * x) if positive(x) else 3 * x,
    ),
    "When not": (
        lambda: wye.When("not all(x > 0)", "2 * x", Inverse()),
        lambda x, w: w / x if positive(x) else 2 * x,
    ),
    "Switch": (
        lambda: wye.Switch("where(all(x > 0), 1, 0) + where(all(x > 8), 1, 0)", None, Logged(), Rooted()),
        lambda x, w: x if not positive(x) else np.sqrt(w * x) if (x.real > 8).all() else np.log(w * x),
    ),
    "Switch of formulas": (
        lambda: wye.Switch("where(all(x > 0), 1, 0)", "5 * x", "1 / x + log(x) + sqrt(x)"),
        lambda x, w: 1 / x + np.log(x) + np.sqrt(x) if positive(x) else 5 * x,
    ),
    "Repeat": (
        lambda: wye.Repeat(Rooted(), "clamp(2 * all(x > 0), 0, 2)"),
        lambda x, w: times(x, 2 * positive(x), lambda row: np.sqrt(w * row)),
    ),
    "Repeat in a loop of a graph": (
        lambda: wye.Repeat(Rooted(), "clamp(2 * all(x > 0), 0, 40)"),
        lambda x, w: times(x, 2 * positive(x), lambda row: np.sqrt(w * row)),
    ),
    "Repeat of a list": (
        lambda: wye.Repeat([Rooted(), "log(x + 1)"], "2 * all(x > 0)"),
        lambda x, w: np.log(np.sqrt(w * x) + 1) if positive(x) else x,
    ),
    "While": (
        lambda: wye.While("all(x > 2)", Rooted(), max_steps=5),
        lambda x, w: roots(x, w, 5, 2),
    ),
    "While in a loop of a graph": (
        lambda: wye.While("all(x > 2)", Rooted(), max_steps=40),
        lambda x, w: roots(x, w, 40, 2),
    ),
    "a When in a While in a loop of a graph": (
        lambda: wye.While("all(x > 2)", wye.When("all(x > 9)", Rooted(), "x / 2"), max_steps=40),
        lambda x, w: nested(x, w),
    ),
}


def nested(row: Any, weight: Any) -> Any:
    while (row.real > 2).all():
        row = np.sqrt(weight * row) if (row.real > 9).all() else row / 2
    return row


@pytest.mark.parametrize("way", EACH)
@pytest.mark.parametrize("node", NODES)
def test_nothing_comes_of_the_side_not_taken(node: str, way: str) -> None:
    build, plain = NODES[node]
    counted = np.array([1, 2]) / 2  # by what `sloped` weighs the entries
    for mask, x in MASKS.items():
        net = build()
        found = sloped(net, {"x": np.array(x, "float32")}, way)
        value, slopes, weight = by_rows(plain, np.array(x))
        np.testing.assert_allclose(found.value, value, 1e-5, 1e-6, err_msg=mask)
        np.testing.assert_allclose(found.sides["x"], slopes * counted, 1e-4, 1e-6, err_msg=mask)
        if found.weights:
            wanted = by_rows(lambda row, w: counted * plain(row, w), np.array(x))[2]
            np.testing.assert_allclose(sum(found.weights), wanted, 1e-4, 1e-6, err_msg=mask)
        else:
            assert weight == 0


@pytest.mark.parametrize("way", EACH)
def test_side_inputs_of_samples_not_taken_poison_nothing(way: str) -> None:
    """They travel with their samples, whole numbers and numbers without axes too."""
    given = {
        "x": np.array([[1.0], [2.0], [3.0]], "float32"),
        "c": np.array([1, 0, 2], "int32"),
        "y": np.array([4.0, np.inf, 9.0], "float32"),
        "z": np.array([2.0, -1.0, 0.0], "float32"),
        "level": np.array(3.0, "float32"),
    }
    net = wye.When("c > 0", "x[b, d] * sqrt(y[b]) + exp(z[b]) * level", "x[b, d] * z[b]")
    found = sloped(net, given, way)
    e = np.exp(2.0)
    np.testing.assert_allclose(found.value[:, 0], [2 + 3 * e, -2, 9 + 3], 1e-5)
    np.testing.assert_allclose(found.sides["y"], [1 / 8, 0, 3 / 12], 1e-5)
    np.testing.assert_allclose(found.sides["z"], [1.5 * e, 1, 1.5], 1e-5)
    np.testing.assert_allclose(found.sides["level"], (e + 1) / 2, 1e-5)
    np.testing.assert_allclose(found.sides["x"][:, 0], [1, -0.5, 1.5], 1e-5)


@pytest.mark.parametrize("way", EACH)
@pytest.mark.parametrize("most", [3, 40])
def test_a_sample_that_never_enters_passes_with_gradient_one(most: int, way: str) -> None:
    x = np.array([[3.0, 4.0], [6.0, 8.0]], "float32")
    ones = np.array([[0.5, 1.0]] * 2)
    for build in (
        lambda: wye.While("norm(x) < 1", dense(1, 2, 2), max_steps=most),
        lambda: wye.While("norm(x) < 1", dense(1, 2, 2), max_steps=most, per="batch"),
        lambda: wye.Repeat(dense(1, 2, 2), f"clamp(n, 0, {most})", n=0),
        lambda: wye.Repeat(dense(1, 2, 2), f"clamp(0 * sum(x), 0, {most})"),
        lambda: wye.Repeat(dense(1, 2, 2), 0),
        lambda: wye.When("norm(x) < 1", dense(1, 2, 2)),
        lambda: wye.When(False, dense(1, 2, 2)),
    ):
        found = sloped(build(), {"x": x}, way)
        np.testing.assert_array_equal(found.value, x)
        np.testing.assert_array_equal(found.sides["x"], ones)
        for slope in found.weights:
            np.testing.assert_array_equal(slope, np.zeros_like(slope))


@pytest.mark.parametrize("way", EACH)
def test_a_nest_flows_and_keeps_its_order_and_dtypes(way: str) -> None:
    x = {
        "a": np.array([[1.0], [-2.0], [3.0]], "float32"),
        "b": (np.array([1, 2, 3], "int32"), np.array([[True], [False], [True]])),
    }

    def changed(x: Any) -> Any:
        first, second = x["b"]
        return {"b": (first * 10, ops.logical_not(second)), "a": x["a"] * 2}

    for other in (None, changed):
        net = wye.When("x['a'] > 0", changed, other)
        found = sloped(net, {"x": x}, way).value
        taken = np.array([True, other is not None, True])
        np.testing.assert_allclose(found["a"][:, 0], np.where(taken, [2, -4, 6], [1, -2, 3]))
        np.testing.assert_array_equal(found["b"][0], np.where(taken, [10, 20, 30], [1, 2, 3]))
        np.testing.assert_array_equal(found["b"][1][:, 0], np.where(taken, [0, 1, 0], [1, 0, 1]))
        assert found["b"][0].dtype == "int32"
        assert other is not None or list(found) == ["a", "b"]


@pytest.mark.parametrize("way", EACH)
def test_side_inputs_that_all_share(way: str) -> None:
    x, adjacency = np.ones((3, 2), "float32"), np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
    inner = wye.When("c > 0", "x @ adjacency")
    net = wye.Chain(inner, wye.Repeat("x @ adjacency", "clamp(c, 0, 2)"), shared=("adjacency",))
    found = sloped(net, {"x": x, "c": np.array([1, 0, 2], "int32"), "adjacency": adjacency}, way)
    a = adjacency.astype("float64")
    rows = [np.ones(2) @ a @ a, np.ones(2), np.ones(2) @ a @ a @ a]
    np.testing.assert_allclose(found.value, rows, 1e-5)
    assert found.sides["adjacency"].shape == (2, 2)


@pytest.mark.parametrize("way", EACH)
def test_an_index_that_names_no_branch_spoils_its_row_in_a_graph(way: str) -> None:
    net = wye.Switch("c", "2 * x", None)
    given = {"x": np.array([[1.0], [2.0], [3.0]], "float32"), "c": np.array([0, 7, -1], "int32")}
    if way == "eager":
        with pytest.raises(wye.WyeError, match="no branch of this index"):
            net(**given)
        return
    value = sloped(net, given, way).value[:, 0]
    np.testing.assert_array_equal(value, [2, np.nan, np.nan])


@pytest.mark.parametrize("way", EACH[1:])
def test_times_beyond_their_bounds_are_held_within_in_a_graph(way: str) -> None:
    net = wye.Repeat(["x + 1", "x + 10"], "c")
    given = {"x": np.zeros((4, 1), "float32"), "c": np.array([-1, 1, 2, 9], "int32")}
    np.testing.assert_array_equal(sloped(net, given, way).value[:, 0], [0, 1, 11, 11])
    nan = wye.When("c", "x + 1")
    given["c"] = np.array([0, np.nan, 1, 2], "float32")
    assert np.isfinite(sloped(nan, given, way).value).all()


@pytest.mark.parametrize("way", EACH[1:])
def test_what_a_graph_cannot_wait_for_is_refused(way: str) -> None:
    given = {"x": np.ones((2, 1), "float32"), "c": np.array([1, 2], "int32")}
    with pytest.raises(Exception, match="cannot wait for the end of a loop"):
        sloped(wye.While("norm(x) + c < 9", "x + 1", max_steps=3, on_limit="error"), given, way)
    with pytest.raises(Exception, match="must know the most rounds"):
        sloped(wye.Repeat("x + 1", "c"), given, way)
