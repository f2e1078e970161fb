"""Generative models and distributions: adversaries, bounds, diffusion, distances between samples."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from tests.field.entry import classes, learned, normal, shown, uniform


@shown(
    "beta-VAE bound: Higgins et al. 2017; Kingma and Welling 2014, appendix B",
    """
    z = logits[b, c, h, w]
    recon = mean(sum(softplus(z) - z * x[b, c, h, w], c, h, w), b)
    kl = -0.5 * mean(sum(1 + logvar[b, l] - mu[b, l] ** 2 - exp(logvar[b, l]), l), b)
    recon + beta * kl
    """,
    logits=learned(2, 3, 4, 5),
    x=uniform(0, 1, 2, 3, 4, 5),
    logvar=learned(2, 6),
    mu=learned(2, 6),
    beta=4.0,
)
def beta_vae(logits: Tensor, x: Tensor, logvar: Tensor, mu: Tensor, beta: float) -> Tensor:
    recon = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    kl = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).sum(1).mean()
    return recon + beta * kl


@shown(
    "free bits: Kingma et al. 2016",
    """
    kl = 0.5 * (mu[b, l] ** 2 + exp(logvar[b, l]) - 1 - logvar[b, l])
    sum(max(mean(kl, b), floor), l)
    """,
    mu=learned(5, 4),
    logvar=learned(5, 4),
    floor=0.5,
)
def free_bits(mu: Tensor, logvar: Tensor, floor: float) -> Tensor:
    kl = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0))
    return kl.mean(0).clamp(min=floor).sum()


@shown(
    "vector quantisation: van den Oord et al. 2017 (VQ-VAE)",
    """
    code = book[id[b, p], d]
    mean((stop(z[b, p, d]) - code) ** 2) + beta * mean((z[b, p, d] - stop(code)) ** 2)
    """,
    book=learned(5, 4),
    id=classes(5, 2, 3),
    z=learned(2, 3, 4),
    beta=0.25,
)
def vq_vae(book: Tensor, id: Tensor, z: Tensor, beta: float) -> Tensor:
    code = F.embedding(id, book)
    return F.mse_loss(code, z.detach()) + beta * F.mse_loss(z, code.detach())


@shown(
    "Wasserstein critic with gradient penalty: Gulrajani et al. 2017",
    "mean(fake[i]) - mean(real[j]) + lam * mean((norm(slope[j, d], d) - 1) ** 2)",
    fake=learned(5),
    real=learned(6),
    slope=learned(6, 3),
    lam=10.0,
)
def wgan_critic(fake: Tensor, real: Tensor, slope: Tensor, lam: float) -> Tensor:
    return fake.mean() - real.mean() + lam * ((slope.norm(2, dim=1) - 1) ** 2).mean()


@shown(
    "least-squares discriminator: Mao et al. 2017",
    "mean((real - 1) ** 2) / 2 + mean(fake ** 2) / 2",
    real=learned(5, 1),
    fake=learned(6, 1),
)
def lsgan(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * (F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake)))


@shown(
    "hinge discriminator: Lim and Ye 2017; Miyato et al. 2018",
    "mean(relu(1 - real)) + mean(relu(1 + fake))",
    real=learned(5),
    fake=learned(6),
)
def hinge_gan(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()


@shown(
    "relativistic average discriminator: Jolicoeur-Martineau 2019",
    """
    above = real[i] - mean(fake[j])
    below = fake[j] - mean(real[i])
    mean(softplus(-above)) + mean(softplus(below))
    """,
    real=learned(5),
    fake=learned(6),
)
def relativistic_gan(real: Tensor, fake: Tensor) -> Tensor:
    first = F.binary_cross_entropy_with_logits(real - fake.mean(), torch.ones_like(real))
    return first + F.binary_cross_entropy_with_logits(fake - real.mean(), torch.zeros_like(fake))


@shown(
    "diffusion with min-SNR weights: Hang et al. 2023; Ho et al. 2020 (DDPM)",
    """
    error = mean((noise[b, c, h, w] - pred[b, c, h, w]) ** 2, c, h, w)
    snr = share[t[b]] / (1 - share[t[b]])
    mean(min(snr, cap) / snr * error, b)
    """,
    noise=normal(2, 3, 4, 5),
    pred=learned(2, 3, 4, 5),
    share=uniform(0.05, 0.98, 9),
    t=classes(9, 2),
    cap=5.0,
)
def min_snr_diffusion(noise: Tensor, pred: Tensor, share: Tensor, t: Tensor, cap: float) -> Tensor:
    snr = share[t] / (1 - share[t])
    weight = torch.stack([snr, cap * torch.ones_like(snr)], dim=1).min(dim=1).values / snr
    loss = F.mse_loss(pred, noise, reduction="none").mean(dim=[1, 2, 3])
    return (weight * loss).mean()


@shown(
    "the target of v-prediction: Salimans and Ho 2022",
    """
    a = sqrt(share[t[b]])
    s = sqrt(1 - share[t[b]])
    v = a * noise[b, d] - s * x[b, d]
    mean((pred[b, d] - v) ** 2)
    """,
    share=uniform(0.05, 0.98, 9),
    t=classes(9, 4),
    noise=normal(4, 3),
    x=normal(4, 3),
    pred=learned(4, 3),
)
def v_prediction(share: Tensor, t: Tensor, noise: Tensor, x: Tensor, pred: Tensor) -> Tensor:
    alpha = share.gather(0, t).reshape(-1, 1)
    return F.mse_loss(pred, alpha.sqrt() * noise - (1 - alpha).sqrt() * x)


@shown(
    "flow matching along straight lines: Lipman et al. 2023; Liu, Gong and Liu 2023",
    "mean(sum((velocity[b, d] - (data[b, d] - noise[b, d])) ** 2, d), b)",
    velocity=learned(5, 3),
    data=normal(5, 3),
    noise=normal(5, 3),
)
def flow_matching(velocity: Tensor, data: Tensor, noise: Tensor) -> Tensor:
    return (velocity - (data - noise)).square().sum(-1).mean()


@shown(
    "normalising flow likelihood with a standard normal base: Rezende and Mohamed 2015",
    "mean(sum(z[b, d] ** 2 / 2, d) + size(d) * log(2 * pi) / 2 - logdet[b], b)",
    z=learned(5, 3),
    logdet=learned(5),
    pi=math.pi,
)
def flow_likelihood(z: Tensor, logdet: Tensor, pi: float) -> Tensor:
    return -(Normal(0.0, 1.0).log_prob(z).sum(1) + logdet).mean()


@shown(
    "denoising score matching over noise levels: Song and Ermon 2019",
    "mean(sum((sigma[k] * score[b, k, d] + noise[b, k, d]) ** 2, d), b, k) / 2",
    sigma=uniform(0.1, 1, 4),
    score=learned(5, 4, 3),
    noise=normal(5, 4, 3),
)
def score_matching(sigma: Tensor, score: Tensor, noise: Tensor) -> Tensor:
    losses = [0.5 * (s * score[:, k] + noise[:, k]).pow(2).sum(1).mean() for k, s in enumerate(sigma)]
    return torch.stack(losses).mean()


@shown(
    "maximum mean discrepancy, unbiased, Gaussian kernel: Gretton et al. 2012",
    """
    xx[i, j] = exp(-distance(x[i, d], x[j, d], d) ** 2 / (2 * width ** 2))
    yy[m, n] = exp(-distance(y[m, d], y[n, d], d) ** 2 / (2 * width ** 2))
    xy[i, m] = exp(-distance(x[i, d], y[m, d], d) ** 2 / (2 * width ** 2))
    mean(xx, i, j, where=i != j) + mean(yy, m, n, where=m != n) - 2 * mean(xy, i, m)
    """,
    x=learned(5, 3),
    y=learned(6, 3),
    width=1.3,
)
def mmd(x: Tensor, y: Tensor, width: float) -> Tensor:
    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-(a[:, None] - b[None]).pow(2).sum(-1) / (2 * width**2))

    n, m = len(x), len(y)
    within_x = (kernel(x, x).sum() - n) / (n * (n - 1))
    within_y = (kernel(y, y).sum() - m) / (m * (m - 1))
    return within_x + within_y - 2 * kernel(x, y).mean()


@shown(
    "energy distance: Szekely and Rizzo 2013",
    """
    xy = mean(distance(x[i, d], y[m, d], d), i, m)
    xx = mean(distance(x[i, d], x[j, d], d), i, j, where=i != j)
    yy = mean(distance(y[m, d], y[n, d], d), m, n, where=m != n)
    2 * xy - xx - yy
    """,
    x=learned(5, 3),
    y=learned(6, 3),
)
def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    return 2 * torch.cdist(x, y).mean() - torch.pdist(x).mean() - torch.pdist(y).mean()


@shown(
    "correlation alignment of two domains: Sun and Saenko 2016 (Deep CORAL)",
    """
    a[i, d] = x[i, d] - mean(x[i, d], i)
    b[j, d] = y[j, d] - mean(y[j, d], j)
    source[d, e] = sum(a[i, d] * a[i, e], i) / (size(i) - 1)
    target[d, e] = sum(b[j, d] * b[j, e], j) / (size(j) - 1)
    sum((source - target) ** 2, d, e) / (4 * size(d) ** 2)
    """,
    x=learned(5, 3),
    y=learned(6, 3),
)
def coral(x: Tensor, y: Tensor) -> Tensor:
    return (torch.cov(x.T) - torch.cov(y.T)).pow(2).sum() / (4 * x.shape[1] ** 2)


@shown(
    "central moment discrepancy up to order three: Zellinger et al. 2017",
    """
    a[i, d] = x[i, d] - mean(x[i, d], i)
    b[j, d] = y[j, d] - mean(y[j, d], j)
    first = norm(mean(x[i, d], i) - mean(y[j, d], j), d)
    second = norm(mean(a ** 2, i) - mean(b ** 2, j), d)
    third = norm(mean(a ** 3, i) - mean(b ** 3, j), d)
    first + second + third
    """,
    x=learned(5, 3),
    y=learned(6, 3),
)
def central_moments(x: Tensor, y: Tensor) -> Tensor:
    total = (x.mean(0) - y.mean(0)).norm()
    for order in (2, 3):
        total = total + ((x - x.mean(0)).pow(order).mean(0) - (y - y.mean(0)).pow(order).mean(0)).norm()
    return total


@shown(
    "sum of correlations between two views, a diagonal CCA: Andrew et al. 2013, relaxed",
    """
    a[i, d] = x[i, d] - mean(x[i, d], i)
    b[i, d] = y[i, d] - mean(y[i, d], i)
    -sum(sum(a * b, i) / sqrt(sum(a ** 2, i) * sum(b ** 2, i) + eps), d)
    """,
    x=learned(6, 4),
    y=learned(6, 4),
    eps=1e-9,
)
def diagonal_cca(x: Tensor, y: Tensor, eps: float) -> Tensor:
    total = torch.zeros((), dtype=x.dtype)
    for d in range(x.shape[1]):
        a, b = x[:, d] - x[:, d].mean(), y[:, d] - y[:, d].mean()
        total = total - (a @ b) / torch.sqrt((a @ a) * (b @ b) + eps)
    return total


@shown(
    "soft orthogonality of a weight: Bansal, Chen and Wang 2018",
    """
    gram[o, p] = sum(weight[o, i] * weight[p, i], i)
    sum((gram - (o == p)) ** 2, o, p)
    """,
    weight=learned(3, 5),
)
def orthogonality(weight: Tensor) -> Tensor:
    return (weight @ weight.T - torch.eye(len(weight), dtype=weight.dtype)).norm(p="fro") ** 2


@shown(
    "clustering by a target distribution: Xie, Girshick and Farhadi 2016 (DEC)",
    """
    near[i, k] = 1 / (1 + distance(z[i, d], centre[k, d], d) ** 2)
    q = near / sum(near, k)
    sharp = stop(q ** 2 / sum(q, i))
    p = sharp / sum(sharp, k)
    mean(sum(p * log(p / q), k), i)
    """,
    z=learned(6, 4),
    centre=learned(3, 4),
)
def deep_clustering(z: Tensor, centre: Tensor) -> Tensor:
    q = 1.0 / (1.0 + (z.unsqueeze(1) - centre).pow(2).sum(2))
    q = q / q.sum(1, keepdim=True)
    weight = q.detach() ** 2 / q.detach().sum(0)
    p = (weight.t() / weight.sum(1)).t()
    return F.kl_div(q.log(), p, reduction="batchmean")
