"""Ranking and recommendation."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import classes, learned, mask, normal, shown, uniform


@shown(
    "Bayesian personalised ranking of a matrix factorisation: Rendle et al. 2009",
    """
    liked = sum(user[who[b], d] * item[good[b], d], d)
    other = sum(user[who[b], d] * item[bad[b], d], d)
    -mean(log(sigmoid(liked - other)), b)
    """,
    user=learned(4, 3),
    item=learned(7, 3),
    who=classes(4, 5),
    good=classes(7, 5),
    bad=classes(7, 5),
)
def bpr(user: Tensor, item: Tensor, who: Tensor, good: Tensor, bad: Tensor) -> Tensor:
    people = F.embedding(who, user)
    gap = (people * (F.embedding(good, item) - F.embedding(bad, item))).sum(1)
    return -F.logsigmoid(gap).mean()


@shown(
    "RankNet over all ordered pairs of a query: Burges et al. 2005; allRank",
    """
    gap[q, i, j] = score[q, i] - score[q, j]
    mean(softplus(-gap), q, i, j, where=grade[q, i] > grade[q, j])
    """,
    score=learned(3, 5),
    grade=classes(4, 3, 5),
)
def ranknet(score: Tensor, grade: Tensor) -> Tensor:
    losses = []
    for s, g in zip(score, grade, strict=True):
        for i in range(len(s)):
            for j in range(len(s)):
                if g[i] > g[j]:
                    losses.append(F.binary_cross_entropy_with_logits(s[i] - s[j], torch.ones_like(s[i])))
    return torch.stack(losses).mean()


@shown(
    "ListNet's top-one loss with padding: Cao et al. 2007",
    """
    want = softmax(grade[q, i], i, where=keep[q, i])
    got = log_softmax(where(keep[q, i], score[q, i], -1e9), i)
    -mean(sum(want * got, i), q)
    """,
    grade=uniform(0, 3, 3, 5),
    score=learned(3, 5),
    keep=mask(3, 5),
)
def listnet(grade: Tensor, score: Tensor, keep: Tensor) -> Tensor:
    total = torch.zeros((), dtype=score.dtype)
    for g, s, used in zip(grade, score, keep, strict=True):
        total = total - (F.softmax(g[used], 0) * F.log_softmax(s[used], 0)).sum()
    return total / len(score)


@shown(
    "ListMLE on lists already sorted by grade: Xia et al. 2008",
    """
    rest[q, i, j] = where(j >= i, score[q, j], -1e30)
    mean(sum(logsumexp(rest, j) - score[q, i], i), q)
    """,
    score=learned(3, 5),
)
def listmle(score: Tensor) -> Tensor:
    tail = torch.logcumsumexp(score.flip(1), dim=1).flip(1)
    return (tail - score).sum(1).mean()


@shown(
    "a smooth rank inside discounted gain: Qin, Liu and Li 2010 (ApproxNDCG), on given ideal gains",
    """
    behind[q, i, j] = sigmoid((score[q, j] - score[q, i]) / heat)
    place = 1 + sum(behind, j, where=i != j)
    -mean(sum(gain[q, i] / log(1 + place), i) * log(2) / ideal[q], q)
    """,
    score=learned(3, 5),
    gain=uniform(0, 3, 3, 5),
    ideal=uniform(3, 5, 3),
    heat=0.5,
)
def approx_ndcg(score: Tensor, gain: Tensor, ideal: Tensor, heat: float) -> Tensor:
    losses = []
    for s, g, best in zip(score, gain, ideal, strict=True):
        dcg = torch.zeros((), dtype=s.dtype)
        for i in range(len(s)):
            place = 0.5 + torch.sigmoid((s - s[i]) / heat).sum()  # its own sigmoid(0) is the other half
            dcg = dcg + g[i] / torch.log2(1 + place)
        losses.append(-dcg / best)
    return torch.stack(losses).mean()


@shown(
    "sampled softmax with the correction of sampling odds: Bengio and Senecal 2008; Yi et al. 2019",
    """
    s[i, j] = sum(user[i, d] * item[j, d], d) - log(odds[j])
    clash[i, j] = id[i] == id[j] and i != j
    mean(logsumexp(s, j, where=not clash) - s[i, i], i)
    """,
    user=learned(5, 3),
    item=learned(5, 3),
    odds=uniform(0.1, 0.9, 5),
    id=lambda generator: torch.tensor([3, 1, 3, 0, 2]),
)
def sampled_softmax(user: Tensor, item: Tensor, odds: Tensor, id: Tensor) -> Tensor:
    logits = user @ item.T - odds.log()
    clash = (id[:, None] == id) & ~torch.eye(len(id), dtype=torch.bool)
    return F.cross_entropy(logits.masked_fill(clash, float("-inf")), torch.arange(len(id)))


@shown(
    "weighted matrix factorisation of implicit feedback: Hu, Koren and Volinsky 2008",
    """
    fit[u, i] = sum(user[u, d] * item[i, d], d)
    error = sum((1 + alpha * count[u, i]) * ((count[u, i] > 0) - fit) ** 2)
    error + lam * (sum(user ** 2) + sum(item ** 2))
    """,
    user=learned(4, 3),
    item=learned(5, 3),
    count=classes(3, 4, 5),
    alpha=0.5,
    lam=0.1,
)
def implicit_feedback(user: Tensor, item: Tensor, count: Tensor, alpha: float, lam: float) -> Tensor:
    total = lam * (user.square().sum() + item.square().sum())
    for u in range(len(user)):
        for i in range(len(item)):
            n = float(count[u, i])
            total = total + (1 + alpha * n) * ((1.0 if n > 0 else 0.0) - user[u] @ item[i]) ** 2
    return total


@shown(
    "sequential recommendation against one sampled item per place: Kang and McAuley 2018 (SASRec)",
    """
    good = sum(state[b, t, d] * item[following[b, t], d], d)
    bad = sum(state[b, t, d] * item[wrong[b, t], d], d)
    mean(softplus(-good) + softplus(bad), b, t, where=keep[b, t])
    """,
    state=learned(3, 4, 5),
    item=learned(7, 5),
    following=classes(7, 3, 4),
    wrong=classes(7, 3, 4),
    keep=mask(3, 4),
)
def sasrec(state: Tensor, item: Tensor, following: Tensor, wrong: Tensor, keep: Tensor) -> Tensor:
    good = torch.einsum("btd,btd->bt", state, item[following])[keep]
    bad = torch.einsum("btd,btd->bt", state, item[wrong])[keep]
    one = F.binary_cross_entropy_with_logits(good, torch.ones_like(good))
    return one + F.binary_cross_entropy_with_logits(bad, torch.zeros_like(bad))


@shown(
    "two-way matching of teacher and student relevance: margin-MSE, Hofstaetter et al. 2020",
    """
    s = sum(query[b, d] * (near[b, d] - far[b, d]), d)
    mean((s - (teacher_near[b] - teacher_far[b])) ** 2, b)
    """,
    query=learned(5, 3),
    near=learned(5, 3),
    far=learned(5, 3),
    teacher_near=normal(5),
    teacher_far=normal(5),
)
def margin_mse(query: Tensor, near: Tensor, far: Tensor, teacher_near: Tensor, teacher_far: Tensor) -> Tensor:
    gap = (query * near).sum(-1) - (query * far).sum(-1)
    return F.mse_loss(gap, teacher_near - teacher_far)
