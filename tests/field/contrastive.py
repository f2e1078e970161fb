"""Contrastive learning: views of the same sample, and images beside texts."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import given, learned, mask, normal, number, shown


@shown(
    "InfoNCE: van den Oord, Li and Vinyals 2018",
    """
    s[i, j] = sum(unit(query[i, d], d) * unit(key[j, d], d), d) / tau
    mean(logsumexp(s, j) - s[i, i], i)
    """,
    query=learned(5, 3),
    key=learned(5, 3),
    tau=0.2,
)
def info_nce(query: Tensor, key: Tensor, tau: float) -> Tensor:
    logits = F.normalize(query, dim=1) @ F.normalize(key, dim=1).T / tau
    return F.cross_entropy(logits, torch.arange(len(query)))


@shown(
    "CLIP: Radford et al. 2021; open_clip ClipLoss",
    """
    s[i, j] = exp(heat) * sum(unit(image[i, d], d) * unit(text[j, d], d), d)
    (mean(logsumexp(s, j) - s[i, i], i) + mean(logsumexp(s, i) - s[j, j], j)) / 2
    """,
    heat=number(math.log(10)),
    image=learned(6, 4),
    text=learned(6, 4),
)
def clip(heat: Tensor, image: Tensor, text: Tensor) -> Tensor:
    logits = heat.exp() * F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T
    labels = torch.arange(len(image))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


@shown(
    "SigLIP: Zhai et al. 2023, algorithm 1",
    """
    s[i, j] = exp(heat) * sum(unit(image[i, d], d) * unit(text[j, d], d), d) + bias
    mean(sum(softplus(where(i == j, -s, s)), j), i)
    """,
    heat=number(1.0),
    image=learned(5, 3),
    text=learned(5, 3),
    bias=number(-2.0),
)
def siglip(heat: Tensor, image: Tensor, text: Tensor, bias: Tensor) -> Tensor:
    n = len(image)
    logits = F.normalize(image, dim=1) @ F.normalize(text, dim=1).T * heat.exp() + bias
    labels = 2 * torch.eye(n, dtype=logits.dtype) - torch.ones(n, n, dtype=logits.dtype)
    return -F.logsigmoid(labels * logits).sum() / n


@shown(
    "NT-Xent over both views: Chen et al. 2020 (SimCLR)",
    """
    s[i, j] = sum(unit(z[i, d], d) * unit(z[j, d], d), d) / tau
    mean(logsumexp(s, j, where=i != j) - s[i, mate[i]], i)
    """,
    z=learned(6, 4),
    mate=given(3, 4, 5, 0, 1, 2),
    tau=0.5,
)
def nt_xent(z: Tensor, mate: Tensor, tau: float) -> Tensor:
    cosines = F.cosine_similarity(z.unsqueeze(1), z.unsqueeze(0), dim=-1)
    logits = cosines.masked_fill(torch.eye(len(z), dtype=torch.bool), float("-inf")) / tau
    return F.cross_entropy(logits, mate)


@shown(
    "supervised contrastive: Khosla et al. 2020, eq. 2",
    """
    s[i, j] = sum(unit(z[i, d], d) * unit(z[j, d], d), d) / tau
    same[i, j] = label[i] == label[j] and i != j
    logp = s - logsumexp(s, j, where=i != j)
    -mean(mean(logp, j, where=same), i)
    """,
    z=learned(7, 3),
    label=given(0, 1, 0, 2, 1, 1, 2),
    tau=0.3,
)
def supervised_contrastive(z: Tensor, label: Tensor, tau: float) -> Tensor:
    s = F.normalize(z, dim=1) @ F.normalize(z, dim=1).T / tau
    total = torch.zeros((), dtype=z.dtype)
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        positives = [j for j in others if label[j] == label[i]]
        logp = s[i] - torch.logsumexp(s[i, others], 0)
        total = total - logp[positives].mean()
    return total / len(z)


@shown(
    "momentum contrast with a queue: He et al. 2020 (MoCo)",
    """
    q = unit(query[b, d], d)
    hit = sum(q * stop(unit(key[b, d], d)), d) / tau
    miss[b, n] = sum(q * queue[n, d], d) / tau
    mean(log(exp(hit) + sum(exp(miss), n)) - hit)
    """,
    query=learned(4, 3),
    key=normal(4, 3),
    queue=normal(6, 3),
    tau=0.7,
)
def moco(query: Tensor, key: Tensor, queue: Tensor, tau: float) -> Tensor:
    q, k = F.normalize(query, dim=1), F.normalize(key, dim=1).detach()
    positive = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)
    negative = torch.einsum("nc,ck->nk", q, queue.T)
    logits = torch.cat([positive, negative], dim=1) / tau
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


@shown(
    "decoupled contrastive learning: Yeh et al. 2022",
    """
    s[i, j] = sum(unit(left[i, d], d) * unit(right[j, d], d), d) / tau
    mean(logsumexp(s, j, where=i != j) - s[i, i], i)
    """,
    left=learned(5, 3),
    right=learned(5, 3),
    tau=0.2,
)
def decoupled_contrastive(left: Tensor, right: Tensor, tau: float) -> Tensor:
    total = torch.zeros((), dtype=left.dtype)
    for i in range(len(left)):
        s = F.cosine_similarity(left[i : i + 1], right, dim=1) / tau
        total = total + torch.cat([s[:i], s[i + 1 :]]).exp().sum().log() - s[i]
    return total / len(left)


@shown(
    "hard negatives reweighted: Robinson et al. 2021 (the beta of H-SCL)",
    """
    s[i, j] = sum(unit(left[i, d], d) * unit(right[j, d], d), d) / tau
    hard = softmax(beta * stop(s), j, where=i != j)
    bad = (size(j) - 1) * sum(hard * exp(s), j)
    mean(log(exp(s[i, i]) + bad) - s[i, i], i)
    """,
    left=learned(5, 3),
    right=learned(5, 3),
    tau=0.6,
    beta=1.4,
)
def hard_negatives(left: Tensor, right: Tensor, tau: float, beta: float) -> Tensor:
    s = F.normalize(left, dim=1) @ F.normalize(right, dim=1).T / tau
    n = len(s)
    off = ~torch.eye(n, dtype=torch.bool)
    negatives = s[off].view(n, n - 1)
    importance = (beta * negatives.detach()).exp()
    bad = (importance * negatives.exp()).sum(1) / importance.mean(1)
    positive = s.diag().exp()
    return -torch.log(positive / (positive + bad)).mean()


@shown(
    "text tokens to image patches: Yao et al. 2022 (FILIP), with padded tokens",
    """
    s[i, j, p, t] = sum(unit(patch[i, p, d], d) * unit(token[j, t, d], d), d)
    best = max(s, p)
    score[i, j] = mean(best, t, where=keep[j, t]) / tau
    mean(logsumexp(score, i) - score[j, j], j)
    """,
    patch=learned(3, 5, 4),
    token=learned(3, 6, 4),
    keep=mask(3, 6),
    tau=0.4,
)
def filip(patch: Tensor, token: Tensor, keep: Tensor, tau: float) -> Tensor:
    scores = []
    for image in F.normalize(patch, dim=-1):
        row = []
        for words, used in zip(F.normalize(token, dim=-1), keep, strict=True):
            row.append((image @ words[used].T).max(0).values.mean())
        scores.append(torch.stack(row))
    return F.cross_entropy(torch.stack(scores).T / tau, torch.arange(len(patch)))
