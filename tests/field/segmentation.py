"""Segmentation: overlap of regions, class masks per pixel, and structure of images."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.field.entry import classes, learned, normal, shown, uniform


@shown(
    "soft dice: Milletari et al. 2016 (V-Net); MONAI DiceLoss",
    """
    p = sigmoid(logits[b, h, w])
    t = label[b, h, w]
    1 - mean((2 * sum(p * t, h, w) + 1) / (sum(p, h, w) + sum(t, h, w) + 1))
    """,
    logits=learned(3, 4, 5),
    label=classes(2, 3, 4, 5),
)
def dice(logits: Tensor, label: Tensor) -> Tensor:
    p, t = torch.sigmoid(logits).flatten(1), label.flatten(1)
    return (1 - (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)).mean()


@shown(
    "multi-class soft dice over a one-hot label: MONAI DiceLoss(to_onehot_y=True, softmax=True)",
    """
    p = softmax(logits[b, k, h, w], k)
    t[b, k, h, w] = k == label[b, h, w]
    1 - mean((2 * sum(p * t, h, w) + eps) / (sum(p, h, w) + sum(t, h, w) + eps), b, k)
    """,
    logits=learned(2, 3, 4, 5),
    label=classes(3, 2, 4, 5),
    eps=1e-5,
)
def dice_classes(logits: Tensor, label: Tensor, eps: float) -> Tensor:
    p = F.softmax(logits, 1)
    t = F.one_hot(label, logits.shape[1]).permute(0, 3, 1, 2)
    overlap, total = (p * t).sum((2, 3)), (p + t).sum((2, 3))
    return (1 - (2 * overlap + eps) / (total + eps)).mean()


@shown(
    "generalised dice: Sudre et al. 2017",
    """
    p = softmax(logits[b, k, h, w], k)
    t[b, k, h, w] = k == label[b, h, w]
    w_k = 1 / (sum(t, h, w) ** 2 + 1)
    1 - mean(2 * sum(w_k * sum(p * t, h, w), k) / sum(w_k * sum(p + t, h, w), k), b)
    """,
    logits=learned(2, 3, 4, 5),
    label=classes(3, 2, 4, 5),
)
def generalised_dice(logits: Tensor, label: Tensor) -> Tensor:
    p = F.softmax(logits, 1).flatten(2)
    t = F.one_hot(label, logits.shape[1]).movedim(-1, 1).flatten(2).double()
    weight = 1 / (t.sum(-1).square() + 1)
    return 1 - (2 * (weight * (p * t).sum(-1)).sum(1) / (weight * (p + t).sum(-1)).sum(1)).mean()


@shown(
    "Tversky: Salehi et al. 2017",
    """
    p = sigmoid(logits[b, h, w])
    t = label[b, h, w]
    hit = sum(p * t, h, w)
    miss = alpha * sum(p * (1 - t), h, w) + beta * sum((1 - p) * t, h, w)
    1 - mean((hit + 1) / (hit + miss + 1), b)
    """,
    logits=learned(3, 4, 5),
    label=uniform(0, 1, 3, 4, 5),
    alpha=0.3,
    beta=0.7,
)
def tversky(logits: Tensor, label: Tensor, alpha: float, beta: float) -> Tensor:
    losses = []
    for z, t in zip(logits, label, strict=True):
        p = torch.sigmoid(z)
        true, false, lost = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
        losses.append(1 - (true + 1) / (true + alpha * false + beta * lost + 1))
    return torch.stack(losses).mean()


@shown(
    "focal Tversky over classes: Abraham and Khan 2019",
    """
    p = softmax(logits[b, k, h, w], k)
    t[b, k, h, w] = k == label[b, h, w]
    hit = sum(p * t, b, h, w)
    index = (hit + 1) / (hit + alpha * sum((1 - p) * t, b, h, w) + beta * sum(p * (1 - t), b, h, w) + 1)
    sum((1 - index) ** gamma, k)
    """,
    logits=learned(2, 3, 4, 5),
    label=classes(3, 2, 4, 5),
    alpha=0.7,
    beta=0.3,
    gamma=0.75,
)
def focal_tversky(logits: Tensor, label: Tensor, alpha: float, beta: float, gamma: float) -> Tensor:
    p = F.softmax(logits, 1)
    total = torch.zeros((), dtype=logits.dtype)
    for k in range(logits.shape[1]):
        t, q = (label == k).double(), p[:, k]
        true = (q * t).sum()
        index = (true + 1) / (true + alpha * ((1 - q) * t).sum() + beta * (q * (1 - t)).sum() + 1)
        total = total + (1 - index) ** gamma
    return total


@shown(
    "soft Jaccard (IoU): Rahman and Wang 2016; segmentation_models.pytorch JaccardLoss",
    """
    p = sigmoid(logits[b, h, w])
    t = label[b, h, w]
    both = sum(p * t, h, w)
    1 - mean((both + 1) / (sum(p + t, h, w) - both + 1), b)
    """,
    logits=learned(3, 4, 5),
    label=classes(2, 3, 4, 5),
)
def jaccard(logits: Tensor, label: Tensor) -> Tensor:
    p, t = torch.sigmoid(logits).flatten(1), label.flatten(1)
    both = (p * t).sum(1)
    return 1 - ((both + 1) / (p.sum(1) + t.sum(1) - both + 1)).mean()


@shown(
    "pixel cross-entropy with an ignored label: torch.nn.CrossEntropyLoss(ignore_index=255)",
    """
    logp = log_softmax(logits[b, k, h, w], k)
    t[b, k, h, w] = k == label[b, h, w]
    -sum(logp * t) / sum(label[b, h, w] != 255)
    """,
    logits=learned(2, 3, 4, 5),
    label=lambda generator: torch.where(normal(2, 4, 5)(generator) > 1, 255, classes(3, 2, 4, 5)(generator)),
)
def pixel_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    return F.cross_entropy(logits, label, ignore_index=255)


@shown(
    "structural similarity with one window per image and channel: Wang et al. 2004, eq. 13",
    """
    mx = mean(x[b, c, h, w], h, w)
    my = mean(y[b, c, h, w], h, w)
    cov = mean((x[b, c, h, w] - mx) * (y[b, c, h, w] - my), h, w)
    light = (2 * mx * my + c1) / (mx ** 2 + my ** 2 + c1)
    shape = (2 * cov + c2) / (var(x[b, c, h, w], h, w) + var(y[b, c, h, w], h, w) + c2)
    1 - mean(light * shape, b, c)
    """,
    x=uniform(0, 1, 2, 3, 4, 5, learn=True),
    y=uniform(0, 1, 2, 3, 4, 5),
    c1=1e-4,
    c2=9e-4,
)
def ssim_global(x: Tensor, y: Tensor, c1: float, c2: float) -> Tensor:
    total = torch.zeros((), dtype=x.dtype)
    for p, q in zip(x.flatten(0, 1).flatten(1), y.flatten(0, 1).flatten(1), strict=True):
        covariance = ((p - p.mean()) * (q - q.mean())).mean()
        top = (2 * p.mean() * q.mean() + c1) * (2 * covariance + c2)
        total = total + top / ((p.mean() ** 2 + q.mean() ** 2 + c1) * (p.var(correction=0) + q.var(correction=0) + c2))
    return 1 - total / (x.shape[0] * x.shape[1])


@shown(
    "style loss from Gram matrices: Gatys, Ecker and Bethge 2016",
    """
    painted[b, c, e] = sum(x[b, c, h, w] * x[b, e, h, w], h, w) / (size(c) * size(h) * size(w))
    wanted[b, c, e] = sum(style[b, c, h, w] * style[b, e, h, w], h, w) / (size(c) * size(h) * size(w))
    mean((painted - wanted) ** 2)
    """,
    x=learned(2, 3, 4, 5),
    style=normal(2, 3, 4, 5),
)
def gram_style(x: Tensor, style: Tensor) -> Tensor:
    def gram(image: Tensor) -> Tensor:
        flat = image.flatten(2)
        return torch.bmm(flat, flat.transpose(1, 2)) / flat[0].numel()

    return F.mse_loss(gram(x), gram(style))


@shown(
    "attention transfer between feature maps: Zagoruyko and Komodakis 2017",
    """
    s[b, h, w] = mean(student[b, c, h, w] ** 2, c)
    t[b, h, w] = mean(teacher[b, e, h, w] ** 2, e)
    mean((s / sqrt(sum(s ** 2, h, w)) - t / sqrt(sum(t ** 2, h, w))) ** 2, b, h, w)
    """,
    student=learned(2, 3, 4, 5),
    teacher=normal(2, 6, 4, 5),
)
def attention_transfer(student: Tensor, teacher: Tensor) -> Tensor:
    s = F.normalize(student.pow(2).mean(1).flatten(1))
    t = F.normalize(teacher.pow(2).mean(1).flatten(1))
    return (s - t).pow(2).mean()


@shown(
    "discriminative instance embedding: De Brabandere et al. 2017",
    """
    count = sum(member[k, p], p)
    centre[k, d] = sum(member[k, p] * x[p, d], p) / count
    gap[k, p, d] = centre[k, d] - x[p, d]
    pull = mean(sum(member[k, p] * relu(norm(gap, d) - near) ** 2, p) / count, k)
    apart[k, m] = relu(2 * far - distance(centre[k, d], centre[m, d], d)) ** 2
    pull + mean(apart, k, m, where=k != m)
    """,
    member=lambda generator: torch.tensor([0, 1, 2, 0, 1, 2, 2, 0]) == torch.arange(3)[:, None],
    x=learned(8, 4),
    near=0.3,
    far=1.5,
)
def instance_embedding(member: Tensor, x: Tensor, near: float, far: float) -> Tensor:
    count = len(member)
    groups = [x[chosen] for chosen in member]
    centres = torch.stack([group.mean(0) for group in groups])
    pull = torch.zeros((), dtype=x.dtype)
    for group, centre in zip(groups, centres, strict=True):
        pull = pull + (torch.relu((group - centre).norm(dim=1) - near) ** 2).mean() / count
    push = torch.zeros((), dtype=x.dtype)
    for i in range(count):
        for j in range(count):
            if i != j:
                push = push + torch.relu(2 * far - (centres[i] - centres[j]).norm()) ** 2
    return pull + push / (count * (count - 1))
