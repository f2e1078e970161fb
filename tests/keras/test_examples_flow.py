"""The examples of flow on Keras, M6 to M9, held against loops over samples and against models written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import wye.keras as wye
from examples.keras import m06_layer_under_a_condition as m06
from examples.keras import m07_random_depth_distinct as m07
from examples.keras import m08_random_depth_shared as m08
from examples.keras import m09_loop_on_the_data as m09
from tests.keras.by_hand import Plain, of
from tests.keras.plain import alike, array, numbers, same, weights
from tests.keras.test_examples_join import cross_entropy, twin
from wye.formula.chance import fall

# Where a layer ran for no sample, its gradient is missing on torch, and by hand everywhere; Keras warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
}


def line(layer: Any, x: Any) -> Any:
    """A Dense layer without its activation, in float64."""
    kernel, bias = layer.get_weights()
    return np.asarray(x, "float64") @ kernel + bias


def bits(layers: Any) -> bytes:
    return b"".join(one.tobytes() for one in layers.get_weights())


# M6

FORMS: dict[str, Callable[[Any], Any]] = {
    "one number, on": lambda control: 0.9,
    "one number, off": lambda control: 0.5,
    "a truth value": lambda control: False,
    "without axes, on": lambda control: ops.convert_to_tensor(0.9),
    "without axes, off": lambda control: ops.convert_to_tensor(0.1),
    "(B,)": ops.convert_to_tensor,
    "(B, 1)": lambda control: ops.convert_to_tensor(control[:, None]),
    "(B,), all on": lambda control: ops.convert_to_tensor(control + 1),
    "(B, 1), all off": lambda control: ops.convert_to_tensor(control[:, None] - 1),
}


def controls(count: int) -> Any:
    return np.random.default_rng(4).uniform(size=count).astype("float32")


@pytest.mark.parametrize("form", FORMS)
def test_m06_values(form: str) -> None:
    net, x, control = m06.network(), array(1, 9, 10), controls(9)
    given = FORMS[form](control)
    found = net(x, control=given)
    flat = np.broadcast_to(numbers(given).reshape(-1), 9)
    rows: list[Any] = []
    for sample, own in zip(x, flat, strict=True):
        hidden = np.maximum(line(net.first, sample), 0)
        if own > 0.5:
            hidden = np.maximum(line(net.middle.then, hidden), 0)
        rows.append(line(net.last, hidden))
    alike(found, np.stack(rows))
    assert [tuple(one.kernel.shape) for one in (net.first, net.middle.then, net.last)] == [(10, 5), (5, 5), (5, 2)]


def conditioned(model: Any, batch: Any) -> Any:
    hidden = model.first(batch["x"])
    hidden = ops.where(batch["control"][:, None] > 0.5, model.then(hidden), hidden)
    log_p = ops.log_softmax(model.last(hidden))
    return -ops.mean(ops.sum(log_p * ops.one_hot(batch["y"], 2), -1))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_m06_weights_after_a_fit(kind: str) -> None:
    ours, x, control = m06.compiled(m06.network(), OPTIMIZERS[kind]()), array(1, 24, 10), controls(24)
    group = np.random.default_rng(5).integers(0, 2, 24)
    ours(x, control=control)
    theirs = Plain(conditioned, first=twin(ours.first), then=twin(ours.middle.then), last=twin(ours.last))
    theirs.compile(OPTIMIZERS[kind]())
    ours.fit({"x": x, "control": control}, group, batch_size=8, epochs=3, shuffle=False, verbose=0)
    whole = {"x": x, "control": control, "y": group}
    theirs.fit(whole, batch_size=8, epochs=3, shuffle=False, verbose=0)
    same(weights(ours), weights(theirs), 1e-5)


def test_m06_a_layer_that_no_sample_takes_is_not_moved_by_sgd() -> None:
    net, x, control = m06.compiled(m06.network(), keras.optimizers.SGD(0.1)), array(1, 24, 10), controls(24)
    net(x, control=control)
    before, first = bits(net.middle.then), bits(net.first)
    net.fit({"x": x, "control": 0 * control}, np.zeros(24, int), batch_size=8, verbose=0)
    assert bits(net.middle.then) == before
    assert bits(net.first) != first


@pytest.mark.parametrize(
    ("sides", "kind"),
    [
        ({"control": np.ones((9, 2), "float32")}, wye.FlowError),
        ({"control": np.ones(8, "float32")}, wye.InputError),
        ({"control": np.ones(1, "float32")}, wye.InputError),
        ({}, wye.WyeError),
        ({"contrl": 0.7}, wye.InputError),
    ],
)
def test_m06_a_control_that_does_not_fit_is_an_error(sides: dict[str, Any], kind: type[wye.WyeError]) -> None:
    with pytest.raises(kind, match=r"contro?l"):
        m06.network()(array(1, 9, 10), **sides)


def test_m06_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m06.main()
    told = capsys.readouterr().out
    counted = [int(line.split()[-2]) for line in told.splitlines() if line.endswith(" patients")]
    assert counted == [0, 442, 442, 195, 195]
    assert "control = 0   the middle layer's weights are the same to the bit" in told
    assert "own controls  the middle layer's weights moved" in told
    assert "FlowError: the condition has not one element for each sample." in told


# M7 and M8


def some_digits(count: int = 40) -> dict[str, Any]:
    image, label = m07.digits()
    return {"image": image[:count], "label": label[:count]}


def fallen(node: Any, steps: int) -> list[int]:
    """What the die 0..3 of a node shows in its first steps: its hash is held against others in tests of the core."""
    return [fall(int(numbers(node.dice.seed)), step, 0) % 4 for step in range(steps)]


def deep(model: Any, batch: Any) -> Any:
    """As many of the layers as `model.depth` says."""
    x = model.first(batch["image"])
    for layer in model.middle[: model.depth]:
        x = layer(x)
    return cross_entropy(model.last(x), batch["label"])


def by_hand(net: Any, middle: list[Any]) -> Plain:
    made = Plain(deep, first=twin(net.first), last=twin(net.last))
    made.middle, made.depth = middle, 3
    made.compile(keras.optimizers.SGD(0.1, momentum=0.9), run_eagerly=True)
    return made


def stepped(made: Plain, depths: list[int]) -> Plain:
    for step, depth in enumerate(depths):
        made.depth = depth
        made.train_on_batch(of(some_digits(), step % 4 * 10, step % 4 * 10 + 10))
    return made


def test_m07_each_step_runs_as_many_layers_as_the_die_shows() -> None:
    net = m07.network()
    ours = m07.objective(net)
    net(some_digits()["image"])
    theirs = by_hand(net, [twin(getattr(net.middle, str(place))) for place in range(3)])
    before = {place: bits(getattr(net.middle, str(place))) for place in range(3)}
    ours.compile(keras.optimizers.SGD(0.1, momentum=0.0))
    theirs.compile(keras.optimizers.SGD(0.1, momentum=0.0), run_eagerly=True)
    depths = fallen(net.middle, 12)
    assert (
        m07.trained(net, ours, [of(some_digits(), step % 4 * 10, step % 4 * 10 + 10) for step in range(12)]) == depths
    )
    assert set(depths) == {0, 1, 2, 3}
    stepped(theirs, depths)
    same([*map(numbers, net.first.weights)], [*map(numbers, theirs.first.weights)], 1e-5)
    same([*map(numbers, net.last.weights)], [*map(numbers, theirs.last.weights)], 1e-5)
    for place, layer in enumerate(theirs.middle):
        mine = getattr(net.middle, str(place))
        same([*map(numbers, mine.weights)], [*map(numbers, layer.weights)], 1e-5)
        assert bits(mine) != before[place]


def test_m07_values_at_each_depth() -> None:
    net, x = m07.network(), some_digits()["image"]
    net(x)
    hidden = np.maximum(line(net.first, x), 0)
    for depth in range(4):
        net.middle.times = depth
        logits = line(net.last, hidden)
        alike(net(x), logits - np.log(np.exp(logits).sum(1, keepdims=True)), 1e-4)
        if depth < 3:
            hidden = np.maximum(line(getattr(net.middle, str(depth)), hidden), 0)
    net.middle.times = "die(0, 3)"
    assert (numbers(net(x)) == numbers(net(x))).all()


@pytest.mark.parametrize("widths", [(32, 16, 32), (16, 32, 32), (32, 32, 16)])
def test_m07_layers_of_unequal_widths_are_refused_when_built(widths: tuple[int, ...]) -> None:
    with pytest.raises(wye.PartError, match="must have one width"):
        wye.Repeat([m07.layer(width) for width in widths], "die(0, 3)")


@pytest.mark.long
def test_m07_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m07.main()
    told = capsys.readouterr().out
    counted = [int(word.split(" layers on ")[1].split()[0]) for word in told.splitlines()[1].split(", ")]
    assert len(counted) == 4
    assert min(counted) > sum(counted) / 8
    hits = [int(line.split()[-1].rstrip("%")) for line in told.splitlines() if line.endswith("%")]
    assert min(hits) >= 50
    assert "sum to 1.0000" in told
    assert "PartError: the blocks of a Repeat must have one width" in told


def test_m08_the_shared_layer_gets_the_gradients_of_all_its_rounds() -> None:
    net, x = m08.network(), some_digits()
    net(x["image"])
    shared = twin(net.middle.block)
    theirs = by_hand(net, [shared] * 3)
    m08.compiled(net, keras.optimizers.SGD(0.1))
    theirs.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    depths = fallen(net.middle, 12)
    net.fit(x["image"], x["label"], batch_size=10, epochs=3, shuffle=False, verbose=0)
    stepped(theirs, depths)
    for ours, other in ((net.first, theirs.first), (net.middle.block, shared), (net.last, theirs.last)):
        same([*map(numbers, ours.weights)], [*map(numbers, other.weights)], 1e-5)
    assert int(numbers(net.middle.dice.steps)) == 12


def test_m08_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m08.main()
    told = capsys.readouterr().out
    assert "it runs: [(32, 32), (32,)]" in told
    assert "4 in training" in told
    assert "1 out of it" in told
    hits = [int(line.split()[-1].rstrip("%")) for line in told.splitlines() if line.endswith("%")]
    assert min(hits[:4]) >= 65


# M9


def lights(count: int = 24) -> tuple[Any, Any]:
    image, label = m09.digits_in_all_lights()
    return image[:count], label[:count]


def rounds_of(net: Any, x: Any, limit: float, most: int, together: bool) -> tuple[Any, list[int]]:
    """Each sample, or the whole batch, round by round; and how many rounds each went."""
    rows, counts = [], []
    for group in [x] if together else [row[None] for row in x]:
        went = 0
        while np.linalg.norm(group) < limit and went < most:
            group, went = np.maximum(line(net.loop.block, group), 0), went + 1
        rows.append(group)
        counts.append(went)
    return np.concatenate(rows), counts


@pytest.mark.parametrize("per", ["sample", "batch"])
@pytest.mark.parametrize("scale", [0.02, 1.0])
def test_m09_values(per: str, scale: float) -> None:
    net, (image, _) = m09.network(per, max_steps=6), lights()
    net(image)
    hidden = numbers(net.first(scale * image))
    wanted, counts = rounds_of(net, hidden, 10, 6, per == "batch")
    alike(net.loop(hidden), wanted, 1e-4)
    if scale == 1.0 and per == "sample":
        assert min(counts) == 0
        assert max(counts) > 1
        stay = np.linalg.norm(hidden, axis=1) >= 10
        assert (numbers(net.loop(hidden))[stay] == hidden[stay]).all()
    if scale == 0.02:
        assert max(counts) == 6  # the bound


@pytest.mark.parametrize("rounds", [0, 2])
def test_m09_another_forward_from_a_file_alone(rounds: int, tmp_path: Path) -> None:
    net, (image, _) = m09.network(max_steps=6), lights()
    net(image)
    wye.save(net, tmp_path / "net.keras")
    value = line(net.first, image)
    for _ in range(rounds):
        value = np.maximum(line(net.loop.block, value), 0)
    alike(m09.from_file(tmp_path / "net.keras", rounds)(image), line(net.last, value), 1e-4)


def looped(model: Any, batch: Any) -> Any:
    x = model.first(batch["image"])
    on = ops.ones_like(x[:, 0]) > 0
    for _ in range(6):
        on = ops.logical_and(on, ops.sum(ops.square(x), -1) < 100)
        x = ops.where(on[:, None], model.block(x), x)
    return cross_entropy(model.last(x), batch["label"])


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_m09_weights_after_a_fit(kind: str) -> None:
    ours, (image, label) = m09.compiled(m09.network(max_steps=6), OPTIMIZERS[kind]()), lights()
    ours(image)
    theirs = Plain(looped, first=twin(ours.first), block=twin(ours.loop.block), last=twin(ours.last))
    theirs.compile(OPTIMIZERS[kind]())
    ours.fit(image, label, batch_size=8, epochs=2, shuffle=False, verbose=0)
    theirs.fit({"image": image, "label": label}, batch_size=8, epochs=2, shuffle=False, verbose=0)
    same(weights(ours), weights(theirs), 1e-4)


def test_m09_the_same_weights_under_another_forward() -> None:
    net, (image, _) = m09.network(), lights()
    hidden = numbers(net.first(image))
    net(image)
    for rounds in (0, 2):
        other = m09.fixed_rounds(net, rounds)
        x = hidden
        for _ in range(rounds):
            x = np.maximum(line(net.loop.block, x), 0)
        alike(other(image), line(net.last, x), 1e-4)
        assert {id(one) for one in other.weights} <= {id(one) for one in net.weights}
    net.loop.condition = "norm(x) < 20"
    alike(net.loop(hidden), rounds_of(net, hidden, 20, 8, False)[0], 1e-4)


def test_m09_a_sample_that_never_enters_moves_no_weight_of_the_loop() -> None:
    net, (image, label) = m09.compiled(m09.network(), keras.optimizers.SGD(0.01)), lights()
    net(image)
    before, last = bits(net.loop.block), bits(net.last)
    bright = image / np.linalg.norm(numbers(net.first(image)), axis=1, keepdims=True) * 50
    net.fit(bright, label, batch_size=8, epochs=1, verbose=0)
    assert bits(net.loop.block) == before
    assert bits(net.last) != last


def test_m09_the_bound_is_told() -> None:
    zeros = ops.zeros((3, 32))
    block = m09.network().loop.block
    alike(wye.While("norm(x) < 10", block, max_steps=2)(zeros), np.zeros((3, 32)))
    with pytest.raises(wye.FlowError, match="did not end within 2 steps"):
        wye.While("norm(x) < 10", block, max_steps=2, on_limit="error")(zeros)
    with pytest.raises(TypeError):
        wye.While("norm(x) < 10", block)


@pytest.mark.long
def test_m09_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m09.main()
    told = capsys.readouterr().out
    enter, others = (int(word) for word in told.split("new images ")[1].split(".")[0].split() if word.isdigit())
    assert enter + others == 397
    assert min(enter, others) > 30
    hits = [int(line.split()[-1].rstrip("%")) for line in told.splitlines() if line.endswith("%")]
    assert len(hits) == 6
    assert hits[-1] == hits[-2]  # from the file alone as from the network itself
    assert hits[0] >= 80
    whole = float(told.split("at a norm of ")[1].split(";")[0])
    assert whole >= 10
    assert "FlowError: the loop did not end within 2 steps." in told
