"""A fit of Keras is told like a loop of one's own, and runs to the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

import wye
from wye.errors import InputError


def fresh(code: str) -> Any:
    """What a fresh process prints as JSON: Keras takes its backend when it is imported."""
    ran = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:wye", "-c", textwrap.dedent(code)],
        env={**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


FORKED = """
import json, keras, numpy as np, torch, wye

class Forked(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = keras.layers.Dense(4, activation="tanh")
        self.deep = keras.layers.Dense(4)
        self.rest = [keras.layers.Dense(4), keras.layers.Dense(4)]
        self.norm, self.drop = keras.layers.BatchNormalization(), keras.layers.Dropout(0.2, seed=3)
        self.last = keras.layers.Dense(1)
        self.log = []

    def build(self, shape):
        self.first.build(shape)
        for layer in (self.deep, *self.rest, self.norm, self.last):
            layer.build((None, 4))

    def call(self, x, training=False):
        deep, more = x.device.type == "meta" or bool(x[:, 0].mean() > 0), bool(training and x[0, 1] > 0)
        if x.device.type != "meta":
            self.log.append((len(x), deep, more))
        h = self.first(x)
        if deep:
            h = self.deep(h)
        h = self.rest[0](h)
        if more:
            h = self.rest[1](h)
        return self.last(self.drop(self.norm(h), training=training))

def fit(watched):
    keras.utils.set_random_seed(4)
    x = np.random.RandomState(0).randn(80, 3).astype("float32")
    net = Forked()
    net.build((None, 3))
    net.compile(keras.optimizers.Adam(0.01), "mse")
    seen = wye.watch(net) if watched else None
    net.fit(x, x.sum(1, keepdims=True), batch_size=4, epochs=2, verbose=0, shuffle=False,
            callbacks=[seen.callback("keras")] if seen else [])
    return net, seen
"""


KERAS = f"""
{FORKED}
net, seen = fit(True)
plain, _ = fit(False)
ends = [[np.array(v) for v in one.variables] for one in (net, plain)]
same = [bool(np.array_equal(*two)) for two in zip(*ends, strict=True)]
generators = []
for watched in (True, False):
    fit(watched)
    generators.append(torch.get_rng_state())
same.append(torch.equal(*generators))

x = keras.Input((3,))
shared = keras.layers.Dense(3, name="twice")
models = [keras.Model(x, keras.layers.Dense(1, name="end")(shared(shared(x)))),
          keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="one"), keras.layers.Dense(1, name="two")])]
told = []
for model in models:
    model.compile("sgd", "mse")
    with wye.watch(model) as one:
        model.fit(np.ones((8, 3), "float32"), np.ones((8, 1), "float32"), batch_size=2, verbose=0,
                  callbacks=[one.callback("keras")])
    told.append([{{n: p.calls for n, p in one.modules.items()}}, {{n: w.nonzero for n, w in one.weights.items()}}])
try:
    wye.watch(keras.Sequential([keras.layers.Dense(1)]))
except wye.WyeError as error:
    told.append(str(error))
print(json.dumps([[net.log, seen.steps, json.loads(seen.json())], same, told]))
"""


@pytest.fixture(scope="module")
def keras_runs() -> Any:
    """All that is asked of Keras, from one process; it takes seconds to start."""
    return fresh(KERAS)


class TestKeras:
    def test_a_fit_is_told_as_its_model_logged_it(self, keras_runs: Any) -> None:
        log, steps, seen = keras_runs[0]
        deep, more = sum(ran for _, ran, _ in log), sum(ran for _, _, ran in log)
        assert len(log) == steps == 40
        assert 0 < deep < 40
        assert 0 < more < 40
        names = [f"{layer}.{part}" for layer in ("first", "deep", "last") for part in ("kernel", "bias")]
        assert seen["weights"].keys() >= set(names)
        counts = {name: (one["none"], one["zero"], one["nonzero"]) for name, one in seen["weights"].items()}
        assert counts["first.kernel"] == (0, 0, 40)
        assert counts["deep.kernel"] == (40 - deep, 0, deep)
        assert counts["norm.moving_mean"] == (40, 0, 0)
        assert seen["weights"]["deep.kernel"]["reasons"] == {"`deep` did not run": 40 - deep}
        assert seen["weights"]["deep.kernel"]["moved"] is None
        assert all(one["written"] == 0 for one in seen["weights"].values())
        assert not any("_torch_params" in name or "seed" in name for name in seen["weights"])
        (listed,) = [name for name, one in seen["modules"].items() if name.startswith("dense") and one["calls"] < 40]
        assert seen["modules"][listed]["calls"] == more
        assert counts[f"{listed}.kernel"] == (40 - more, 0, more)
        assert seen["weights"][f"{listed}.bias"]["reasons"] == {f"`{listed}` did not run": 40 - more}
        assert seen["modules"]["deep"] == {"calls": deep, "samples": sum(rows for rows, ran, _ in log if ran)}
        assert sum(way["calls"] for way in seen["ways"]) == 40
        assert len(seen["ways"]) == len({(ran, also) for _, ran, also in log})

    def test_the_bits_are_the_same(self, keras_runs: Any) -> None:
        assert len(keras_runs[1]) > 12
        assert all(keras_runs[1])

    def test_layers_of_a_functional_and_a_sequential_model_have_their_names(self, keras_runs: Any) -> None:
        functional, sequential, _ = keras_runs[2]
        assert functional[0] == {"": 4, "twice": 8, "end": 4}
        assert functional[1] == {"twice.kernel": 4, "twice.bias": 4, "end.kernel": 4, "end.bias": 4}
        assert sequential[0] == {"": 4, "one": 4, "two": 4}
        assert sequential[1] == {"one.kernel": 4, "one.bias": 4, "two.kernel": 4, "two.bias": 4}

    def test_a_model_that_is_not_built_is_refused(self, keras_runs: Any) -> None:
        assert keras_runs[2][2] == (
            "a Keras model has no weights before it is built.\n"
            "  in:  watch(...)\n"
            "  got: Sequential\n"
            "  fix: call the model on one batch first, or begin it with an Input"
        )

    def test_on_another_backend_it_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stand_in = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "jax"))
        monkeypatch.setitem(sys.modules, "keras", stand_in)  # type: ignore[arg-type]
        with wye.watch(nn.Linear(1, 1)) as seen, pytest.raises(InputError) as caught:
            seen.callback("keras")
        assert str(caught.value) == (
            "Keras is watched on torch alone.\n"
            '  in:  callback("keras")\n'
            "  got: jax\n"
            '  fix: set the environment variable KERAS_BACKEND to "torch" before Keras is imported'
        )


def test_no_framework_is_imported_before_a_callback_is_asked_for() -> None:
    code = """
        import json, sys, torch, wye
        seen = wye.watch(torch.nn.Linear(1, 1))
        print(json.dumps(sorted(name for name in sys.modules if name.partition(".")[0] in
                                ("lightning", "pytorch_lightning", "keras", "tensorflow", "jax"))))
    """
    assert fresh(code) == []
