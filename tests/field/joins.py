"""Joins: how values meet inside networks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import classes, learned, mask, normal, number, shown


@shown(
    "feature-wise modulation: Perez et al. 2018 (FiLM)",
    """
    out[b, c, h, w] = scale[b, c] * x[b, c, h, w] + shift[b, c]
    out
    """,
    scale=learned(2, 3),
    x=learned(2, 3, 4, 5),
    shift=learned(2, 3),
)
def film(scale: Tensor, x: Tensor, shift: Tensor) -> Tensor:
    return scale[:, :, None, None] * x + shift[:, :, None, None]


@shown(
    "gated residual: Srivastava, Greff and Schmidhuber 2015 (highway)",
    """
    gate[b, o] = sigmoid(sum(x[b, i] * weight[o, i], i) + bias[o])
    out[b, o] = x[b, o] + gate * (y[b, o] - x[b, o])
    out
    """,
    x=learned(5, 3),
    weight=learned(3, 3),
    bias=learned(3),
    y=learned(5, 3),
)
def gated_residual(x: Tensor, weight: Tensor, bias: Tensor, y: Tensor) -> Tensor:
    gate = torch.sigmoid(F.linear(x, weight, bias))
    return gate * y + (1 - gate) * x


@shown(
    "squeeze and excite: Hu, Shen and Sun 2018",
    """
    squeezed = mean(x[b, c, h, w], h, w)
    hidden[b, r] = relu(sum(squeezed[b, c] * down[r, c], c))
    gate[b, c] = sigmoid(sum(hidden * up[c, r], r))
    out[b, c, h, w] = gate * x[b, c, h, w]
    out
    """,
    x=learned(2, 3, 4, 5),
    down=learned(6, 3),
    up=learned(3, 6),
)
def squeeze_excite(x: Tensor, down: Tensor, up: Tensor) -> Tensor:
    gate = torch.sigmoid(F.linear(F.relu(F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), down)), up))
    return x * gate.unflatten(1, (-1, 1, 1))


@shown(
    "soft mixture of experts: Jacobs et al. 1991",
    """
    gate[b, e] = softmax(sum(x[b, d] * router[e, d], d), e)
    out[b, o] = sum(gate * expert[e, b, o], e)
    out
    """,
    x=learned(5, 3),
    router=learned(4, 3),
    expert=learned(4, 5, 6),
)
def soft_experts(x: Tensor, router: Tensor, expert: Tensor) -> Tensor:
    gate = F.softmax(x @ router.T, dim=1)
    return sum((gate[:, e, None] * expert[e] for e in range(len(expert))), torch.zeros_like(expert[0]))


@shown(
    "balance of experts' load: Fedus, Zoph and Shazeer 2022 (Switch)",
    """
    p = softmax(logits[t, e], e)
    used[t, e] = e == choice[t]
    size(e) / size(t) * sum(sum(used, t) * mean(p, t), e)
    """,
    logits=learned(7, 4),
    choice=classes(4, 7),
)
def load_balance(logits: Tensor, choice: Tensor) -> Tensor:
    experts = logits.shape[1]
    share = torch.bincount(choice, minlength=experts).double() / len(choice)
    return experts * (share * F.softmax(logits, dim=-1).mean(0)).sum()


@shown(
    "low-rank bilinear pooling: Kim et al. 2017 (MLB)",
    """
    left = tanh(sum(x[b, i] * u[i, r], i))
    right = tanh(sum(y[b, j] * v[j, r], j))
    out[b, o] = sum(left * right * w[r, o], r)
    out
    """,
    x=learned(5, 3),
    u=learned(3, 2),
    y=learned(5, 4),
    v=learned(4, 2),
    w=learned(2, 6),
)
def low_rank_bilinear(x: Tensor, u: Tensor, y: Tensor, v: Tensor, w: Tensor) -> Tensor:
    return (torch.tanh(x @ u) * torch.tanh(y @ v)) @ w


@shown(
    "full bilinear form: torch.nn.Bilinear",
    """
    out[b, o] = sum(x[b, i] * weight[o, i, j] * y[b, j], i, j) + bias[o]
    out
    """,
    x=learned(5, 3),
    weight=learned(6, 3, 4),
    y=learned(5, 4),
    bias=learned(6),
)
def bilinear(x: Tensor, weight: Tensor, y: Tensor, bias: Tensor) -> Tensor:
    return F.bilinear(x, y, weight, bias)


@shown(
    "second-order term of a factorisation machine over embedded fields: Rendle 2010; Guo et al. 2017 (DeepFM)",
    """
    v = factor[id[b, f], d] * x[b, f]
    pairs[b] = sum(sum(v, f) ** 2 - sum(v ** 2, f), d) / 2
    pairs
    """,
    factor=learned(9, 3),
    id=classes(9, 5, 4),
    x=normal(5, 4),
)
def factorisation_machine(factor: Tensor, id: Tensor, x: Tensor) -> Tensor:
    embedded = F.embedding(id, factor) * x.unsqueeze(-1)
    total = torch.zeros(len(x), dtype=x.dtype)
    for i in range(x.shape[1]):
        for j in range(i + 1, x.shape[1]):
            total = total + (embedded[:, i] * embedded[:, j]).sum(-1)
    return total


@shown(
    "cross network: Wang et al. 2021 (DCN V2), one layer",
    """
    crossed[b, o] = first[b, o] * (sum(x[b, i] * weight[o, i], i) + bias[o]) + x[b, o]
    crossed
    """,
    first=learned(5, 3),
    x=learned(5, 3),
    weight=learned(3, 3),
    bias=learned(3),
)
def cross_network(first: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return first * F.linear(x, weight, bias) + x


@shown(
    "layer normalisation: Ba, Kiros and Hinton 2016; torch.nn.LayerNorm",
    """
    centred = x[b, t, f] - mean(x[b, t, f], f)
    out[b, t, f] = centred / sqrt(var(x[b, t, f], f) + eps) * scale[f] + shift[f]
    out
    """,
    x=learned(2, 3, 5),
    scale=learned(5),
    shift=learned(5),
    eps=1e-5,
)
def layer_norm(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x, (5,), scale, shift, eps)


@shown(
    "adaptive instance normalisation: Huang and Belongie 2017",
    """
    white = (x[b, c, h, w] - mean(x[b, c, h, w], h, w)) / sqrt(var(x[b, c, h, w], h, w) + eps)
    deep = sqrt(var(style[b, c, u, v], u, v) + eps)
    out[b, c, h, w] = deep * white + mean(style[b, c, u, v], u, v)
    out
    """,
    x=learned(2, 3, 4, 5),
    style=learned(2, 3, 6, 7),
    eps=1e-5,
)
def adaptive_instance_norm(x: Tensor, style: Tensor, eps: float) -> Tensor:
    white = F.instance_norm(x, eps=eps)
    flat = style.flatten(2)
    deep = (flat.var(-1, correction=0) + eps).sqrt()
    return deep[..., None, None] * white + flat.mean(-1)[..., None, None]


@shown(
    "gated linear unit with a swish gate: Shazeer 2020 (SwiGLU)",
    """
    gate = sum(x[b, t, d] * opener[h, d], d)
    hidden = gate * sigmoid(gate) * sum(x[b, t, d] * up[h, d], d)
    out[b, t, d] = sum(hidden * down[d, h], h)
    out
    """,
    x=learned(2, 3, 4),
    opener=learned(6, 4),
    up=learned(6, 4),
    down=learned(4, 6),
)
def swiglu(x: Tensor, opener: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return F.linear(F.silu(F.linear(x, opener)) * F.linear(x, up), down)


@shown(
    "a gated recurrent step: Cho et al. 2014; torch.nn.GRUCell without biases",
    """
    r = sigmoid(sum(x[b, i] * wr[o, i], i) + sum(h[b, p] * ur[o, p], p))
    z = sigmoid(sum(x[b, i] * wz[o, i], i) + sum(h[b, p] * uz[o, p], p))
    n = tanh(sum(x[b, i] * wn[o, i], i) + r * sum(h[b, p] * un[o, p], p))
    out[b, o] = (1 - z) * n + z * h[b, o]
    out
    """,
    x=learned(4, 3),
    h=learned(4, 5),
    wr=learned(5, 3),
    ur=learned(5, 5),
    wz=learned(5, 3),
    uz=learned(5, 5),
    wn=learned(5, 3),
    un=learned(5, 5),
)
def gated_step(x: Tensor, h: Tensor, wr: Tensor, ur: Tensor, wz: Tensor, uz: Tensor, wn: Tensor, un: Tensor) -> Tensor:
    cell = torch.nn.GRUCell(3, 5, bias=False, dtype=x.dtype)
    weights = {"weight_ih": torch.cat([wr, wz, wn]), "weight_hh": torch.cat([ur, uz, un])}
    return torch.func.functional_call(cell, weights, (x, h))


@shown(
    "biaffine scores of heads and dependents: Dozat and Manning 2017",
    """
    score[b, i, j] = sum(child[b, i, d] * weight[d, e] * parent[b, j, e], d, e) + sum(parent[b, j, e] * bias[e], e)
    score
    """,
    child=learned(2, 4, 3),
    weight=learned(3, 5),
    parent=learned(2, 4, 5),
    bias=learned(5),
)
def biaffine(child: Tensor, weight: Tensor, parent: Tensor, bias: Tensor) -> Tensor:
    return (child @ weight) @ parent.transpose(1, 2) + (parent @ bias).unsqueeze(1)


@shown(
    "two embeddings side by side through one layer: the usual late fusion",
    """
    both = concat(image, text, axis=1)[b, c]
    out[b, o] = relu(sum(both * weight[o, c], c) + bias[o])
    out
    """,
    image=learned(5, 3),
    text=learned(5, 4),
    weight=learned(6, 7),
    bias=learned(6),
)
def late_fusion(image: Tensor, text: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.relu(F.linear(torch.cat([image, text], dim=1), weight, bias))


@shown(
    "masked mean of tokens, scaled to length one: Reimers and Gurevych 2019 (Sentence-BERT)",
    """
    pooled = mean(token[b, t, d], t, where=keep[b, t])
    out[b, d] = unit(pooled, d)
    out
    """,
    token=learned(3, 4, 5),
    keep=mask(3, 4),
)
def sentence_embedding(token: Tensor, keep: Tensor) -> Tensor:
    used = keep.unsqueeze(-1).double()
    return F.normalize((token * used).sum(1) / used.sum(1).clamp(min=1e-9), dim=1)


@shown(
    "a spatial transformer's soft peak: Levine et al. 2016 (spatial softmax)",
    """
    p = exp(x[b, c, h, w] - logsumexp(x[b, c, h, w], h, w))
    row[b, c] = sum(p * h, h, w) / (size(h) - 1)
    column[b, c] = sum(p * w, h, w) / (size(w) - 1)
    row, column
    """,
    x=learned(2, 3, 4, 5),
)
def spatial_softmax(x: Tensor) -> tuple[Tensor, Tensor]:
    p = x.flatten(2).softmax(-1).view_as(x)
    rows, columns = torch.linspace(0, 1, 4, dtype=x.dtype), torch.linspace(0, 1, 5, dtype=x.dtype)
    return (p.sum(3) * rows).sum(2), (p.sum(2) * columns).sum(2)


@shown(
    "a learned mix of a network's layers: Peters et al. 2018 (ELMo)",
    """
    layer = stack(low, middle, high, axis=0)[l, b, t, d]
    out[b, t, d] = scale * sum(softmax(mix[l], l) * layer, l)
    out
    """,
    low=learned(2, 4, 5),
    middle=learned(2, 4, 5),
    high=learned(2, 4, 5),
    mix=learned(3),
    scale=number(0.8),
)
def layer_mix(low: Tensor, middle: Tensor, high: Tensor, mix: Tensor, scale: Tensor) -> Tensor:
    share = F.softmax(mix, 0)
    return scale * (share[0] * low + share[1] * middle + share[2] * high)


@shown(
    "a classifier on a recurrent network's last state: the usual many-to-one head",
    """
    logits[b, k] = sum(last(state)[b, d] * weight[k, d], d) + bias[k]
    -mean(log_softmax(logits, k)[b, y[b]])
    """,
    state=learned(4, 6, 5),
    weight=learned(3, 5),
    bias=learned(3),
    y=classes(3, 4),
)
def last_state(state: Tensor, weight: Tensor, bias: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(state[:, -1], weight, bias), y)
