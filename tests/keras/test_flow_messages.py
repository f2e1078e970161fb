"""A flow that is wrongly built or called on Keras is told of in the words of the torch front, to the letter."""

from __future__ import annotations

import re

import pytest

import wye.keras as wye
from tests.keras.flow_front import ON_KERAS, ON_TORCH, Front

BUILT = """
when(x=1.0)
when(dice=1.0)
when(shared="adjacency")
when(None)
when(X)
repeat([1, 2])
when(wye.Schedule("step > 5"))
repeat(wye.Schedule("min(3, step)"))
when("c > 0, c < 1")
when("c >")
when("nope(c)")
when(eval=2)
when(then=[relu()])
when(then=relu)
wye.Chain(3)
wye.Chain(None)
wye.Chain(relu)
wye.Chain(half=relu())
wye.Chain(condition=relu(), per=relu())
wye.Chain(**{"a-b": relu()})
loop(max_steps=0)
loop(max_steps=True)
loop(max_steps=2.5)
loop(on_limit="warn")
loop(condition="coin(0.5)")
loop(linear(2, 3))
repeat(1, [])
repeat("die(0, 2)", [linear(4, 4), wye.Chain(linear(4, 5), relu())])
repeat(2, linear(2, 3))
repeat(-1)
repeat(1.5)
repeat(3, ["x + 1", "x + 2"])
repeat("die(0, 3)", ["x + 1", "x + 2"])
repeat("die(0, 3)", eval=-1)
repeat("die(0, 3)", eval=1.5)
repeat("die(0, 1)", ["x + 1"], eval=2)
when(then=linear(2, 3))
when(then=linear(2, 3), otherwise=linear(2, 2))
wye.Switch("c")
switch(index=None)
switch(index="die(0, 3)")
switch(index="die(0, 2)", eval=3)
switch(linear(2, 3), linear(2, 2))
switch(linear(2, 3), None)
wye.RandomChoice()
choice(linear(2, 3), None)
choice(weights=[1])
choice(weights=[1, -1])
choice(weights=[0, 0])
choice(weights=[1, float("nan")])
choice(weights="ab")
choice(weights=3)
choice(eval=2)
choice("x", eval=-1)
""".strip().splitlines()

CALLED = """
when()(X, d=C, c=C)
when("control > 0.5")(X, contrl=C)
wye.Chain("x", when("norm(x) > c"))(X)
wye.Chain(when())(X)
when(then="x + y")(X, c=C)
wye.Chain(sided())(X)
when(then=sided())(X, c=C, rows=ones(2))
when(then=sided())(X, c=C)
when('c["a"] > 0')(X, c={"a": ones(3), "b": C})
when(then="x * w[d]")(X, c=C, w=ones(2))
assigned(when(), "condition", "c > 0.5 and d > 0")
assigned(when(), "condition", "c > 0, 1")
assigned(when(), "condition", None)
assigned(repeat("depth"), "times", "dpth")
assigned(repeat(2), "times", "depth")
assigned(switch(), "index", "d")
assigned(switch(index="die(0, 2)"), "index", "die(0, 3)")
assigned(loop(), "condition", "coin(0.5)")
assigned(when("c > bound", bound=1.0), "bound", "c")
assigned(when("gap > 1", gap="c"), "gap", "c + d")
when()(of(1.0)[0], c=C)
when()({"a": X, "b": X[:3]}, c=C)
when()("text", c=C)
when()((), c=C)
when("x > 0.5")(X)
when(lambda x: x > 0)(X)
when(lambda x: x > 0, per="batch")(X)
when(lambda x: C[:3])(X)
when(per="batch")(X, c=C)
repeat("round(x)")(X)
repeat("n", per="batch")(X, n=C)
when("c")(X, c=floats(1.0, nan, 0.0, nan))
when("c")(X, c=floats(nan)[0])
when("c")(X, c=nan)
when(lambda x: nan)(X)
when(lambda x: [True] * 4)(X)
when("x['a'] > 0")({"b": X})
when("x[2] > 0")((X, X))
repeat("n / 2")(X, n=3)
repeat("c")(X, c=floats(1.0, 0.5, 0.0, 2.0))
repeat("c")(X, c=-C)
repeat("c")(X, c=-1)
repeat("n", ["x + 1", "x + 2"])(X, n=of(0, 1, 2, 3))
repeat("n", ["x + 1", "x + 2"])(X, n=5)
repeat(lambda x: 1.5)(X)
repeat(lambda x: -C)(X)
loop(on_limit="error")(X)
loop(on_limit="error", per="batch")(X)
loop("x + 6", on_limit="error", max_steps=1)(X + C[:, None] * 9)
loop(condition="x < 1")(X)
loop(lambda x: wider(x))(X)
loop(lambda x: fewer(x))(X)
switch()(X, c=of(0, 3, 1, 0))
switch()(X, c=of(0, -1, 1, 0))
switch()(X, c=floats(0.0, 0.5, 1.0, 0.0))
switch()(X, c=3)
switch()(X, c=of(-1)[0])
switch("x + 1")(X, c=0.5)
eval(switch(index="die(0, 2)"))(X)
eval(when("coin(0.5)"))(X)
eval(repeat("die(0, 3) + 1"))(X)
switch(index="round(x)")(X)
switch(per="batch")(X, c=C)
switch(index=lambda x: x, per="batch")(X)
switch()(X, c=floats(nan, 0, 1, 0))
switch(index=lambda x: [0, 1, 0, 1])(X)
switch(wider, None)(X, c=0)
switch(fewer, None)(X, c=0)
switch(fewer, "x + 1")(X, c=0)
switch()(X, c=FIRST, d=C)
switch(sided(), None)(X, c=FIRST, rows=ones(1))
choice()(X, c=C)
choice(wider, None, weights=[1, 0])(X)
when(then=wider)(X, c=1)
when(then=lambda x: x / 2)(FIRST, c=C)
when(then="x / 2")(of(1, 2, 3, 4), c=C)
""".strip().splitlines()

ROWS = """
when(then=wider)(X, c=C)
when(then=fewer)(X, c=C)
when(then=lambda x: (x, x))(X, c=C)
when(then=lambda x: {"x": x})(X, c=C)
repeat("c", wider)(X, c=C)
repeat("c", [fewer])(X, c=C)
switch(wider, None)(X, c=FIRST)
switch(fewer, None)(X, c=FIRST)
switch(fewer, "x + 1")(X, c=FIRST)
""".strip().splitlines()
"""Keras tells of these when it is built, before anyone knows how many samples a branch gets."""

OWN_WORDS = (
    *(("a layer, a formula", "a module, a formula"), ("Dense", "Linear")),
    *(("EagerTensor", "Tensor"), ("ArrayImpl", "Tensor"), ("beside int32", "beside int64")),
    ("float64 beside", "float32 beside"),
)
"""What one front has and the other has not is named by its own words."""


def told(front: Front, call: str) -> tuple[str, str]:
    names = {name: getattr(front, name) for name in dir(front) if not name.startswith("_")}
    with pytest.raises(wye.WyeError) as caught:
        eval(call, names)
    error = caught.value
    assert all((error.what, error.where, error.got, error.fix)), f"a part is missing: {error}"
    return type(error).__name__, str(error)


@pytest.mark.parametrize("call", [*BUILT, *CALLED])
def test_the_message_is_that_of_the_torch_front(call: str) -> None:
    kind, message = told(ON_KERAS, call)
    for own, other in OWN_WORDS:
        message = message.replace(own, other)
    assert (kind, message) == told(ON_TORCH, call)


@pytest.mark.parametrize("call", ROWS)
def test_the_message_is_the_same_but_for_the_number_of_rows(call: str) -> None:
    ours, theirs = told(ON_KERAS, call), told(ON_TORCH, call)
    assert [re.sub(r"\(\d+, ", "(rows, ", one) for one in ours] == [
        re.sub(r"\(\d+, ", "(rows, ", one) for one in theirs
    ]
