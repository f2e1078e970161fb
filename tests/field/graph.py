"""Graphs: quadratic forms, edges, and one layer of message passing."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import Make, classes, learned, shown, signs, uniform


def adjacency(count: int) -> Make:
    """A symmetric 0/1 matrix with self-loops absent and every node on a ring."""

    def make(generator: torch.Generator) -> Tensor:
        edges = torch.rand(count, count, generator=generator) < 0.3
        ring = torch.eye(count, dtype=torch.bool).roll(1, 0)
        return ((edges | edges.T | ring | ring.T) & ~torch.eye(count, dtype=torch.bool)).double()

    return make


@shown(
    "Laplacian quadratic form over an adjacency: Belkin and Niyogi 2003",
    "sum(sum(adj[i, j], j) * sum(x[i, d] ** 2, d), i) - sum(adj[i, j] * x[i, d] * x[j, d])",
    adj=adjacency(5),
    x=learned(5, 3),
)
def laplacian_form(adj: Tensor, x: Tensor) -> Tensor:
    laplacian = torch.diag(adj.sum(1)) - adj
    return torch.trace(x.T @ laplacian @ x)


@shown(
    "the same quadratic form over listed edges with weights",
    "sum(weight[e] * (x[source[e], d] - x[target[e], d]) ** 2)",
    weight=uniform(0.2, 1, 7),
    x=learned(5, 3),
    source=classes(5, 7),
    target=classes(5, 7),
)
def laplacian_edges(weight: Tensor, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
    total = torch.zeros((), dtype=x.dtype)
    for w, i, j in zip(weight, source, target, strict=True):
        total = total + w * (x[i] - x[j]) @ (x[i] - x[j])
    return total


@shown(
    "neighbours' cosines over a dense adjacency: graph regularised embeddings",
    """
    s[i, j] = sum(unit(x[i, d], d) * unit(x[j, d], d), d)
    -sum(adj[i, j] * s)
    """,
    adj=adjacency(5),
    x=learned(5, 3),
)
def graph_cosine(adj: Tensor, x: Tensor) -> Tensor:
    total = torch.zeros((), dtype=x.dtype)
    for i, j in adj.nonzero().tolist():
        total = total - F.cosine_similarity(x[i], x[j], dim=0)
    return total


@shown(
    "cosines along listed edges, mean over the edges",
    "-mean(weight[e] * cosine(x[source[e], d], x[target[e], d], d), e)",
    weight=uniform(0.2, 1, 7),
    x=learned(5, 3),
    source=classes(5, 7),
    target=classes(5, 7),
)
def edge_cosine(weight: Tensor, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
    return -(weight * F.cosine_similarity(x[source], x[target])).mean()


@shown(
    "graph convolution with symmetric normalisation: Kipf and Welling 2017",
    """
    a[i, j] = adj[i, j] + (i == j)
    root = sqrt(sum(a, j))
    out[i, o] = relu(sum(a[i, j] / root[i] / root[j] * x[j, d] * weight[d, o], j, d))
    out
    """,
    adj=adjacency(5),
    x=learned(5, 3),
    weight=learned(3, 4),
)
def graph_convolution(adj: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    a = adj + torch.eye(len(adj), dtype=adj.dtype)
    scale = torch.diag(a.sum(1).rsqrt())
    return F.relu(scale @ a @ scale @ x @ weight)


@shown(
    "graph attention, one head: Velickovic et al. 2018",
    """
    z[i, o] = sum(x[i, d] * weight[o, d], d)
    e[i, j] = sum(z[i, o] * left[o], o) + sum(z[j, o] * right[o], o)
    share = softmax(where(e > 0, e, 0.2 * e), j, where=adj[i, j] > 0 or i == j)
    out[i, o] = sum(share[i, j] * z[j, o], j)
    out
    """,
    x=learned(5, 3),
    weight=learned(4, 3),
    left=learned(4),
    right=learned(4),
    adj=adjacency(5),
)
def graph_attention(x: Tensor, weight: Tensor, left: Tensor, right: Tensor, adj: Tensor) -> Tensor:
    z = F.linear(x, weight)
    rows = []
    for i in range(len(x)):
        near = [j for j in range(len(x)) if adj[i, j] > 0 or j == i]
        score = F.leaky_relu(z[i] @ left + z[near] @ right, 0.2)
        rows.append(F.softmax(score, 0) @ z[near])
    return torch.stack(rows)


@shown(
    "mean of neighbours beside the node itself: Hamilton, Ying and Leskovec 2017 (GraphSAGE)",
    """
    near[i, d] = sum(adj[i, j] * x[j, d], j) / sum(adj[i, j], j)
    out[i, o] = unit(relu(sum(x[i, d] * own[o, d], d) + sum(near * other[o, d], d)) + eps, o)
    out
    """,
    adj=adjacency(5),
    x=learned(5, 3),
    own=learned(4, 3),
    other=learned(4, 3),
    eps=0.01,
)
def graph_sage(adj: Tensor, x: Tensor, own: Tensor, other: Tensor, eps: float) -> Tensor:
    near = torch.stack([x[row > 0].mean(0) for row in adj])
    return F.normalize(F.relu(F.linear(x, own) + F.linear(near, other)) + eps, dim=1)


@shown(
    "soft clusters by normalised cuts with balance: Bianchi, Grattarola and Alippi 2020 (MinCutPool)",
    """
    s = softmax(logits[i, k], k)
    cut = sum(adj[i, j] * s[i, k] * s[j, k]) / sum(sum(adj[i, j], j) * s ** 2)
    gram[k, m] = sum(s[i, k] * s[i, m], i)
    level = gram / sqrt(sum(gram ** 2))
    sqrt(sum(where(k == m, level - 1 / sqrt(size(k)), level) ** 2)) - cut
    """,
    logits=learned(5, 3),
    adj=adjacency(5),
)
def mincut_pool(logits: Tensor, adj: Tensor) -> Tensor:
    s = F.softmax(logits, dim=-1)
    degree = torch.diag(adj.sum(1))
    cut = torch.trace(s.T @ adj @ s) / torch.trace(s.T @ degree @ s)
    gram = s.T @ s
    k = gram.shape[0]
    eye = torch.eye(k, dtype=s.dtype)
    return torch.norm(gram / torch.norm(gram) - eye / torch.norm(eye)) - cut


@shown(
    "link prediction by factors: Yang et al. 2015 (DistMult), logistic loss",
    """
    score = sum(node[head[e], d] * link[rel[e], d] * node[tail[e], d], d)
    mean(softplus(-sign[e] * score), e)
    """,
    node=learned(6, 3),
    head=classes(6, 7),
    link=learned(4, 3),
    rel=classes(4, 7),
    tail=classes(6, 7),
    sign=signs(7),
)
def distmult(node: Tensor, head: Tensor, link: Tensor, rel: Tensor, tail: Tensor, sign: Tensor) -> Tensor:
    score = (node[head] * link[rel] * node[tail]).sum(1)
    return F.soft_margin_loss(score, sign)


@shown(
    "a relaxed modularity of soft communities: Tsitsulin et al. 2023 (DMoN)",
    """
    s = softmax(logits[i, k], k)
    degree = sum(adj[i, j], j)
    total = sum(degree)
    spectral = sum(adj[i, j] * s[i, k] * s[j, k]) - sum(sum(degree * s, i) ** 2, k) / total
    collapse = sqrt(size(k)) / size(i) * norm(sum(s, i), k) - 1
    collapse - spectral / total
    """,
    logits=learned(6, 3),
    adj=adjacency(6),
)
def modularity(logits: Tensor, adj: Tensor) -> Tensor:
    s = F.softmax(logits, 1)
    degree, edges = adj.sum(1), adj.sum() / 2
    excess = adj - torch.outer(degree, degree) / (2 * edges)
    n, k = s.shape
    return torch.norm(s.sum(0)) * k**0.5 / n - 1 - torch.trace(s.T @ excess @ s) / (2 * edges)
