"""An Objective that owns its networks is what one fits: its steps are those of the same model written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import wye.keras as wye
from tests.keras.by_hand import BATCH, COUNT, DATA, PULL, SIZE, Plain, of, pull, size, stepped, towers
from tests.keras.plain import BACKEND, alike, array, dense, line, numbers, same, slots, weights

X: dict[str, Any] = {name: DATA[name] for name in ("image", "text")}


def objective(**settings: Any) -> wye.Objective:
    return wye.Objective("pull + beta * size", pull=PULL, size=SIZE, beta=0.3, **settings, **towers())


def by_hand() -> Plain:
    return Plain(lambda model, batch: pull(model, batch) + 0.3 * size(model, batch), **towers())


def fitted(model: Any, x: Any = X, epochs: int = 4, **settings: Any) -> Any:
    model.fit(x, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0, **settings)
    return model


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
}
WAYS: dict[str, dict[str, Any]] = {"as it is": {}, "eagerly": {"run_eagerly": True}}
if BACKEND != "torch":
    WAYS["compiled"] = {"jit_compile": True}
    WAYS["not compiled"] = {"jit_compile": False}
    WAYS["two at once"] = {"steps_per_execution": 2}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_twenty_steps_are_those_of_the_model_by_hand(optimizer: str) -> None:
    ours, theirs = objective(), by_hand()
    for model in (ours, theirs):
        model.compile(OPTIMIZERS[optimizer]())
        before = [*map(numbers, model.trainable_variables)]
        fitted(model)
        assert all((one != other).any() for one, other in zip(before, weights(model), strict=False))
    same(weights(ours), weights(theirs))
    same(slots(ours.optimizer), slots(theirs.optimizer), 1e-5)
    assert int(ours.optimizer.iterations) == 20


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_run_the_steps(way: str) -> None:
    ours, theirs = objective(), by_hand()
    ours.compile(OPTIMIZERS["adam"](), **WAYS[way])
    theirs.compile(OPTIMIZERS["adam"](), **WAYS[way])
    same(weights(fitted(ours)), weights(fitted(theirs)))


def test_steps_one_by_one() -> None:
    ours, theirs = objective(), by_hand()
    for model in (ours, theirs):
        model.compile(OPTIMIZERS["adam"]())
    stepped(ours, 20)
    same(weights(ours), weights(fitted(theirs)))


# its terms


def terms_of(model: Any, x: Any) -> dict[str, float]:
    """In NumPy, over all samples."""
    see, read = np.tanh(line(model.see, x["image"])), line(model.read, x["text"])
    found = {"pull": np.mean((see - read) ** 2), "size": np.mean(see**2)}
    return {"loss": found["pull"] + 0.3 * found["size"], **found}


def test_terms_are_metrics_of_the_epoch_and_of_the_validation() -> None:
    model = objective()
    model.compile(keras.optimizers.SGD(0.0))
    whole, part = of(X, 0, 20), of(X, 20, 31)  # batches of 8, 8 and 4; and of 8 and 3
    history = model.fit(whole, batch_size=8, epochs=2, validation_data=(part,), verbose=0).history
    wanted, wanted_of_part = terms_of(model, whole), terms_of(model, part)
    summand = "beta * size"
    assert history.keys() == {*wanted, summand, *(f"val_{name}" for name in (*wanted, summand))}
    for name, value in wanted.items():
        np.testing.assert_allclose(history[name], [value] * 2, rtol=1e-5)
        np.testing.assert_allclose(history[f"val_{name}"], [wanted_of_part[name]] * 2, rtol=1e-5)
    np.testing.assert_allclose(history[summand], [0.3 * wanted["size"]] * 2, rtol=1e-5)
    found = model.evaluate(part, batch_size=8, verbose=0, return_dict=True)
    assert found.keys() == {*wanted, summand}
    for name, value in wanted_of_part.items():
        assert found[name] == pytest.approx(value, rel=1e-5)


def test_a_call_and_a_prediction_give_the_total_and_its_terms() -> None:
    model = objective()
    model.compile("sgd")
    total, terms = model(X)
    wanted = terms_of(model, X)
    alike(total, wanted["loss"])
    alike(terms["pull"], wanted["pull"])
    totals, by_batch = model.predict(X, batch_size=20, verbose=0)
    halves = [terms_of(model, of(X, 0, 20)), terms_of(model, of(X, 20))]
    alike(totals, [half["loss"] for half in halves])
    alike(by_batch["size"], [half["size"] for half in halves])


# what a batch holds


def weighted(**settings: Any) -> wye.Objective:
    text = "mean(sample_weight[b] * (net(x)[b, k] - y[b, k]) ** 2)"
    return wye.Objective(text, net=dense(1, 2), **settings)


def weighted_by_hand() -> Plain:
    def loss(model: Any, batch: Any) -> Any:
        return ops.mean(batch["sample_weight"][:, None] * ops.square(model.net(batch["x"]) - batch["y"]))

    return Plain(loss, net=dense(1, 2))


W = {"x": array(5, COUNT, 3), "y": array(6, COUNT, 2), "sample_weight": np.abs(array(7, COUNT))}


class Batches(keras.utils.PyDataset):
    def __init__(self, give: Callable[[dict[str, Any]], Any]) -> None:
        super().__init__()
        self.give = give

    def __len__(self) -> int:
        return COUNT // BATCH

    def __getitem__(self, index: int) -> Any:
        return self.give(of(W, index * BATCH, (index + 1) * BATCH))


def in_tf_data(give: Callable[[dict[str, Any]], Any]) -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(W).batch(BATCH).map(give)


def generated(give: Callable[[dict[str, Any]], Any]) -> Any:
    while True:
        for start in range(0, COUNT, BATCH):
            yield give(of(W, start, start + BATCH))


GIVEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "one dict": lambda w: (w,),
    "a dict and targets": lambda w: ({"x": w["x"]}, w["y"], w["sample_weight"]),
    "two dicts": lambda w: ({"x": w["x"]}, {"y": w["y"], "sample_weight": w["sample_weight"]}),
    "arrays": lambda w: (w["x"], w["y"], w["sample_weight"]),
}
SOURCES: dict[str, Callable[..., Any]] = {"PyDataset": Batches, "tf.data": in_tf_data, "a generator": generated}


def wanted_weights() -> list[Any]:
    theirs = weighted_by_hand()
    theirs.compile(OPTIMIZERS["adam"]())
    return weights(fitted(theirs, W, epochs=2))


@pytest.mark.parametrize("given", GIVEN)
def test_targets_and_weights_go_to_the_inputs_of_their_names(given: str) -> None:
    ours = weighted()
    ours.compile(OPTIMIZERS["adam"]())
    x, y, w, *_ = (*GIVEN[given](W), None, None)
    fitted(ours, x, epochs=2, y=y, sample_weight=w)
    same(weights(ours), wanted_weights())
    loss = float(np.mean(W["sample_weight"][:, None] * (line(ours.net, W["x"]) - W["y"]) ** 2))
    assert ours.evaluate(x, y, sample_weight=w, verbose=0) == pytest.approx(loss, rel=1e-5)
    history = ours.fit(x, y, sample_weight=w, epochs=1, verbose=0, validation_data=GIVEN[given](W)).history
    assert "val_loss" in history


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("given", GIVEN)
def test_sources_of_batches(source: str, given: str) -> None:
    ours = weighted()
    ours.compile(OPTIMIZERS["adam"]())
    steps = COUNT // BATCH if source == "a generator" else None
    ours.fit(SOURCES[source](GIVEN[given]), epochs=2, steps_per_epoch=steps, shuffle=False, verbose=0)
    same(weights(ours), wanted_weights())


def test_a_loader_of_torch() -> None:
    if BACKEND != "torch":
        pytest.skip("a loader of torch gives tensors of torch")
    import torch

    class Samples(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return COUNT

        def __getitem__(self, index: int) -> Any:
            return {name: value[index] for name, value in W.items()}

    ours = weighted()
    ours.compile(OPTIMIZERS["adam"]())
    ours.fit(torch.utils.data.DataLoader(Samples(), batch_size=BATCH), epochs=2, shuffle=False, verbose=0)
    same(weights(ours), wanted_weights())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"y": W["y"]},
            "`y` is given, which the objective does not read.\n  in:  Objective.fit(...)\n  got: inputs image, text\n"
            "  fix: give targets in the dict, under the names that the formula reads",
        ),
        (
            {"sample_weight": W["sample_weight"]},
            "`sample_weight` is given, which the objective does not read.\n  in:  Objective.fit(...)\n"
            "  got: inputs image, text\n  fix: read `sample_weight` in the formula, or leave it out",
        ),
    ],
)
def test_what_nobody_reads_is_refused(given: Any, message: str) -> None:
    model = objective()
    model.compile("sgd")
    with pytest.raises(wye.InputError) as caught:
        model.fit(X, verbose=0, **given)
    assert str(caught.value) == message
    with pytest.raises(wye.InputError):
        model.evaluate(X, verbose=0, **given)


# what layers inside do


def test_dropout_falls_in_training_alone() -> None:
    net = keras.Sequential([keras.layers.Dropout(0.5, seed=1)])
    model = wye.Objective("mean(net(x)[b, k] == 0) + 0 * mean(a(x))", net=net, a=dense(1, 2))
    model.compile(keras.optimizers.SGD(0.0))
    x = {"x": np.ones((64, 50), "float32")}
    history = model.fit(x, epochs=1, verbose=0, validation_data=(x,)).history
    assert 0.4 < history["loss"][0] < 0.6
    assert history["val_loss"] == [0.0]
    assert 0.4 < numbers(model(x, training=True)[0]) < 0.6
    assert numbers(model(x)[0]) == 0


def test_batch_norm_counts_as_by_hand() -> None:
    def make() -> Any:
        return {"see": keras.Sequential([dense(1, 4), keras.layers.BatchNormalization()]), "read": dense(2, 4)}

    ours, theirs = wye.Objective(PULL, **make()), Plain(pull, **make())
    for model in (ours, theirs):
        model.compile(OPTIMIZERS["adam"]())
        fitted(model)
    same(weights(ours), weights(theirs), 1e-5)
    norms = [model.see.layers[1] for model in (ours, theirs)]
    same([numbers(v) for v in norms[0].variables], [numbers(v) for v in norms[1].variables], 1e-5)
    assert np.abs(numbers(norms[0].moving_mean)).max() > 0


def test_penalties_of_layers_count() -> None:
    def make() -> dict[str, Any]:
        return {"see": dense(1, 4, kernel_regularizer=keras.regularizers.L2(0.1)), "read": dense(2, 4)}

    ours, theirs = wye.Objective(PULL, **make()), Plain(pull, **make())
    for model in (ours, theirs):
        model.compile(OPTIMIZERS["adam"]())
    same(weights(fitted(ours)), weights(fitted(theirs)))
    same([ours.evaluate(X, verbose=0, return_dict=True)["loss"]], [theirs.evaluate(X, verbose=0)])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_policies(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = objective()
        model.compile(OPTIMIZERS["momentum"]())
        before = weights(model(X) and model)
        history = fitted(model).history.history if policy.startswith("mixed") else None
        assert history is None or all(np.isfinite(values).all() for values in history.values())
        after = weights(model)
        assert policy == "bfloat16" or any((one != other).any() for one, other in zip(before, after, strict=True))
        assert isinstance(model.beta, float)
        assert model.beta == 0.3
        total, terms = model(X)
        assert keras.backend.standardize_dtype(total.dtype) in ("float16", "bfloat16", "float32")
        loss = wye.Objective("mean((net(x) - y) ** 2)", net=keras.layers.Dense(1))
        far = loss(x=np.ones((2, 3), "float32"), y=np.full((2, 1), 300, "float32"))[0]
        assert 80_000 < numbers(keras.ops.cast(far, "float32")) < 100_000  # no number in 16 bits
        assert set(terms) == {"pull", "size", "beta * size"}
    finally:
        keras.config.set_dtype_policy("float32")


# frozen


@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")  # Keras tells of each weight without one
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_weights_stay(name: str) -> None:
    def frozen_by_hand(model: Any, batch: Any) -> Any:
        still = ops.stop_gradient(model.read(batch["text"]))
        return ops.mean(ops.square(model.see(batch["image"]) - still))

    held = towers()
    held["read"].build((None, 5))
    before = [numbers(v) for v in held["read"].variables]
    ours, theirs = (
        wye.Objective(PULL, see=held["see"], read=wye.frozen(held["read"])),
        Plain(frozen_by_hand, **towers()),
    )
    if BACKEND == "jax" and name == "adamw":  # where a gradient is zero, not missing, decay moves a weight
        held["read"].trainable = theirs.read.trainable = False
    for model in (ours, theirs):
        model.compile(OPTIMIZERS[name]())
        fitted(model)
    for one, other in zip(before, held["read"].variables, strict=True):
        np.testing.assert_array_equal(one, numbers(other))
    same(weights(ours.see), weights(theirs.see))
