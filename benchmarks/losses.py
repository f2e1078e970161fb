"""The formulas with named axes, and for each the forms in which the field writes it by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """A formula and its forms by hand.

    Args:
        name: what it is called.
        formula: in wye.
        inputs: makes the inputs; those that require a gradient get one.
        forms: functions of the same inputs; the fastest is the peer.
        shown: forms printed for information, no peers.
        parts: numbers of the formula.
        seconds: how long measuring may take.
    """

    name: str
    formula: str
    inputs: Callable[[], dict[str, Tensor]]
    forms: Mapping[str, Callable[..., Tensor]]
    shown: Mapping[str, Callable[..., Tensor]] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 6.0


def leaf(*shape: int) -> Tensor:
    return torch.randn(*shape).requires_grad_()


WEIGHTED = Case(
    "weighted MSE 4096x256",
    "mean(w[b] * (pred[b, k] - label[b, k]) ** 2)",
    lambda: {"w": torch.rand(4096), "pred": leaf(4096, 256), "label": torch.randn(4096, 256)},
    {
        "broadcasting": lambda w, pred, label: (w[:, None] * (pred - label) ** 2).mean(),
        "row means of the square": lambda w, pred, label: (w * ((pred - label) ** 2).mean(1)).mean(),
        "F.mse_loss, rows weighted": lambda w, pred, label: (
            w * F.mse_loss(pred, label, reduction="none").mean(1)
        ).mean(),
        "einsum": lambda w, pred, label: torch.einsum("b,bk->", w, (pred - label).square()) / pred.numel(),
        "matmul": lambda w, pred, label: (w @ (pred - label).square()).mean() / len(w),
    },
)

MASKED = Case(
    "masked pixels 32x224x224",
    "mean(mask[h, w] * (image[b, h, w] - picture[b, h, w]) ** 2)",
    lambda: {
        "mask": (torch.rand(224, 224) > 0.5).float(),
        "image": leaf(32, 224, 224),
        "picture": torch.randn(32, 224, 224),
    },
    {
        "broadcasting": lambda mask, image, picture: (mask * (image - picture) ** 2).mean(),
        "F.mse_loss, masked": lambda mask, image, picture: (mask * F.mse_loss(image, picture, reduction="none")).mean(),
        "F.mse_loss, mean over the batch first": lambda mask, image, picture: (
            mask * F.mse_loss(image, picture, reduction="none").mean(0)
        ).mean(),
        "einsum": lambda mask, image, picture: (
            torch.einsum("hw,bhw->", mask, (image - picture).square()) / image.numel()
        ),
        "masked first": lambda mask, image, picture: F.mse_loss(mask * image, mask * picture),
        "matmul": lambda mask, image, picture: (
            ((image - picture).square().flatten(1) @ mask.flatten()).sum() / image.numel()
        ),
    },
)

DICE = Case(
    "dice 8x4x256x256",
    "1 - mean((2 * sum(p[b, c, h, w] * g[b, c, h, w], h, w) + 1)"
    " / (sum(p[b, c, h, w], h, w) + sum(g[b, c, h, w], h, w) + 1))",
    lambda: {"p": torch.rand(8, 4, 256, 256).requires_grad_(), "g": (torch.rand(8, 4, 256, 256) > 0.5).float()},
    {
        "multiply and sum": lambda p, g: (
            1 - ((2 * (p * g).sum((2, 3)) + 1) / (p.sum((2, 3)) + g.sum((2, 3)) + 1)).mean()
        ),
        "flattened": lambda p, g: _dice_flat(p.flatten(2), g.flatten(2)),
        "einsum": lambda p, g: (
            1
            - (
                (2 * torch.einsum("bchw,bchw->bc", p, g) + 1)
                / (torch.einsum("bchw->bc", p) + torch.einsum("bchw->bc", g) + 1)
            ).mean()
        ),
        "vecdot": lambda p, g: (
            1 - ((2 * torch.linalg.vecdot(p.flatten(2), g.flatten(2)) + 1) / (p.sum((2, 3)) + g.sum((2, 3)) + 1)).mean()
        ),
    },
)


def _dice_flat(p: Tensor, g: Tensor) -> Tensor:
    return 1 - ((2 * (p * g).sum(-1) + 1) / (p.sum(-1) + g.sum(-1) + 1)).mean()


DIVERGENCE = Case(
    "KL 2048x1000",
    "mean(sum(target[b, k] * (log(target[b, k]) - log_softmax(logits[b, k], k)), k))",
    lambda: {"target": torch.softmax(torch.randn(2048, 1000), 1), "logits": leaf(2048, 1000)},
    {
        "F.kl_div, batchmean": lambda target, logits: F.kl_div(F.log_softmax(logits, 1), target, reduction="batchmean"),
        "F.kl_div, rows": lambda target, logits: (
            F.kl_div(F.log_softmax(logits, 1), target, reduction="none").sum(1).mean()
        ),
        "broadcasting": lambda target, logits: (target * (target.log() - F.log_softmax(logits, 1))).sum(1).mean(),
        "entropy apart": lambda target, logits: (
            torch.xlogy(target, target).sum(1) - (target * F.log_softmax(logits, 1)).sum(1)
        ).mean(),
        "einsum": lambda target, logits: torch.einsum(
            "bk,bk->b", target, target.log() - F.log_softmax(logits, 1)
        ).mean(),
        "F.cross_entropy": lambda target, logits: (
            F.cross_entropy(logits, target) + torch.xlogy(target, target).sum() / len(target)
        ),
    },
)

INFO_NCE = Case(
    "InfoNCE 1024x256",
    "s[i, j] = sum(unit(a[i, d], d) * unit(b[j, d], d), d) / 0.1\n-mean(log_softmax(s, j)[i, i])",
    lambda: {"a": leaf(1024, 256), "b": leaf(1024, 256)},
    {
        "matmul, F.cross_entropy": lambda a, b: F.cross_entropy(
            F.normalize(a) @ F.normalize(b).T / 0.1, torch.arange(len(a))
        ),
        "scale first, F.cross_entropy": lambda a, b: F.cross_entropy(
            (F.normalize(a) / 0.1) @ F.normalize(b).T, torch.arange(len(a))
        ),
        "einsum, F.cross_entropy": lambda a, b: F.cross_entropy(
            torch.einsum("id,jd->ij", F.normalize(a), F.normalize(b)) / 0.1, torch.arange(len(a))
        ),
        "log_softmax, diagonal": lambda a, b: (
            -(F.log_softmax(F.normalize(a) @ F.normalize(b).T / 0.1, 1).diagonal().mean())
        ),
        "logsumexp": lambda a, b: _info_nce(F.normalize(a) / 0.1, F.normalize(b)),
    },
)


def _info_nce(a: Tensor, b: Tensor) -> Tensor:
    return torch.logsumexp(a @ b.T, 1).mean() - (a * b).sum(1).mean()


BARLOW = Case(
    "Barlow Twins 1024x1024",
    "za = (a[n, i] - mean(a[n, i], n)) / sqrt(var(a[n, i], n))\n"
    "zb = (b[n, j] - mean(b[n, j], n)) / sqrt(var(b[n, j], n))\n"
    "c[i, j] = mean(za * zb, n)\n"
    "on = c[i, i]\n"
    "sum((on - 1) ** 2) + 0.005 * (sum(c ** 2) - sum(on ** 2))",
    lambda: {"a": leaf(1024, 1024), "b": leaf(1024, 1024)},
    {
        "as published": lambda a, b: _barlow(_batch_norm(a), _batch_norm(b)),
        "mean and std": lambda a, b: _barlow(_standard(a), _standard(b)),
        "where over the identity": lambda a, b: _barlow_where(_batch_norm(a), _batch_norm(b)),
        "where, mean and std": lambda a, b: _barlow_where(_standard(a), _standard(b)),
        "einsum": lambda a, b: _barlow_sums(torch.einsum("ni,nj->ij", _batch_norm(a), _batch_norm(b)) / len(a)),
        "sum of all squares, diagonal apart": lambda a, b: _barlow_sums(_batch_norm(a).T @ (_batch_norm(b) / len(b))),
    },
)


def _batch_norm(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True, eps=1e-12)


def _standard(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / x.std(0, correction=0)


def _barlow(a: Tensor, b: Tensor) -> Tensor:
    """github.com/facebookresearch/barlowtwins: the diagonal, and all else by a strided view."""
    c = (a.T @ b).div_(len(a))
    size = len(c)
    off = c.flatten()[:-1].view(size - 1, size + 1)[:, 1:].flatten()
    return torch.diagonal(c).add(-1).pow(2).sum() + 0.005 * off.pow(2).sum()


def _barlow_where(a: Tensor, b: Tensor) -> Tensor:
    c = a.T @ b / len(a)
    return torch.where(torch.eye(len(c), dtype=torch.bool), (c - 1) ** 2, 0.005 * c**2).sum()


def _barlow_sums(c: Tensor) -> Tensor:
    diagonal = c.diagonal()
    return (diagonal - 1).square().sum() + 0.005 * (c.square().sum() - diagonal.square().sum())


ATTENTION = Case(
    "attention 8x8x256x64",
    "s[b, h, i, j] = sum(q[b, h, i, d] * k[b, h, j, d], d) / sqrt(size(d))\n"
    "out[b, h, i, d] = sum(softmax(s, j) * v[b, h, j, d], j)\nout",
    lambda: {name: leaf(8, 8, 256, 64) for name in "qkv"},
    {
        "matmul, softmax, matmul": lambda q, k, v: torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) @ v,
        "scale first": lambda q, k, v: torch.softmax((q * q.shape[-1] ** -0.5) @ k.mT, -1) @ v,
        "einsum": lambda q, k, v: torch.einsum(
            "bhij,bhjd->bhid", torch.softmax(torch.einsum("bhid,bhjd->bhij", q, k) / math.sqrt(q.shape[-1]), -1), v
        ),
        "bmm": lambda q, k, v: _bmm_attention(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)).view(q.shape),
    },
    shown={"F.scaled_dot_product_attention": lambda q, k, v: F.scaled_dot_product_attention(q, k, v)},
)


def _bmm_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = torch.baddbmm(q.new_empty(len(q), q.shape[1], k.shape[1]), q, k.mT, beta=0, alpha=q.shape[-1] ** -0.5)
    return torch.bmm(torch.softmax(scores, -1), v)


CASES = (WEIGHTED, MASKED, DICE, DIVERGENCE, INFO_NCE, BARLOW, ATTENTION)

PRODUCT = Case(
    "product",
    "sum(a[i, d] * b[j, d], d)",
    lambda: {"a": leaf(2000, 256), "b": leaf(2000, 256)},
    {"a @ b.T": lambda a, b: a @ b.T},
)
