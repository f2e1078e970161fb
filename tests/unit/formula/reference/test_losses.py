"""The losses, against torch's own."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.unit.formula.reference.run import drawn, same, value
from tests.unit.plain_pairs import plain
from wye.errors import RangeError, ShapeError

X = drawn(3, 4)


def test_mse() -> None:
    y = drawn(3, 4)
    same(value("mse(x, y)", x=X, y=y), ((X - y) ** 2).mean())
    same(value('mse(x, y, reduction="sum")', x=X, y=y), ((X - y) ** 2).sum())
    same(value('mse(x, y, reduction="none")', x=X, y=y), (X - y) ** 2)
    same(value('mse(x[b, k], v[b], reduction="none")', x=X, v=y[:, 0]), (X - y[:, :1]) ** 2)
    for other in (y[:, :1], y[0], np.float64(1), y[None]):
        with pytest.raises(ShapeError, match="equal shapes"):
            value("mse(x, y)", x=X, y=other)
        with pytest.raises(ShapeError):
            value("mse(x, y)", x=X, y=other, context=["y"])
    same(value("mse(x, y)", x=X, y=y[:, :1], strict=False), ((X - y[:, :1]) ** 2).mean())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(reduction: str, smoothing: float) -> None:
    logits, target = drawn(2, 3, 5), np.array([[0, 4, -100], [2, -100, 3]])
    words = f'reduction="{reduction}", label_smoothing={smoothing}'
    plain = {"reduction": reduction, "label_smoothing": smoothing}
    expected = F.cross_entropy(torch.as_tensor(logits).transpose(1, 2), torch.as_tensor(target), **plain)  # type: ignore[arg-type]
    same(value(f"cross_entropy(x, y, {words})", x=logits, y=target), expected)
    same(value(f"cross_entropy(x[b, t, k], y[b, t], {words})", x=logits, y=target), expected)
    turned = expected.T if reduction == "none" else expected  # the logits are written first: [t, b]
    same(value(f"cross_entropy(x[k, t, b], y[b, t], {words})", x=logits.transpose(2, 1, 0), y=target), turned)
    same(value(f"cross_entropy(x[..., k], y[...], {words})", x=logits, y=target), expected)
    soft = np.exp(drawn(2, 3, 5))
    soft /= soft.sum(-1, keepdims=True)
    expected = F.cross_entropy(torch.as_tensor(logits).transpose(1, 2), torch.as_tensor(soft).transpose(1, 2), **plain)  # type: ignore[arg-type]
    same(value(f"cross_entropy(x, y, {words})", x=logits, y=soft), expected)


def test_cross_entropy_at_its_edges() -> None:
    logits = drawn(2, 5)
    assert value("cross_entropy(x, y)", x=logits, y=np.array([-100, -100])) == 0
    same(
        value("cross_entropy(x, y, ignore_index=1)", x=logits, y=np.array([1, 2])),
        -F.log_softmax(torch.as_tensor(logits), -1)[1, 2],
    )
    same(
        value("cross_entropy(x, y)", x=logits, y=np.array([1, 2], np.uint8)),
        value("cross_entropy(x, y)", x=logits, y=np.array([1, 2])),
    )
    same(value("cross_entropy(x, y)", x=logits[0], y=np.int64(3)), -F.log_softmax(torch.as_tensor(logits), -1)[0, 3])
    with pytest.raises(RangeError):
        value("cross_entropy(x, y)", x=logits, y=np.array([1, 5]))
    for target in (np.array([1.0, 2.0]), np.array([[1], [2]]), np.array([1, 2, 3])):
        with pytest.raises(ShapeError, match="class ids shaped like"):
            value("cross_entropy(x, y)", x=logits, y=target)
    for text in ("cross_entropy(x[b, k], y)", "cross_entropy(x[b, k], y[i])", "cross_entropy(x[b, k], s[b, k])"):
        with pytest.raises(ShapeError):
            value(text, x=logits, y=np.array([1, 2]), s=logits)


@pytest.mark.parametrize("name", ["pair", "pair_margin"])
def test_pairs(name: str) -> None:
    a, b, label = drawn(6, 4), drawn(6, 4), np.array([1, 0, 0, 1, 1, 0])
    losses = np.array(plain(name, a, b, label, 0.25, (0.7, 0.3))[0])
    words = "margin=0.25, label_weights=(0.7, 0.3)"
    for given in (label, label == 1, label.astype(np.uint8)):
        same(value(f'{name}(x, y, z, {words}, reduction="none")', x=a, y=b, z=given), losses)
        same(value(f'{name}(x[i, k], y[i, k], z[i], {words}, reduction="sum")', x=a, y=b, z=given), losses.sum())
    same(value(f"{name}(x[k, i], y[i, k], z[i], {words})", x=a.T, y=b, z=label), losses.mean())
    same(value(f"{name}(x[..., k], y[..., k], z[...], {words})", x=a, y=b, z=label), losses.mean())
    crossed = value(f'{name}(x[i, k], y[j, k], z[j, i], {words}, reduction="none")', x=a, y=b, z=np.eye(6, dtype=int))
    for place, row in enumerate(np.eye(6)):
        same(crossed.T[place], plain(name, np.tile(a[place], (6, 1)), b, row, 0.25, (0.7, 0.3))[0])
    for wrong in (label.astype(float), label[:, None], label[:5], np.int64(1)):
        with pytest.raises(ShapeError):
            value(f"{name}(x, y, z)", x=a, y=b, z=wrong)
    for left, right in ((a, b[:, :3]), (a[:, :1], b), (a, b[0]), (a[:, 0], b[:, 0])):
        with pytest.raises(ShapeError):
            value(f"{name}(x, y, z)", x=left, y=right, z=label)
    for wrong in (label + 1, -label):
        with pytest.raises(RangeError):
            value(f"{name}(x, y, z)", x=a, y=b, z=wrong)
