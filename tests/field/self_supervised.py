"""Self-supervised and few-shot learning without a softmax over the batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import given, learned, normal, shown, uniform


@shown(
    "VICReg: Bardes, Ponce and LeCun 2022",
    """
    cx[i, d] = x[i, d] - mean(x[i, d], i)
    cy[i, d] = y[i, d] - mean(y[i, d], i)
    invariance = mean((x[i, d] - y[i, d]) ** 2)
    narrow_x = relu(1 - sqrt(sum(cx ** 2, i) / (size(i) - 1) + eps))
    narrow_y = relu(1 - sqrt(sum(cy ** 2, i) / (size(i) - 1) + eps))
    cov_x[d, e] = sum(cx[i, d] * cx[i, e], i) / (size(i) - 1)
    cov_y[d, e] = sum(cy[i, d] * cy[i, e], i) / (size(i) - 1)
    covariance = (sum(cov_x ** 2, where=d != e) + sum(cov_y ** 2, where=d != e)) / size(d)
    25 * invariance + 25 * (mean(narrow_x) + mean(narrow_y)) / 2 + covariance
    """,
    x=learned(6, 4),
    y=learned(6, 4),
    eps=1e-4,
)
def vicreg(x: Tensor, y: Tensor, eps: float) -> Tensor:
    total = 25 * F.mse_loss(x, y)
    for view in (x, y):
        centred = view - view.mean(dim=0)
        std = torch.sqrt(view.var(dim=0) + eps)
        covariance = (centred.T @ centred) / (len(view) - 1)
        off = covariance - torch.diag(covariance.diag())
        total = total + 25 * torch.mean(F.relu(1 - std)) / 2 + off.pow(2).sum() / view.shape[1]
    return total


@shown(
    "Barlow Twins: Zbontar et al. 2021",
    """
    a = (x[i, d] - mean(x[i, d], i)) / sqrt(var(x[i, d], i))
    b = (y[i, d] - mean(y[i, d], i)) / sqrt(var(y[i, d], i))
    c[d, e] = mean(a[i, d] * b[i, e], i)
    sum((1 - c[d, d]) ** 2, d) + lam * sum(c ** 2, where=d != e)
    """,
    x=learned(6, 4),
    y=learned(6, 4),
    lam=0.005,
)
def barlow_twins(x: Tensor, y: Tensor, lam: float) -> Tensor:
    n, d = x.shape
    left, right = ((view - view.mean(0)) / view.std(0, correction=0) for view in (x, y))
    c = left.T @ right / n
    on = torch.diagonal(c).add(-1).pow(2).sum()
    off = c.flatten()[:-1].view(d - 1, d + 1)[:, 1:].flatten().pow(2).sum()
    return on + lam * off


@shown(
    "BYOL regression of the target's projection: Grill et al. 2020",
    """
    first = dot(unit(online[i, d], d), unit(stop(target[i, d]), d), d)
    second = dot(unit(other[i, d], d), unit(stop(aim[i, d]), d), d)
    mean(4 - 2 * first - 2 * second, i)
    """,
    online=learned(5, 3),
    target=normal(5, 3),
    other=learned(5, 3),
    aim=normal(5, 3),
)
def byol(online: Tensor, target: Tensor, other: Tensor, aim: Tensor) -> Tensor:
    def regression(x: Tensor, y: Tensor) -> Tensor:
        return (F.normalize(x, dim=-1) - F.normalize(y.detach(), dim=-1)).pow(2).sum(-1)

    return (regression(online, target) + regression(other, aim)).mean()


@shown(
    "DINO between crops, with a centre: Caron et al. 2021",
    """
    p = stop(softmax((teacher[v, b, k] - centre[k]) / cold, k))
    logq = log_softmax(student[u, b, k] / warm, k)
    ce[v, u] = -mean(sum(p * logq, k), b)
    mean(ce, v, u, where=v != u)
    """,
    teacher=normal(2, 5, 4),
    centre=normal(4),
    student=learned(3, 5, 4),
    cold=0.4,
    warm=0.8,
)
def dino(teacher: Tensor, centre: Tensor, student: Tensor, cold: float, warm: float) -> Tensor:
    losses = []
    for v, t in enumerate(F.softmax((teacher - centre) / cold, dim=-1).detach()):
        for u, s in enumerate(student):
            if u != v:
                losses.append(torch.sum(-t * F.log_softmax(s / warm, dim=-1), dim=-1).mean())
    return torch.stack(losses).mean()


@shown(
    "alignment and uniformity: Wang and Isola 2020",
    """
    a = unit(x[i, d], d)
    b = unit(y[i, d], d)
    near = mean(distance(a, b, d) ** 2, i)
    gap[i, j] = distance(a[i, d], a[j, d], d) ** 2
    near + lam * log(mean(exp(-2 * gap), i, j, where=i < j))
    """,
    x=learned(5, 3),
    y=learned(5, 3),
    lam=0.5,
)
def alignment_uniformity(x: Tensor, y: Tensor, lam: float) -> Tensor:
    a, b = F.normalize(x, dim=1), F.normalize(y, dim=1)
    near = (a - b).norm(dim=1).pow(2).mean()
    return near + lam * torch.pdist(a, p=2).pow(2).mul(-2).exp().mean().log()


@shown(
    "spectral contrastive loss: HaoChen et al. 2021",
    """
    s[i, j] = sum(x[i, d] * y[j, d], d)
    -2 * mean(s[i, i], i) + mean(s ** 2, i, j, where=i != j)
    """,
    x=learned(5, 3),
    y=learned(5, 3),
)
def spectral_contrastive(x: Tensor, y: Tensor) -> Tensor:
    n = len(x)
    s = x @ y.T
    off = (s.pow(2).sum() - s.diag().pow(2).sum()) / (n * (n - 1))
    return -2 * (x * y).sum(1).mean() + off


@shown(
    "distillation of pairwise distances and angles' cosines: Park et al. 2019 (RKD), distances",
    """
    s[i, j] = distance(student[i, d], student[j, d], d)
    t[i, j] = distance(teacher[i, e], teacher[j, e], e)
    gap = abs(s / mean(s, i, j, where=i != j) - t / mean(t, i, j, where=i != j))
    mean(where(gap < 1, gap ** 2 / 2, gap - 0.5), i, j, where=i != j)
    """,
    student=learned(5, 3),
    teacher=normal(5, 4),
)
def relational_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    s, t = torch.pdist(student), torch.pdist(teacher)
    return F.smooth_l1_loss(s / s.mean(), t / t.mean())


@shown(
    "prototypical networks: Snell, Swersky and Zemel 2017, with squared Euclidean distance",
    """
    proto[k, d] = sum(member[k, i] * support[i, d], i) / sum(member[k, i], i)
    s[q, k] = -distance(query[q, d], proto[k, d], d) ** 2 * scale
    -mean(log_softmax(s, k)[q, y[q]], q)
    """,
    member=lambda generator: torch.tensor([0, 1, 2, 0, 1, 2]) == torch.arange(3)[:, None],
    support=learned(6, 4),
    query=learned(5, 4),
    y=given(0, 2, 1, 1, 0),
    scale=uniform(0.4, 0.6, learn=True),
)
def prototypical(member: Tensor, support: Tensor, query: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    prototypes = torch.stack([support[chosen].mean(0) for chosen in member])
    return F.cross_entropy(-torch.cdist(query, prototypes).pow(2) * scale, y)
