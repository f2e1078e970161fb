"""Attention in the forms models use."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import classes, learned, mask, shown


@shown(
    "causal attention: Vaswani et al. 2017; F.scaled_dot_product_attention(is_causal=True)",
    """
    score[b, i, j] = sum(query[b, i, d] * key[b, j, d], d) / sqrt(size(d))
    weight = softmax(score, j, where=j <= i)
    out[b, i, e] = sum(weight * value[b, j, e], j)
    out
    """,
    query=learned(2, 4, 3),
    key=learned(2, 4, 3),
    value=learned(2, 4, 5),
)
def causal_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


@shown(
    "several heads with padded keys and an output projection: torch.nn.MultiheadAttention",
    """
    score[b, h, i, j] = sum(query[b, i, h, d] * key[b, j, h, d], d) / sqrt(size(d))
    weight = softmax(where(keep[b, j], score, -1e9), j)
    mixed[b, i, h, d] = sum(weight * value[b, j, h, d], j)
    out[b, i, o] = sum(mixed * project[o, h, d], h, d)
    out
    """,
    query=learned(2, 5, 3, 4),
    key=learned(2, 6, 3, 4),
    value=learned(2, 6, 3, 4),
    keep=mask(2, 6),
    project=learned(7, 3, 4),
)
def multi_head_attention(query: Tensor, key: Tensor, value: Tensor, keep: Tensor, project: Tensor) -> Tensor:
    heads = [x.transpose(1, 2) for x in (query, key, value)]
    mixed = F.scaled_dot_product_attention(*heads, attn_mask=keep[:, None, None, :])
    return F.linear(mixed.transpose(1, 2).flatten(2), project.flatten(1))


@shown(
    "linear biases by distance: Press, Smith and Lewis 2022 (ALiBi)",
    """
    score[b, h, i, j] = sum(query[b, h, i, d] * key[b, h, j, d], d) / sqrt(size(d)) - slope[h] * (i - j)
    out[b, h, i, e] = sum(softmax(score, j, where=j <= i) * value[b, h, j, e], j)
    out
    """,
    query=learned(2, 3, 5, 4),
    key=learned(2, 3, 5, 4),
    slope=learned(3),
    value=learned(2, 3, 5, 6),
)
def alibi(query: Tensor, key: Tensor, slope: Tensor, value: Tensor) -> Tensor:
    n = query.shape[2]
    bias = slope[:, None, None] * -(torch.arange(n)[:, None] - torch.arange(n)).double()
    blocked = torch.full((n, n), float("-inf"), dtype=query.dtype).triu(1)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias + blocked)


@shown(
    "a sliding window: Beltagy, Peters and Cohan 2020 (Longformer), causal form of Mistral",
    """
    score[b, i, j] = sum(query[b, i, d] * key[b, j, d], d) / sqrt(size(d))
    out[b, i, e] = sum(softmax(score, j, where=0 <= i - j < width) * value[b, j, e], j)
    out
    """,
    query=learned(2, 6, 3),
    key=learned(2, 6, 3),
    value=learned(2, 6, 4),
    width=3.0,
)
def sliding_window(query: Tensor, key: Tensor, value: Tensor, width: float) -> Tensor:
    rows = []
    for i in range(query.shape[1]):
        start = max(0, i - int(width) + 1)
        score = torch.einsum("bd,bjd->bj", query[:, i], key[:, start : i + 1]) / math.sqrt(query.shape[2])
        rows.append(torch.einsum("bj,bje->be", F.softmax(score, 1), value[:, start : i + 1]))
    return torch.stack(rows, dim=1)


@shown(
    "a learned bias by relative place: Liu et al. 2021 (Swin)",
    """
    score[b, h, i, j] = sum(query[b, h, i, d] * key[b, h, j, d], d) + bias[place[i, j], h]
    out[b, h, i, d] = sum(softmax(score, j) * value[b, h, j, d], j)
    out
    """,
    query=learned(2, 3, 5, 4),
    key=learned(2, 3, 5, 4),
    bias=learned(9, 3),
    value=learned(2, 3, 5, 4),
    place=lambda generator: torch.arange(5)[:, None] - torch.arange(5) + 4,
)
def swin_bias(query: Tensor, key: Tensor, bias: Tensor, value: Tensor, place: Tensor) -> Tensor:
    table = bias[place.view(-1)].view(5, 5, -1).permute(2, 0, 1)
    return F.softmax(query @ key.transpose(-2, -1) + table.unsqueeze(0), -1) @ value


@shown(
    "queries share one head of keys and values: Shazeer 2019 (multi-query)",
    """
    score[b, h, i, j] = sum(query[b, h, i, d] * key[b, j, d], d) / sqrt(size(d))
    out[b, h, i, e] = sum(softmax(score, j) * value[b, j, e], j)
    out
    """,
    query=learned(2, 3, 4, 5),
    key=learned(2, 6, 5),
    value=learned(2, 6, 7),
)
def multi_query(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    heads = query.shape[1]
    return F.scaled_dot_product_attention(query, torch.stack([key] * heads, 1), torch.stack([value] * heads, 1))


@shown(
    "linear attention without softmax: Katharopoulos et al. 2020, the feature map elu(x) + 1",
    """
    q = where(query[b, i, d] > 0, query[b, i, d] + 1, exp(query[b, i, d]))
    k = where(key[b, j, d] > 0, key[b, j, d] + 1, exp(key[b, j, d]))
    state[b, d, e] = sum(k * value[b, j, e], j)
    out[b, i, e] = sum(q * state, d) / sum(q * sum(k, j), d)
    out
    """,
    query=learned(2, 4, 3),
    key=learned(2, 5, 3),
    value=learned(2, 5, 6),
)
def linear_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    q, k = F.elu(query) + 1, F.elu(key) + 1
    scores = torch.bmm(q, k.transpose(1, 2))
    return torch.bmm(scores / scores.sum(-1, keepdim=True), value)


@shown(
    "additive attention: Bahdanau, Cho and Bengio 2015",
    """
    hidden[b, i, j, h] = tanh(query[b, i, h] + key[b, j, h])
    weight = softmax(sum(hidden * v[h], h), j, where=keep[b, j])
    out[b, i, e] = sum(weight * value[b, j, e], j)
    out
    """,
    query=learned(2, 3, 4),
    key=learned(2, 5, 4),
    v=learned(4),
    keep=mask(2, 5),
    value=learned(2, 5, 6),
)
def additive_attention(query: Tensor, key: Tensor, v: Tensor, keep: Tensor, value: Tensor) -> Tensor:
    energy = torch.tanh(query.unsqueeze(2) + key.unsqueeze(1)) @ v
    energy = energy.masked_fill(~keep.unsqueeze(1), float("-inf"))
    return energy.softmax(-1) @ value


@shown(
    "attention pooling of instances: Ilse, Tomczak and Welling 2018, gated",
    """
    open[b, n, h] = tanh(sum(x[b, n, d] * v[h, d], d)) * sigmoid(sum(x[b, n, d] * u[h, d], d))
    weight = softmax(sum(open * w[h], h), n, where=keep[b, n])
    pooled[b, d] = sum(weight * x[b, n, d], n)
    pooled
    """,
    x=learned(2, 5, 4),
    v=learned(3, 4),
    u=learned(3, 4),
    w=learned(3),
    keep=mask(2, 5),
)
def gated_pooling(x: Tensor, v: Tensor, u: Tensor, w: Tensor, keep: Tensor) -> Tensor:
    rows = []
    for bag, used in zip(x, keep, strict=True):
        inside = bag[used]
        score = (torch.tanh(inside @ v.T) * torch.sigmoid(inside @ u.T)) @ w
        rows.append(F.softmax(score, 0) @ inside)
    return torch.stack(rows)


@shown(
    "modern Hopfield retrieval: Ramsauer et al. 2021, one update",
    """
    share[b, n] = softmax(beta * sum(state[b, d] * pattern[n, d], d), n)
    found[b, d] = sum(share * pattern[n, d], n)
    found
    """,
    state=learned(4, 3),
    pattern=learned(6, 3),
    beta=1.7,
)
def hopfield(state: Tensor, pattern: Tensor, beta: float) -> Tensor:
    return torch.softmax(beta * state @ pattern.T, dim=-1) @ pattern


@shown(
    "slots compete for inputs: Locatello et al. 2020 (slot attention), one update",
    """
    share[b, s, n] = softmax(sum(slot[b, s, d] * x[b, n, d], d) / sqrt(size(d)), s) + eps
    part = share / sum(share, n)
    update[b, s, d] = sum(part * x[b, n, d], n)
    update
    """,
    slot=learned(2, 3, 4),
    x=learned(2, 6, 4),
    eps=1e-6,
)
def slot_attention(slot: Tensor, x: Tensor, eps: float) -> Tensor:
    share = torch.softmax(torch.einsum("bnd,bsd->bns", x, slot) / math.sqrt(x.shape[-1]), dim=-1) + eps
    share = share / share.sum(1, keepdim=True)
    return torch.einsum("bns,bnd->bsd", share, x)


@shown(
    "outer-product mean of an alignment: Jumper et al. 2021 (AlphaFold), masked",
    """
    a[s, i, p] = sum(msa[s, i, c] * left[c, p], c)
    b[s, j, q] = sum(msa[s, j, c] * right[c, q], c)
    outer[i, j, p, q] = sum(seen[s, i] * a * seen[s, j] * b, s)
    counts[i, j] = sum(seen[s, i] * seen[s, j], s)
    outer / (counts + eps)
    """,
    msa=learned(4, 5, 3),
    left=learned(3, 2),
    right=learned(3, 6),
    eps=1e-3,
    seen=lambda generator: mask(4, 5)(generator).double(),
)
def outer_product_mean(msa: Tensor, left: Tensor, right: Tensor, seen: Tensor, eps: float) -> Tensor:
    a, b = msa @ left * seen.unsqueeze(-1), msa @ right * seen.unsqueeze(-1)
    outer = torch.einsum("sip,sjq->ijpq", a, b)
    return outer / (seen.T @ seen + eps)[:, :, None, None]


@shown(
    "capsules agree, one round of routing: Sabour, Frosst and Hinton 2017",
    """
    vote[b, i, o, e] = sum(x[b, i, d] * weight[i, o, d, e], d)
    share = softmax(prior[i, o], o)
    s[b, o, e] = sum(share * vote, i)
    length = sum(s ** 2, e)
    out[b, o, e] = length / (1 + length) * s / sqrt(length)
    out
    """,
    x=learned(2, 4, 3),
    weight=learned(4, 5, 3, 6),
    prior=learned(4, 5),
)
def capsules(x: Tensor, weight: Tensor, prior: Tensor) -> Tensor:
    votes = torch.einsum("bid,iode->bioe", x, weight)
    s = (prior.softmax(1)[None, :, :, None] * votes).sum(1)
    norm = s.norm(dim=-1, keepdim=True)
    return norm**2 / (1 + norm**2) * s / norm


@shown(
    "pointers into a padded input: Vinyals, Fortunato and Jaitly 2015, as a loss",
    """
    u[b, i, j] = sum(v[h] * tanh(decoder[b, i, h] + encoder[b, j, h]), h)
    logp = log_softmax(where(keep[b, j], u, -1e9), j)
    -mean(logp[b, i, goal[b, i]])
    """,
    v=learned(4),
    decoder=learned(2, 3, 4),
    encoder=learned(2, 5, 4),
    keep=lambda generator: mask(2, 5)(generator) | (torch.arange(5) < 2),
    goal=classes(2, 2, 3),
)
def pointer_loss(v: Tensor, decoder: Tensor, encoder: Tensor, keep: Tensor, goal: Tensor) -> Tensor:
    u = torch.tanh(decoder[:, :, None] + encoder[:, None]).matmul(v)
    u = u.masked_fill(~keep[:, None], float("-inf"))
    return F.cross_entropy(u.flatten(0, 1), goal.flatten())


@shown(
    "monotone alignment encouraged by a diagonal: Tachibana et al. 2018 (guided attention)",
    """
    gap[n, t] = cast(n, "float64") / size(n) - cast(t, "float64") / size(t)
    mean(align[b, n, t] * (1 - exp(-gap ** 2 / (2 * g ** 2))))
    """,
    align=learned(2, 5, 6),
    g=0.2,
)
def guided_attention(align: Tensor, g: float) -> Tensor:
    n, t = align.shape[1:]
    grid = torch.arange(n).double()[:, None] / n - torch.arange(t).double() / t
    return (align * (1 - torch.exp(-(grid**2) / (2 * g * g)))).mean()
