"""What is easily wrong about losses in torch and JAX, shown there, and what wye does instead.

Each test says the fact in a sentence. More of them stand where the rest of a loss is tested, and begin with "Facts:".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import wye
from wye.torch.tiles import contrast, dense

WARNING: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "huber": F.huber_loss,
}


@pytest.mark.parametrize("name", WARNING)
def test_a_column_beside_a_row_is_no_warning(name: str) -> None:
    """Facts: (N, 1) beside (N,) makes torch's mse, l1, smooth_l1 and huber warn, and be those of N×N pairs."""
    column, row = torch.arange(3.0)[:, None], torch.arange(3.0)
    with pytest.warns(UserWarning, match="different to the input size"):
        assert WARNING[name](column, row) > 0
    with pytest.raises(wye.ShapeError, match=r"name the axes: pred\[b, k\] and target\[b\]"):
        getattr(wye.losses, name)(column, row)
    assert getattr(wye.losses, name)(column[:, 0], row) == 0


def test_a_weight_for_each_sample_spreads_nowhere() -> None:
    """Facts: losses of shape (N, 1) times weights of shape (N,) are N×N in silence."""
    loss, w = torch.rand(4, 1), torch.rand(4)
    assert (loss * w).shape == (4, 4)
    for text in ("loss * w", "mean(loss * w)", "sum(w * loss)"):
        with pytest.raises(wye.ShapeError, match="would broadcast to something larger than both"):
            wye.evaluate(text, loss=loss, w=w)
    found = wye.evaluate("mean(loss[b, k] * w[b])", loss=loss, w=w)
    torch.testing.assert_close(found, (loss[:, 0] * w).mean())


@pytest.mark.parametrize("text", ["take(x, id)", "x[id[b], k]", "nll(x, id)", "cross_entropy(x, id)"])
def test_an_id_below_0_does_not_count_from_the_end(text: str) -> None:
    """Facts: torch takes a negative index from the end; JAX takes one that is too large for the last."""
    x, ids = torch.randn(3, 3), torch.tensor([0, 2, -1])
    assert torch.equal(x[ids][2], x[2])
    for wrong in (ids, ids + 2):
        with pytest.raises(wye.RangeError):
            wye.evaluate(text, x=x, id=wrong)


def test_a_mean_by_weights_that_sum_to_0_is_0() -> None:
    """Facts: a sum over the sum of its weights is NaN where these sum to 0, and so is its gradient."""
    x, w = torch.randn(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    assert ((w * x).sum() / w.sum()).isnan()
    found = wye.evaluate("weighted_mean(x, w)", x=x, w=w)
    assert found == 0
    assert all(slope.isfinite().all() for slope in torch.autograd.grad(found, (x, w)))


@pytest.mark.parametrize("text", ["norm(x[b, k], k)", "unit(x[b, k], k)", "cosine(x[b, k], x[b, k], k)"])
def test_a_row_of_zeros_has_no_large_gradient(text: str) -> None:
    """Facts: the gradient of a norm is NaN at a row of zeros, or 1e8 to 1e12 with an epsilon."""
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    assert torch.autograd.grad((x * x).sum(1).sqrt().sum(), x)[0][0].isnan().all()
    assert torch.autograd.grad(F.normalize(x).sum(), x)[0][0].abs().max() >= 1e8
    (slope,) = torch.autograd.grad(wye.evaluate(text, x=x).sum(), x)
    assert slope.isfinite().all()
    assert slope[0].abs().max() <= 1  # `unit` passes it on as it is; elsewhere it is 0


def test_cosines_over_edges_are_one_product_and_that_is_the_gradient() -> None:
    """Facts: with unit rows X, S = A + Aᵀ and Y = S X the loss is -½⟨X, Y⟩, and its gradient in X is -Y."""
    adj = (torch.rand(6, 6, dtype=torch.float64) - 0.5).relu()
    graph = wye.Edges.from_dense(adj, weighted=True)
    x = F.normalize(torch.randn(6, 4, dtype=torch.float64)).requires_grad_()
    y = (adj + adj.T) @ x.detach()
    found = wye.losses.edge_cosine_loss(x, graph)
    torch.testing.assert_close(found, -(x.detach() * y).sum() / 2)
    (slope,) = torch.autograd.grad(found, x)
    tangent = x.detach() * (x.detach() * y).sum(1, keepdim=True)  # what would change the lengths of the rows
    torch.testing.assert_close(slope, tangent - y)


@pytest.mark.parametrize(("rows", "form"), [(2, "Dense"), (256, "Dense"), (362, "Dense"), (363, "Tiled"), (1, "Tiled")])
@pytest.mark.parametrize("loss", ["clip_loss(a, b, 0.1)", "sup_con(a, label, 0.1, reduction='none')"])
def test_few_rows_are_computed_at_once_and_many_in_tiles(
    loss: str, rows: int, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts: at 256 rows and fewer the plain form is as fast as tiles; the size decides."""
    made: list[str] = []
    for name in ("Dense", "Tiled"):
        kind: Any = getattr(contrast, name)
        monkeypatch.setattr(contrast, name, lambda *args, name=name, kind=kind: made.append(name) or kind(*args))
    a, b = (torch.randn(rows, 3, requires_grad=True) for _ in range(2))
    wye.evaluate(loss, a=a, b=b, label=torch.arange(rows) // 2).sum().backward()
    assert made == [form]
    assert 362 * 362 <= dense.FEW < 363 * 363


class Touched(TorchDispatchMode):
    """The operations that read or write a tensor of so many entries, by name."""

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.entries, self.names = entries, list[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if any(isinstance(one, Tensor) and one.numel() >= self.entries for one in (*args, found)):
            self.names.append(func.overloadpacket.__name__)
        return found


def test_a_table_as_large_as_the_dataset_is_touched_twice_in_a_step() -> None:
    """Facts: to read and renew a batch of a large table takes one gather and one copy; of ids that come twice the
    last one written would win, and here they take the mean of their new entries.
    """
    held = torch.zeros(1000, 4)
    loss = wye.Objective("mean((x - t) ** 2)", t=wye.Table(held, by="id", update="0.5 * t + 0.5 * x"))
    x, ids = torch.arange(12.0).reshape(3, 4), torch.tensor([7, 2, 7])
    with Touched(held.numel()) as touched:
        loss(x=x, id=ids)
    moved = [name for name in touched.names if name not in ("detach", "alias")]
    assert moved == ["index_select", "index_copy_"]
    torch.testing.assert_close(loss.t[7], 0.5 * (x[0] + x[2]) / 2)
    torch.testing.assert_close(loss.t[2], 0.5 * x[1])
    assert loss.t.count_nonzero() == 8
