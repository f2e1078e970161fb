"""Regression: errors between numbers, with weights, masks, scales and likelihoods."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import learned, mask, normal, number, shown, uniform


@shown(
    "weighted least squares: Bishop 2006, eq. 3.104",
    "mean(w[b] * (pred[b, k] - label[b, k]) ** 2)",
    w=uniform(0.2, 2, 5),
    pred=learned(5, 3),
    label=normal(5, 3),
)
def weighted_mse(w: Tensor, pred: Tensor, label: Tensor) -> Tensor:
    return (w[:, None] * F.mse_loss(pred, label, reduction="none")).mean()


@shown(
    "weights that sum to one: sample_weight of scikit-learn's mean_absolute_error",
    "weighted_mean(abs(pred[b] - label[b]), w[b])",
    pred=learned(6),
    label=normal(6),
    w=uniform(0.2, 2, 6),
)
def weighted_mae(pred: Tensor, label: Tensor, w: Tensor) -> Tensor:
    return (w * (pred - label).abs()).sum() / w.sum()


@shown(
    "masked reconstruction, the mask weighing pixels: context encoders, Pathak et al. 2016",
    "mean(mask[h, w] * (image[b, h, w] - picture[b, h, w]) ** 2)",
    mask=uniform(0, 1, 4, 5),
    image=learned(3, 4, 5),
    picture=normal(3, 4, 5),
)
def masked_pixel_mse(mask: Tensor, image: Tensor, picture: Tensor) -> Tensor:
    return (mask * (image - picture) ** 2).mean()


@shown(
    "masked autoencoders, error on hidden patches only: He et al. 2022",
    "mean((pred[b, p, d] - patch[b, p, d]) ** 2, where=hidden[b, p])",
    pred=learned(3, 6, 4),
    patch=normal(3, 6, 4),
    hidden=mask(3, 6),
)
def masked_autoencoder(pred: Tensor, patch: Tensor, hidden: Tensor) -> Tensor:
    error = ((pred - patch) ** 2).mean(-1)
    return (error * hidden).sum() / hidden.sum()


@shown(
    "Huber 1964; torch.nn.HuberLoss",
    """
    error = abs(pred[b, k] - label[b, k])
    mean(where(error <= delta, 0.5 * error ** 2, delta * (error - 0.5 * delta)))
    """,
    pred=learned(6, 4),
    label=normal(6, 4),
    delta=0.8,
)
def huber(pred: Tensor, label: Tensor, delta: float) -> Tensor:
    return F.huber_loss(pred, label, delta=delta)


@shown(
    "log-cosh: keras.losses.LogCosh",
    """
    error = pred[b, k] - label[b, k]
    mean(error + softplus(-2 * error) - log(2))
    """,
    pred=learned(6, 4),
    label=normal(6, 4),
)
def log_cosh(pred: Tensor, label: Tensor) -> Tensor:
    return torch.log(torch.cosh(pred - label)).mean()


@shown(
    "Charbonnier: Lai et al. 2017 (LapSRN)",
    "mean(sqrt((pred[b, c, h, w] - clean[b, c, h, w]) ** 2 + eps ** 2))",
    pred=learned(2, 3, 4, 5),
    clean=normal(2, 3, 4, 5),
    eps=0.001,
)
def charbonnier(pred: Tensor, clean: Tensor, eps: float) -> Tensor:
    return ((pred - clean).square() + eps * eps).sqrt().mean()


@shown(
    "pinball loss over several quantiles: Koenker and Bassett 1978; pytorch-forecasting QuantileLoss",
    """
    gap = label[b] - pred[b, q]
    mean(max(level[q] * gap, (level[q] - 1) * gap))
    """,
    label=normal(7),
    pred=learned(7, 3),
    level=uniform(0.1, 0.9, 3),
)
def pinball(label: Tensor, pred: Tensor, level: Tensor) -> Tensor:
    losses = []
    for i, q in enumerate(level.tolist()):
        error = label - pred[:, i]
        losses.append(torch.max((q - 1) * error, q * error))
    return torch.stack(losses).mean()


@shown(
    "symmetric mean absolute percentage error: Makridakis 1993",
    "mean(2 * abs(pred[b, t] - label[b, t]) / (abs(pred[b, t]) + abs(label[b, t])))",
    pred=uniform(1, 3, 5, 4, learn=True),
    label=uniform(1, 3, 5, 4),
)
def smape(pred: Tensor, label: Tensor) -> Tensor:
    return (2 * (pred - label).abs() / (pred.abs() + label.abs())).mean()


@shown(
    "Poisson negative log-likelihood: torch.nn.PoissonNLLLoss",
    "mean(exp(rate[b, k]) - count[b, k] * rate[b, k])",
    rate=learned(5, 3),
    count=uniform(0, 6, 5, 3),
)
def poisson_nll(rate: Tensor, count: Tensor) -> Tensor:
    return F.poisson_nll_loss(rate, count, log_input=True, full=False)


@shown(
    "Gaussian negative log-likelihood: Nix and Weigend 1994; torch.nn.GaussianNLLLoss",
    """
    spread = max(variance[b, k], 1e-6)
    mean(log(spread) + (pred[b, k] - label[b, k]) ** 2 / spread) / 2
    """,
    variance=uniform(0.3, 2, 5, 3, learn=True),
    pred=learned(5, 3),
    label=normal(5, 3),
)
def gaussian_nll(variance: Tensor, pred: Tensor, label: Tensor) -> Tensor:
    return F.gaussian_nll_loss(pred, label, variance)


@shown(
    "Tweedie deviance with log link: LightGBM objective=tweedie",
    "mean(exp((2 - p) * score[b]) / (2 - p) - claim[b] * exp((1 - p) * score[b]) / (1 - p))",
    score=learned(8),
    claim=uniform(0, 3, 8),
    p=1.5,
)
def tweedie(score: Tensor, claim: Tensor, p: float) -> Tensor:
    mu = score.exp()
    return (mu.pow(2 - p) / (2 - p) - claim * mu.pow(1 - p) / (1 - p)).mean()


@shown(
    "homoscedastic task weighting: Kendall, Gal and Cipolla 2018",
    """
    loss[t] = mean((pred[b, t] - label[b, t]) ** 2, b)
    sum(exp(-s[t]) * loss + s[t], t)
    """,
    pred=learned(6, 3),
    label=normal(6, 3),
    s=learned(3),
)
def task_uncertainty(pred: Tensor, label: Tensor, s: Tensor) -> Tensor:
    total = torch.zeros((), dtype=pred.dtype)
    for t in range(pred.shape[1]):
        total = total + torch.exp(-s[t]) * F.mse_loss(pred[:, t], label[:, t]) + s[t]
    return total


@shown(
    "deep supervision: Lee et al. 2015; the weighted sum over side outputs of HED and U-Net++",
    "sum(weight[s] * mean((side[s, b, h, w] - label[b, h, w]) ** 2, b, h, w))",
    weight=uniform(0.2, 1, 3),
    side=learned(3, 2, 4, 5),
    label=normal(2, 4, 5),
)
def deep_supervision(weight: Tensor, side: Tensor, label: Tensor) -> Tensor:
    return sum((a * F.mse_loss(out, label) for a, out in zip(weight, side, strict=True)), torch.zeros(()))


@shown(
    "scale-invariant depth error: Eigen, Puhrsch and Fergus 2014",
    """
    gap = log(pred[b, h, w]) - log(depth[b, h, w])
    mean(mean(gap ** 2, h, w) - lam * mean(gap, h, w) ** 2)
    """,
    pred=uniform(0.5, 3, 3, 4, 5, learn=True),
    depth=uniform(0.5, 3, 3, 4, 5),
    lam=0.5,
)
def scale_invariant_depth(pred: Tensor, depth: Tensor, lam: float) -> Tensor:
    gap = (pred.log() - depth.log()).flatten(1)
    n = gap.shape[1]
    return ((gap**2).sum(1) / n - lam * gap.sum(1) ** 2 / n**2).mean()


@shown(
    "concordance correlation: Lin 1989; used for emotion recognition",
    """
    x = pred[b, k] - mean(pred[b, k], b)
    y = label[b, k] - mean(label[b, k], b)
    shift = mean(pred[b, k], b) - mean(label[b, k], b)
    1 - mean(2 * mean(x * y, b) / (mean(x ** 2, b) + mean(y ** 2, b) + shift ** 2), k)
    """,
    pred=learned(7, 2),
    label=normal(7, 2),
)
def concordance(pred: Tensor, label: Tensor) -> Tensor:
    covariance = ((pred - pred.mean(0)) * (label - label.mean(0))).mean(0)
    spread = pred.var(0, unbiased=False) + label.var(0, unbiased=False)
    return (1 - 2 * covariance / (spread + (pred.mean(0) - label.mean(0)) ** 2)).mean()


@shown(
    "Cox partial likelihood (Breslow): Katzman et al. 2018 (DeepSurv); pycox",
    """
    at_risk[i, j] = where(time[j] >= time[i], risk[j], -1e30)
    mean(event[i] * (logsumexp(at_risk, j) - risk[i]))
    """,
    time=uniform(0, 5, 7),
    risk=learned(7),
    event=mask(7),
)
def cox(time: Tensor, risk: Tensor, event: Tensor) -> Tensor:
    total = torch.zeros((), dtype=risk.dtype)
    for i in range(len(time)):
        if event[i]:
            total = total + torch.logsumexp(risk[time >= time[i]], 0) - risk[i]
    return total / len(time)


@shown(
    "mixture density network with diagonal Gaussians: Bishop 1994",
    """
    z[b, m, d] = (label[b, d] - mu[b, m, d]) / exp(s[b, m, d])
    part = log_softmax(gate[b, m], m) - sum(z ** 2 / 2 + s[b, m, d] + log(2 * pi) / 2, d)
    -mean(logsumexp(part, m))
    """,
    label=normal(5, 2),
    mu=learned(5, 3, 2),
    s=normal(5, 3, 2, learn=True, scale=0.3),
    gate=learned(5, 3),
    pi=math.pi,
)
def mixture_density(label: Tensor, mu: Tensor, s: Tensor, gate: Tensor, pi: float) -> Tensor:
    parts = torch.distributions.Independent(torch.distributions.Normal(mu, s.exp()), 1)
    mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=gate), parts)
    return -mixture.log_prob(label).mean()


@shown(
    "zero-inflated Poisson: Lambert 1992",
    """
    none = log(sigmoid(gate[b]) + sigmoid(-gate[b]) * exp(-exp(rate[b])))
    some = log(sigmoid(-gate[b])) + count[b] * rate[b] - exp(rate[b])
    -mean(where(count[b] == 0, none, some))
    """,
    gate=learned(9),
    rate=learned(9),
    count=lambda generator: (3 * normal(9)(generator).abs()).floor(),
)
def zero_inflated_poisson(gate: Tensor, rate: Tensor, count: Tensor) -> Tensor:
    share = torch.sigmoid(gate)
    total = torch.zeros((), dtype=rate.dtype)
    for g, r, n in zip(share, rate, count, strict=True):
        p = (1 - g) * torch.exp(n * r - r.exp())
        total = total - torch.log(g + p if n == 0 else p)
    return total / len(rate)


@shown(
    "elastic net: Zou and Hastie 2005",
    """
    fit = mean((sum(x[b, f] * coef[f], f) + bias - label[b]) ** 2) / 2
    fit + alpha * (ratio * sum(abs(coef)) + (1 - ratio) / 2 * sum(coef ** 2))
    """,
    x=normal(6, 4),
    coef=learned(4),
    bias=number(0.3),
    label=normal(6),
    alpha=0.1,
    ratio=0.4,
)
def elastic_net(x: Tensor, coef: Tensor, bias: Tensor, label: Tensor, alpha: float, ratio: float) -> Tensor:
    fit = 0.5 * F.mse_loss(x @ coef + bias, label)
    return fit + alpha * (ratio * coef.abs().sum() + 0.5 * (1 - ratio) * coef.pow(2).sum())
