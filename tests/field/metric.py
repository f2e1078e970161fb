"""Metric learning: pairs, triplets, proxies and margins on angles."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import classes, given, learned, shown, signs


@shown(
    "triplet margin: Schroff et al. 2015; torch.nn.TripletMarginLoss",
    "mean(relu(distance(anchor[b, d], near[b, d], d) - distance(anchor[b, d], far[b, d], d) + margin), b)",
    anchor=learned(6, 3),
    near=learned(6, 3),
    far=learned(6, 3),
    margin=1.0,
)
def triplet(anchor: Tensor, near: Tensor, far: Tensor, margin: float) -> Tensor:
    return F.triplet_margin_loss(anchor, near, far, margin=margin, eps=0)


@shown(
    "batch-hard triplet: Hermans, Beyer and Leibe 2017",
    """
    gap[i, j] = distance(x[i, d], x[j, d], d)
    same[i, j] = label[i] == label[j]
    hard = max(gap, j, where=same and i != j) - min(gap, j, where=not same)
    mean(relu(margin + hard), i)
    """,
    x=learned(7, 3),
    label=given(0, 1, 0, 2, 1, 1, 2),
    margin=0.5,
)
def batch_hard_triplet(x: Tensor, label: Tensor, margin: float) -> Tensor:
    total = torch.zeros((), dtype=x.dtype)
    for i in range(len(x)):
        positives = [(x[i] - x[j]).norm() for j in range(len(x)) if j != i and label[j] == label[i]]
        negatives = [(x[i] - x[j]).norm() for j in range(len(x)) if label[j] != label[i]]
        total = total + torch.relu(margin + torch.stack(positives).max() - torch.stack(negatives).min())
    return total / len(x)


@shown(
    "batch-all triplet over the triplets that still count: Hermans, Beyer and Leibe 2017",
    """
    gap[i, j] = distance(x[i, d], x[j, d], d)
    same[i, j] = label[i] == label[j]
    loss[i, p, n] = gap[i, p] - gap[i, n] + margin
    counts[i, p, n] = same[i, p] and i != p and not same[i, n] and loss > 0
    mean(loss, i, p, n, where=counts)
    """,
    x=learned(6, 3),
    label=given(0, 1, 0, 2, 1, 2),
    margin=0.5,
)
def batch_all_triplet(x: Tensor, label: Tensor, margin: float) -> Tensor:
    losses = []
    for i in range(len(x)):
        for p in range(len(x)):
            for n in range(len(x)):
                if i != p and label[i] == label[p] and label[i] != label[n]:
                    losses.append(torch.relu((x[i] - x[p]).norm() - (x[i] - x[n]).norm() + margin))
    stacked = torch.stack(losses)
    return stacked.sum() / (stacked > 0).sum()


@shown(
    "batch-all pair margin: Hadsell, Chopra and LeCun 2006",
    """
    gap[i, j] = distance(x[i, d], x[j, d], d)
    same[i, j] = label[i] == label[j]
    mean(where(same, gap ** 2, relu(margin - gap) ** 2), i, j, where=i < j)
    """,
    x=learned(6, 3),
    label=given(0, 1, 0, 2, 1, 2),
    margin=2.0,
)
def pair_margin(x: Tensor, label: Tensor, margin: float) -> Tensor:
    left, right = torch.triu_indices(len(x), len(x), offset=1)
    gap = (x[left] - x[right]).norm(dim=1)
    same = (label[left] == label[right]).double()
    return (same * gap.pow(2) + (1 - same) * (margin - gap).clamp(min=0).pow(2)).mean()


@shown(
    "cosine embedding: torch.nn.CosineEmbeddingLoss",
    """
    c = cosine(left[b, d], right[b, d], d)
    mean(where(sign[b] > 0, 1 - c, relu(c - margin)), b)
    """,
    left=learned(7, 3),
    right=learned(7, 3),
    sign=signs(7),
    margin=0.1,
)
def cosine_embedding(left: Tensor, right: Tensor, sign: Tensor, margin: float) -> Tensor:
    return F.cosine_embedding_loss(left, right, sign, margin=margin)


@shown(
    "n-pair loss with regularised embeddings: Sohn 2016",
    """
    s[i, j] = sum(anchor[i, d] * near[j, d], d)
    ce = mean(logsumexp(s, j) - s[i, i], i)
    ce + decay * (mean(sum(anchor[i, d] ** 2, d), i) + mean(sum(near[j, d] ** 2, d), j)) / 4
    """,
    anchor=learned(5, 3),
    near=learned(5, 3),
    decay=0.02,
)
def n_pair(anchor: Tensor, near: Tensor, decay: float) -> Tensor:
    ce = F.cross_entropy(anchor @ near.T, torch.arange(len(anchor)))
    return ce + decay * (anchor.pow(2).sum() + near.pow(2).sum()) / len(anchor) / 4


@shown(
    "lifted structure, smooth form: Oh Song et al. 2016",
    """
    gap[i, j] = distance(x[i, d], x[j, d], d)
    same[i, j] = label[i] == label[j]
    push = sum(exp(margin - gap), j, where=not same)
    loss[i, j] = log(push[i] + push[j]) + gap
    mean(relu(loss) ** 2, i, j, where=same and i < j) / 2
    """,
    x=learned(6, 3),
    label=given(0, 1, 0, 2, 1, 0),
    margin=1.0,
)
def lifted_structure(x: Tensor, label: Tensor, margin: float) -> Tensor:
    losses = []
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            if label[i] == label[j]:
                terms = [
                    (margin - (x[a] - x[n]).norm()).exp() for a in (i, j) for n in range(len(x)) if label[n] != label[a]
                ]
                losses.append(torch.relu(torch.stack(terms).sum().log() + (x[i] - x[j]).norm()) ** 2)
    return torch.stack(losses).mean() / 2


@shown(
    "centre loss: Wen et al. 2016",
    "mean(sum((x[b, d] - centre[y[b], d]) ** 2, d), b) / 2",
    x=learned(6, 4),
    centre=learned(3, 4),
    y=classes(3, 6),
)
def centre_loss(x: Tensor, centre: Tensor, y: Tensor) -> Tensor:
    return 0.5 * (x - centre.index_select(0, y)).pow(2).sum(dim=1).mean()


@shown(
    "ArcFace: Deng et al. 2019",
    """
    c[b, k] = sum(unit(x[b, d], d) * unit(weight[k, d], d), d)
    turned = c * cos(margin) - sqrt(1 - c ** 2) * sin(margin)
    logits[b, k] = scale * where(k == y[b], turned, c)
    -mean(log_softmax(logits, k)[b, y[b]])
    """,
    x=learned(5, 4),
    weight=learned(3, 4),
    y=classes(3, 5),
    margin=0.5,
    scale=8.0,
)
def arcface(x: Tensor, weight: Tensor, y: Tensor, margin: float, scale: float) -> Tensor:
    c = F.linear(F.normalize(x), F.normalize(weight))
    sine = torch.sqrt(1 - c.pow(2))
    phi = c * math.cos(margin) - sine * math.sin(margin)
    one_hot = torch.zeros_like(c).scatter_(1, y.view(-1, 1), 1)
    return F.cross_entropy(scale * (one_hot * phi + (1 - one_hot) * c), y)


@shown(
    "CosFace: Wang et al. 2018",
    """
    c[b, k] = sum(unit(x[b, d], d) * unit(weight[k, d], d), d)
    logits[b, k] = scale * where(k == y[b], c - margin, c)
    -mean(log_softmax(logits, k)[b, y[b]])
    """,
    x=learned(5, 4),
    weight=learned(3, 4),
    y=classes(3, 5),
    margin=0.35,
    scale=8.0,
)
def cosface(x: Tensor, weight: Tensor, y: Tensor, margin: float, scale: float) -> Tensor:
    c = F.linear(F.normalize(x), F.normalize(weight))
    return F.cross_entropy(scale * (c - margin * F.one_hot(y, c.shape[1]).double()), y)


@shown(
    "circle loss on pairs: Sun et al. 2020; pytorch-metric-learning CircleLoss",
    """
    s[i, j] = sum(unit(x[i, d], d) * unit(x[j, d], d), d)
    same[i, j] = label[i] == label[j]
    near = -gamma * stop(relu(1 + m - s)) * (s - 1 + m)
    far = gamma * stop(relu(s + m)) * (s - m)
    mean(softplus(logsumexp(near, j, where=same and i != j) + logsumexp(far, j, where=not same)), i)
    """,
    x=learned(6, 4),
    label=given(0, 1, 0, 2, 1, 2),
    gamma=4.0,
    m=0.25,
)
def circle(x: Tensor, label: Tensor, gamma: float, m: float) -> Tensor:
    s = F.normalize(x) @ F.normalize(x).T
    total = torch.zeros((), dtype=x.dtype)
    for i in range(len(x)):
        near = torch.stack([s[i, j] for j in range(len(x)) if j != i and label[i] == label[j]])
        far = torch.stack([s[i, j] for j in range(len(x)) if label[i] != label[j]])
        logit_near = -gamma * torch.relu(1 + m - near.detach()) * (near - (1 - m))
        logit_far = gamma * torch.relu(far.detach() + m) * (far - m)
        total = total + F.softplus(torch.logsumexp(logit_far, 0) + torch.logsumexp(logit_near, 0))
    return total / len(x)


@shown(
    "multi-similarity without mining: Wang et al. 2019",
    """
    s[i, j] = sum(unit(x[i, d], d) * unit(x[j, d], d), d)
    same[i, j] = label[i] == label[j]
    near = log(1 + sum(exp(-alpha * (s - base)), j, where=same and i != j)) / alpha
    far = log(1 + sum(exp(beta * (s - base)), j, where=not same)) / beta
    mean(near + far, i)
    """,
    x=learned(6, 4),
    label=given(0, 1, 0, 2, 1, 2),
    alpha=2.0,
    beta=5.0,
    base=0.5,
)
def multi_similarity(x: Tensor, label: Tensor, alpha: float, beta: float, base: float) -> Tensor:
    s = F.normalize(x) @ F.normalize(x).T
    total = torch.zeros((), dtype=x.dtype)
    for i in range(len(x)):
        positive, negative = label == label[i], label != label[i]
        positive[i] = False
        total = total + torch.log1p(torch.exp(-alpha * (s[i][positive] - base)).sum()) / alpha
        total = total + torch.log1p(torch.exp(beta * (s[i][negative] - base)).sum()) / beta
    return total / len(x)


@shown(
    "proxy anchor: Kim et al. 2020",
    """
    s[i, k] = sum(unit(x[i, d], d) * unit(proxy[k, d], d), d)
    own[i, k] = k == y[i]
    near = log(1 + sum(exp(-alpha * (s - margin)), i, where=own))
    far = log(1 + sum(exp(alpha * (s + margin)), i, where=not own))
    mean(near, k, where=any(own, i)) + mean(far, k)
    """,
    x=learned(6, 4),
    proxy=learned(5, 4),
    y=given(0, 1, 3, 1, 0, 3),
    alpha=4.0,
    margin=0.1,
)
def proxy_anchor(x: Tensor, proxy: Tensor, y: Tensor, alpha: float, margin: float) -> Tensor:
    c = F.linear(F.normalize(x), F.normalize(proxy))
    hot = F.one_hot(y, len(proxy))
    near = torch.where(hot == 1, torch.exp(-alpha * (c - margin)), 0).sum(0)
    far = torch.where(hot == 0, torch.exp(alpha * (c + margin)), 0).sum(0)
    return torch.log1p(near).sum() / (hot.sum(0) > 0).sum() + torch.log1p(far).sum() / len(proxy)


@shown(
    "translation embeddings of a knowledge graph: Bordes et al. 2013 (TransE), squared distance",
    """
    near = sum((node[head[b], d] + link[rel[b], d] - node[tail[b], d]) ** 2, d)
    far = sum((node[head[b], d] + link[rel[b], d] - node[wrong[b], d]) ** 2, d)
    sum(relu(margin + near - far), b)
    """,
    node=learned(7, 4),
    link=learned(3, 4),
    head=classes(7, 5),
    rel=classes(3, 5),
    tail=classes(7, 5),
    wrong=classes(7, 5),
    margin=1.0,
)
def transe(node: Tensor, link: Tensor, head: Tensor, rel: Tensor, tail: Tensor, wrong: Tensor, margin: float) -> Tensor:
    moved = F.embedding(head, node) + F.embedding(rel, link)
    near = (moved - F.embedding(tail, node)).pow(2).sum(-1)
    far = (moved - F.embedding(wrong, node)).pow(2).sum(-1)
    return F.relu(margin + near - far).sum()
