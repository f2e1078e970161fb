"""What a captured graph makes of values that eager refuses: it says so in the result, or holds them in bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from keras import ops

import wye.keras as wye
from tests.keras.plain import BACKEND, numbers

NAN, LOWEST = float("nan"), -(2**31)
Run = Callable[..., Any]

in_graphs = pytest.mark.skipif(BACKEND == "torch", reason="steps of Keras on torch are not captured")


def captured(run: Run) -> Run:
    if BACKEND == "jax":
        import jax

        return jax.jit(run)
    import tensorflow as tf

    return tf.function(run, autograph=False)


def column(*entries: float, dtype: str = "float32") -> Any:
    return ops.convert_to_tensor(np.array(entries, dtype)[:, None])


def given(*entries: float, dtype: str = "float32") -> Any:
    return ops.convert_to_tensor(np.array(entries, dtype))


WHOLE = {"dtype": "int32"}
ONES = column(1, 1, 1)


@in_graphs
@pytest.mark.parametrize(
    ("net", "x", "sides", "wanted"),
    [
        (wye.Switch("k", "x + 1", "2 * x"), ONES, {"k": given(0, 9, -1, **WHOLE)}, [2, NAN, NAN]),
        (wye.Switch("k", "x + 1", "2 * x"), column(1, 1, 1, **WHOLE), {"k": given(0, 9, -1, **WHOLE)}, [2, 0, 0]),
        (wye.When("c", "x + 1"), ONES, {"c": given(1, NAN, 0)}, [2, 1, 1]),
        (wye.When("c", "x + 1", "x - 1"), ONES, {"c": given(1, NAN, 0)}, [2, 0, 0]),
        (wye.When("any(c)", "x + 1", per="batch"), ONES, {"c": given(0, 0, 0)}, [1, 1, 1]),
        (wye.While("c * (x < 3)", "x + 1", max_steps=9), ONES, {"c": given(1, NAN, 0)}, [3, 1, 1]),
        (wye.While("c * (x < 3)", "x + 1", max_steps=99), ONES, {"c": given(1, NAN, 0)}, [3, 1, 1]),
        (wye.Repeat("x + 1", "clamp(d, 0, 3)"), ONES, {"d": given(-1, 9, 1.7)}, [1, 4, 2]),
        (wye.Repeat("x + 1", "min(d, 3)"), ONES, {"d": given(-1, 3, 1)}, [1, 4, 2]),
        (wye.Repeat(["x + 1", "x + 1"], "d"), ONES, {"d": given(-1, 9, 1)}, [1, 3, 2]),
    ],
    ids=str,
)
def test_flow(net: Any, x: Any, sides: dict[str, Any], wanted: list[float]) -> None:
    found = numbers(captured(lambda x, sides: net(x, **sides))(x, sides))
    np.testing.assert_array_equal(found[:, 0], wanted)


@in_graphs
@pytest.mark.parametrize(("dtype", "missing"), [("float32", NAN), ("int32", LOWEST), ("int16", -(2**15)), ("uint8", 0)])
def test_entries_of_a_table_and_picks(dtype: str, missing: float) -> None:
    rows, ids = np.array([[1, 2], [3, 4]], dtype), given(1, 2, -1, **WHOLE)
    wanted = [[3, 4], [missing, missing], [missing, missing]]
    table = wye.Join("w", w=wye.Table(rows, by="id"))
    np.testing.assert_array_equal(numbers(captured(lambda ids: table(id=ids))(ids)), wanted)
    pick = wye.Join("w[id[b], d]", w=rows)
    np.testing.assert_array_equal(numbers(captured(lambda ids: pick(id=ids))(ids)), wanted)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "uint16"])
def test_entries_of_a_few_bits(dtype: str) -> None:
    rows = np.array([[1, 2], [3, 4]], dtype)
    np.testing.assert_array_equal(
        numbers(wye.Join("w", w=wye.Table(rows, by="id"))(id=given(1, 0, **WHOLE))), rows[::-1]
    )


@pytest.mark.parametrize("ids", [[1, 2], [-1, 0]])
def test_eager_refuses_such_entries(ids: list[int]) -> None:
    with pytest.raises(wye.RangeError, match="out of range"):
        wye.Join("w", w=wye.Table(np.ones((2, 2), "float32"), by="id"))(id=given(*ids, **WHOLE))
