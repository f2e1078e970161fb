"""Classification: cross-entropies, margins, long tails, orders."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import classes, learned, mask, shown, uniform


@shown(
    "focal loss, binary: Lin et al. 2017; torchvision.ops.sigmoid_focal_loss",
    """
    z = logits[b, k]
    t = label[b, k]
    p = sigmoid(z)
    missed = 1 - (p * t + (1 - p) * (1 - t))
    mean((alpha * t + (1 - alpha) * (1 - t)) * missed ** gamma * (softplus(z) - z * t))
    """,
    logits=learned(5, 3),
    label=classes(2, 5, 3),
    alpha=0.25,
    gamma=2.0,
)
def focal_binary(logits: Tensor, label: Tensor, alpha: float, gamma: float) -> Tensor:
    target = label.double()
    p = torch.sigmoid(logits)
    ce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p_t = torch.where(label == 1, p, 1 - p)
    return (torch.where(label == 1, alpha, 1 - alpha) * (1 - p_t) ** gamma * ce).mean()


@shown(
    "focal loss over classes: Lin et al. 2017; kornia focal_loss",
    """
    logp = log_softmax(logits[b, k], k)[b, y[b]]
    mean(-(1 - exp(logp)) ** gamma * logp)
    """,
    logits=learned(5, 3),
    y=classes(3, 5),
    gamma=1.5,
)
def focal_classes(logits: Tensor, y: Tensor, gamma: float) -> Tensor:
    ce = F.cross_entropy(logits, y, reduction="none")
    return ((1 - torch.exp(-ce)) ** gamma * ce).mean()


@shown(
    "class weights: torch.nn.CrossEntropyLoss(weight=w)",
    """
    logp = log_softmax(logits[b, k], k)
    -sum(weight[y[b]] * logp[b, y[b]], b) / sum(weight[y[b]], b)
    """,
    logits=learned(6, 4),
    y=classes(4, 6),
    weight=uniform(0.3, 2, 4),
)
def class_weights(logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    return F.cross_entropy(logits, y, weight=weight)


@shown(
    "token cross-entropy with padding: fairseq, Hugging Face language models",
    """
    logp = log_softmax(logits[b, t, v], v)
    -mean(logp[b, t, token[b, t]], where=keep[b, t])
    """,
    logits=learned(3, 4, 5),
    token=classes(5, 3, 4),
    keep=mask(3, 4),
)
def token_cross_entropy(logits: Tensor, token: Tensor, keep: Tensor) -> Tensor:
    target = token.masked_fill(~keep, -100)
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)


@shown(
    "z-loss beside token cross-entropy: Chowdhery et al. 2022 (PaLM)",
    """
    lse = logsumexp(logits[b, t, v], v)
    mean(lse - logits[b, t, token[b, t]] + alpha * lse ** 2, b, t)
    """,
    logits=learned(3, 4, 5),
    token=classes(5, 3, 4),
    alpha=1e-2,
)
def z_loss(logits: Tensor, token: Tensor, alpha: float) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), token.flatten()) + alpha * logits.logsumexp(-1).pow(2).mean()


@shown(
    "unlikelihood of repeated tokens: Welleck et al. 2020",
    """
    p = softmax(logits[b, t, v], v)
    past[b, t, v] = any(token[b, s] == v and s < t, s)
    fresh = past and token[b, t] != v
    -mean(log(p[b, t, token[b, t]]), b, t) - sum(log(1 - p), where=fresh) / (size(b) * size(t))
    """,
    logits=learned(2, 5, 4),
    token=classes(4, 2, 5),
)
def unlikelihood(logits: Tensor, token: Tensor) -> Tensor:
    p = F.softmax(logits, -1)
    total = torch.zeros((), dtype=logits.dtype)
    for b in range(p.shape[0]):
        for t in range(p.shape[1]):
            now = int(token[b, t])
            total = total - p[b, t, now].log()
            for v in set(token[b, :t].tolist()) - {now}:
                total = total - (1 - p[b, t, v]).log()
    return total / token.numel()


@shown(
    "multi-class hinge: Weston and Watkins 1999; torch.nn.MultiMarginLoss",
    """
    gap = relu(1 + logits[b, k] - logits[b, y[b]])
    mean(sum(gap, k, where=k != y[b]) / size(k), b)
    """,
    logits=learned(5, 4),
    y=classes(4, 5),
)
def hinge_classes(logits: Tensor, y: Tensor) -> Tensor:
    return F.multi_margin_loss(logits, y)


@shown(
    "hardest wrong class: Crammer and Singer 2001; the margin of Carlini and Wagner 2017",
    "mean(relu(1 + max(logits[b, k], k, where=k != y[b]) - logits[b, y[b]]), b)",
    logits=learned(5, 4),
    y=classes(4, 5),
)
def crammer_singer(logits: Tensor, y: Tensor) -> Tensor:
    own = logits.gather(1, y[:, None]).squeeze(1)
    other = logits.scatter(1, y[:, None], float("-inf")).max(1).values
    return torch.relu(1 + other - own).mean()


@shown(
    "generalised cross-entropy for noisy labels: Zhang and Sabuncu 2018",
    "mean((1 - softmax(logits[b, k], k)[b, y[b]] ** q) / q)",
    logits=learned(5, 3),
    y=classes(3, 5),
    q=0.7,
)
def generalised_cross_entropy(logits: Tensor, y: Tensor, q: float) -> Tensor:
    own = F.softmax(logits, 1)[torch.arange(len(y)), y]
    return ((1 - own.pow(q)) / q).mean()


@shown(
    "poly-1 cross-entropy: Leng et al. 2022",
    """
    logp = log_softmax(logits[b, k], k)[b, y[b]]
    mean(eps * (1 - exp(logp)) - logp)
    """,
    logits=learned(5, 3),
    y=classes(3, 5),
    eps=1.0,
)
def poly_one(logits: Tensor, y: Tensor, eps: float) -> Tensor:
    own = (F.softmax(logits, 1) * F.one_hot(y, logits.shape[1])).sum(1)
    return (F.cross_entropy(logits, y, reduction="none") + eps * (1 - own)).mean()


@shown(
    "logit adjustment for long tails: Menon et al. 2021",
    "-mean(log_softmax(logits[b, k] + tau * log(prior[k]), k)[b, y[b]])",
    logits=learned(5, 3),
    prior=uniform(0.1, 0.9, 3),
    y=classes(3, 5),
    tau=1.2,
)
def logit_adjustment(logits: Tensor, prior: Tensor, y: Tensor, tau: float) -> Tensor:
    return F.cross_entropy(logits + tau * prior.log(), y)


@shown(
    "asymmetric multi-label loss: Ridnik et al. 2021",
    """
    p = sigmoid(logits[b, k])
    t = label[b, k]
    shifted = relu(p - margin)
    -mean(t * (1 - p) ** hard * log(p) + (1 - t) * shifted ** easy * log(1 - shifted))
    """,
    logits=learned(5, 3),
    label=classes(2, 5, 3),
    margin=0.05,
    hard=1.0,
    easy=4.0,
)
def asymmetric(logits: Tensor, label: Tensor, margin: float, hard: float, easy: float) -> Tensor:
    p = torch.sigmoid(logits)
    shifted = (p - margin).clamp(min=0)
    positive = (1 - p) ** hard * p.log()
    negative = shifted**easy * (1 - shifted).log()
    return -torch.where(label == 1, positive, negative).mean()


@shown(
    "rank-consistent ordinal regression: Cao, Mirjalili and Raschka 2020 (CORAL)",
    """
    z[b, k] = score[b] + bias[k]
    above[b, k] = k < y[b]
    mean(sum(softplus(z) - z * above, k), b)
    """,
    score=learned(6),
    bias=learned(4),
    y=classes(5, 6),
)
def ordinal_coral(score: Tensor, bias: Tensor, y: Tensor) -> Tensor:
    logits = score[:, None] + bias
    levels = torch.stack([(y > k).double() for k in range(len(bias))], dim=1)
    return F.binary_cross_entropy_with_logits(logits, levels, reduction="none").sum(1).mean()
