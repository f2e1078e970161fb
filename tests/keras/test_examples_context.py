"""The examples of context on Keras, M14 and M16, held against loops and against Keras's own weighted loss."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import wye.keras as wye
from examples.keras import m14_importance_mask as m14
from examples.keras import m16_weight_per_sample as m16
from tests.keras.by_hand import Plain
from tests.keras.plain import alike, array, dense, numbers, same, weights
from tests.keras.test_examples_join import twin

# M14


def masked(pred: Any, label: Any, mask: Any) -> float:
    """The loss, place by place."""
    total, batch = 0.0, pred.reshape(-1, *mask.shape)
    for image, target in zip(batch, label.reshape(batch.shape), strict=True):
        for i in range(mask.shape[0]):
            for j in range(mask.shape[1]):
                total += (float(image[i, j]) - float(target[i, j])) ** 2 * float(mask[i, j])
    return total / pred.size


@pytest.mark.parametrize("spelling", [m14.FORMULA, "mean((pred - label) ** 2 * mask)"])
@pytest.mark.parametrize("shape", [(5, 4), (3, 5, 4), (1, 5, 4), (5, 5, 4)])
def test_m14_value(shape: tuple[int, ...], spelling: str) -> None:
    pred, label, mask = array(1, *shape), array(2, *shape), np.abs(array(3, 5, 4))
    loss = wye.Objective(spelling, mask=ops.convert_to_tensor(mask))
    alike(loss(pred, label)[0], masked(pred, label, mask))


def test_m14_the_mask_given_with_the_call() -> None:
    pred, label, mask = array(1, 3, 5, 4), array(2, 3, 5, 4), np.abs(array(3, 5, 4))
    given = {name: ops.convert_to_tensor(value) for name, value in (("pred", pred), ("label", label), ("mask", mask))}
    alike(wye.evaluate(m14.FORMULA, **given), masked(pred, label, mask))
    assert float(wye.evaluate(m14.FORMULA, pred=pred, label=label, mask=mask)) == pytest.approx(
        masked(pred, label, mask), rel=1e-5
    )


def test_m14_a_model_fit_over_it_is_that_of_a_loss_by_hand() -> None:
    image = np.abs(array(1, 24, 8, 8))
    net = m14.network()
    plain = Plain(
        lambda model, batch: ops.mean(
            ops.square(model.net(batch["image"])["pred"] - batch["image"]) * ops.convert_to_tensor(m14.middle())
        ),
        net=twin(net),
    )
    ours = m14.masked_error(m14.middle()).over(net)
    ours.compile(keras.optimizers.Adam(0.01))
    plain.compile(keras.optimizers.Adam(0.01))
    ours.fit(image, {"label": image}, batch_size=8, epochs=3, shuffle=False, verbose=0)
    plain.fit({"image": image}, batch_size=8, epochs=3, shuffle=False, verbose=0)
    same(weights(net), weights(plain), 1e-5)


def test_m14_a_place_without_importance_moves_nothing() -> None:
    pred = keras.Variable(array(1, 8, 8), name="pred")
    before = numbers(pred.value)
    loss = wye.Objective(m14.FORMULA, mask=ops.convert_to_tensor(m14.middle(border=0.0)), pred=pred)
    loss.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    loss.train_on_batch({"label": np.zeros((8, 8), "float32")})
    wanted = before * (1 - 2 * m14.middle(border=0.0) / 64)
    alike(pred.value, wanted)
    assert ((numbers(pred.value) != before) == (m14.middle(border=0.0) == 1)).all()


@pytest.mark.parametrize(
    ("pred", "label", "mask"),
    [
        ((3, 8, 8), (3, 8, 8), (8, 9)),
        ((3, 8, 8), (3, 8, 8), (1, 8)),
        ((3, 8, 8), (3, 8, 8), (8,)),
        ((3, 8, 8), (3, 8, 8), (3, 8, 8)),
        ((3, 8, 8), (2, 8, 8), (8, 8)),
        ((3, 8, 8), (3, 8, 1), (8, 8)),
        ((8,), (8,), (8, 8)),
    ],
)
def test_m14_shapes_that_do_not_fit_are_errors(
    pred: tuple[int, ...], label: tuple[int, ...], mask: tuple[int, ...]
) -> None:
    with pytest.raises(wye.ShapeError):
        m14.masked_error(np.ones(mask, "float32"))(ops.zeros(pred), ops.zeros(label))


def test_m14_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m14.main()
    told = capsys.readouterr().out
    errors = [[float(word.rstrip(",")) for word in line.split() if word[0] == "0"] for line in told.splitlines()[1:3]]
    assert errors[1][0] < errors[0][0]  # with the mask, the middle is drawn better
    assert "100 images as one batch: loss 0.0796." in told
    assert "the mean of all 100: 0.0796." in told
    assert "ShapeError: the axis `w` has two sizes." in told


# M16


def weighted(pred: Any, label: Any, w: Any) -> float:
    """The loss, sample by sample."""
    total = 0.0
    for place in range(len(pred)):
        for feature in range(pred.shape[1]):
            total += (float(pred[place, feature]) - float(label[place, feature])) ** 2 * float(w[place])
    return total / pred.size


@pytest.mark.parametrize(("size", "features"), [(6, 3), (3, 3), (6, 1), (1, 4), (1, 1)])
def test_m16_value(size: int, features: int) -> None:
    x, label, w = array(1, size, 5), array(2, size, features), np.abs(array(3, size))
    loss = m16.weighted_error(dense(4, features, 5))
    wanted = weighted(numbers(loss.net(x)), label, w)
    alike(loss(x=x, label=label, w=w)[0], wanted)
    ids = np.arange(size)[::-1].copy()
    by_id = m16.weighted_by_id(loss.net, np.concatenate([w[::-1], [99.0]]).astype("float32"))
    alike(by_id(x=x, label=label, id=ids)[0], wanted)


@pytest.mark.parametrize("by_id", [False, True])
def test_m16_fit_is_that_of_sample_weights(by_id: bool) -> None:
    x, label, w = array(1, 40, 4), array(2, 40, 2), np.abs(array(3, 40))
    net, theirs = dense(4, 2, 4), keras.Sequential([dense(4, 2, 4)])
    ours = m16.weighted_by_id(net, w) if by_id else m16.weighted_error(net)
    theirs.compile(keras.optimizers.Adam(0.02), "mse")
    ours.compile(keras.optimizers.Adam(0.02))
    rows = np.random.default_rng(5).integers(0, 40, 48)  # an id may come twice
    more = {"id": rows} if by_id else {"w": w[rows]}
    ours.fit({"x": x[rows], "label": label[rows], **more}, batch_size=8, epochs=3, shuffle=False, verbose=0)
    theirs.fit(x[rows], label[rows], sample_weight=w[rows], batch_size=8, epochs=3, shuffle=False, verbose=0)
    same(weights(net), weights(theirs), 1e-5)


@pytest.mark.parametrize("shape", [(5,), (7,), (1,), (3,), (6, 1), (1, 6), (6, 3), ()])
def test_m16_weights_that_do_not_fit_are_errors(shape: tuple[int, ...]) -> None:
    with pytest.raises(wye.ShapeError):
        m16.weighted_error(dense(4, 3, 5))(x=array(1, 6, 5), label=array(2, 6, 3), w=ops.ones(shape))


def test_m16_labels_without_their_second_axis_are_an_error() -> None:
    with pytest.raises(wye.ShapeError, match="`label`"):
        m16.weighted_error(dense(4, 1, 5))(x=array(1, 6, 5), label=array(2, 6), w=ops.ones(6))


@pytest.mark.parametrize("wrong", [10, -1])
def test_m16_an_id_that_no_sample_has_is_an_error(wrong: int) -> None:
    loss = m16.weighted_by_id(dense(4, 2, 5), np.ones(10, "float32"))
    with pytest.raises(wye.RangeError):
        loss(x=array(1, 3, 5), label=array(2, 3, 2), id=np.array([0, wrong, 2]))


def test_m16_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m16.main()
    told = capsys.readouterr().out
    errors = [float(line.split()[-1]) for line in told.splitlines()[1:4]]
    assert errors[1] < errors[0]
    assert errors[2] == pytest.approx(errors[1], abs=2e-3)
    assert "ShapeError: the axis `b` has two sizes." in told
    assert "ShapeError: `label` has 1 axis, yet 2 are named." in told
    assert "RangeError: the index 442 is out of range." in told
