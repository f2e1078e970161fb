"""Soft targets: smoothing, distillation, consistency, evidence and pseudo-labels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import classes, learned, normal, shown, uniform


@shown(
    "label smoothing: Szegedy et al. 2016; torch.nn.CrossEntropyLoss(label_smoothing=0.1)",
    """
    logp = log_softmax(logits[b, k], k)
    -mean((1 - eps) * logp[b, y[b]] + eps * mean(logp, k), b)
    """,
    logits=learned(6, 4),
    y=classes(4, 6),
    eps=0.1,
)
def label_smoothing(logits: Tensor, y: Tensor, eps: float) -> Tensor:
    return F.cross_entropy(logits, y, label_smoothing=eps)


@shown(
    "distillation with temperature: Hinton, Vinyals and Dean 2015",
    """
    s = log_softmax(student[b, k] / heat, k)
    t = log_softmax(stop(teacher[b, k]) / heat, k)
    heat ** 2 * mean(sum(exp(t) * (t - s), k), b)
    """,
    student=learned(5, 3),
    teacher=normal(5, 3),
    heat=2.5,
)
def distillation(student: Tensor, teacher: Tensor, heat: float) -> Tensor:
    target = F.softmax(teacher / heat, 1)
    return F.kl_div(F.log_softmax(student / heat, 1), target, reduction="batchmean") * heat**2


@shown(
    "decoupled distillation: Zhao et al. 2022 (DKD)",
    """
    p = softmax(student[b, k], k)[b, y[b]]
    q = softmax(teacher[b, k], k)[b, y[b]]
    target = q * log(q / p) + (1 - q) * log((1 - q) / (1 - p))
    s = log_softmax(where(k == y[b], -1e9, student[b, k]), k)
    t = log_softmax(where(k == y[b], -1e9, teacher[b, k]), k)
    mean(alpha * target + beta * sum(exp(t) * (t - s), k, where=k != y[b]), b)
    """,
    student=learned(5, 4),
    teacher=normal(5, 4),
    y=classes(4, 5),
    alpha=1.0,
    beta=2.0,
)
def decoupled_distillation(student: Tensor, teacher: Tensor, y: Tensor, alpha: float, beta: float) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for s, t, c in zip(student, teacher, y.tolist(), strict=True):
        others = [k for k in range(len(s)) if k != c]
        p, q = F.softmax(s, 0), F.softmax(t, 0)
        pair_p, pair_q = torch.stack([p[c], 1 - p[c]]), torch.stack([q[c], 1 - q[c]])
        total = total + alpha * (pair_q * (pair_q.log() - pair_p.log())).sum()
        total = total + beta * F.kl_div(F.log_softmax(s[others], 0), F.softmax(t[others], 0), reduction="sum")
    return total / len(y)


@shown(
    "Jensen-Shannon consistency: Hendrycks et al. 2020 (AugMix)",
    """
    p = softmax(clean[b, k], k)
    q = softmax(augmented[b, k], k)
    m = (p + q) / 2
    mean(sum(p * log(p / m) + q * log(q / m), k), b) / 2
    """,
    clean=learned(5, 3),
    augmented=learned(5, 3),
)
def jensen_shannon(clean: Tensor, augmented: Tensor) -> Tensor:
    p, q = F.softmax(clean, 1), F.softmax(augmented, 1)
    middle = ((p + q) / 2).log()
    return (F.kl_div(middle, p, reduction="batchmean") + F.kl_div(middle, q, reduction="batchmean")) / 2


@shown(
    "evidential classification by a Dirichlet: Sensoy, Kaplan and Kandemir 2018, eq. 5",
    """
    alpha = 1 + softplus(logits[b, k])
    total = sum(alpha, k)
    p = alpha / total
    t[b, k] = k == y[b]
    mean(sum((t - p) ** 2 + p * (1 - p) / (total + 1), k), b)
    """,
    logits=learned(5, 3),
    y=classes(3, 5),
)
def evidential(logits: Tensor, y: Tensor) -> Tensor:
    alpha = F.softplus(logits) + 1
    strength = alpha.sum(1, keepdim=True)
    p = alpha / strength
    error = (F.one_hot(y, logits.shape[1]) - p) ** 2
    return (error + alpha * (strength - alpha) / (strength**2 * (strength + 1))).sum(1).mean()


@shown(
    "information maximisation: Liang, Hu and Feng 2020 (SHOT)",
    """
    p = softmax(logits[b, k], k)
    share = mean(p, b)
    sum(share * log(share)) - mean(sum(p * log(p), k), b)
    """,
    logits=learned(6, 4),
)
def information_maximisation(logits: Tensor) -> Tensor:
    p = F.softmax(logits, 1)
    entropy = torch.distributions.Categorical(probs=p).entropy().mean()
    return entropy - torch.distributions.Categorical(probs=p.mean(0)).entropy()


@shown(
    "mixup: Zhang et al. 2018",
    """
    logp = log_softmax(logits[b, k], k)
    -mean(lam[b] * logp[b, y[b]] + (1 - lam[b]) * logp[b, other[b]])
    """,
    logits=learned(6, 4),
    lam=uniform(0, 1, 6),
    y=classes(4, 6),
    other=classes(4, 6),
)
def mixup(logits: Tensor, lam: Tensor, y: Tensor, other: Tensor) -> Tensor:
    first, second = F.cross_entropy(logits, y, reduction="none"), F.cross_entropy(logits, other, reduction="none")
    return (lam * first + (1 - lam) * second).mean()


@shown(
    "pseudo-labels above a confidence: Sohn et al. 2020 (FixMatch), with soft labels",
    """
    p = stop(softmax(weak[b, k], k))
    sure = max(p, k) >= level
    -mean(sure * sum(p * log_softmax(strong[b, k], k), k), b)
    """,
    weak=normal(7, 3),
    strong=learned(7, 3),
    level=0.5,
)
def soft_fixmatch(weak: Tensor, strong: Tensor, level: float) -> Tensor:
    p = F.softmax(weak, 1).detach()
    keep = (p.max(1).values >= level).double()
    return (keep * F.cross_entropy(strong, p, reduction="none")).mean()


@shown(
    "early-learning regularisation: Liu et al. 2020 (ELR), with a memory of targets by sample id",
    """
    p = softmax(logits[b, k], k)
    agreement = sum(p * memory[id[b], k], k)
    mean(lam * log(1 - agreement) - log(p[b, y[b]]), b)
    """,
    logits=learned(5, 3),
    memory=uniform(0.1, 0.3, 8, 3),
    id=classes(8, 5),
    y=classes(3, 5),
    lam=3.0,
)
def early_learning(logits: Tensor, memory: Tensor, id: Tensor, y: Tensor, lam: float) -> Tensor:
    p = F.softmax(logits, 1)
    inner = (p * memory.index_select(0, id)).sum(1)
    return F.cross_entropy(logits, y) + lam * (1 - inner).log().mean()
