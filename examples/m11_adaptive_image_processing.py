"""Adaptive image processing.

Each image's lighting decides which enhancement runs (dim images skip the one that would amplify noise).

A camera takes patches of photographs through a lens that blurs, some in bright light, some in dim. Its sensor counts
photons, which come at random, and adds noise of its own when it is read. In bright light the blur is what hurts, and
sharpening helps. In dim light the noise hurts, and sharpening would raise it: such patches skip it and are smoothed.

`mean(x[c, h, w]) > 0.1` asks each patch how bright it came out. Both ways are small convolutional networks, trained
together by one optimizer, and a patch pays only for its own. For comparison the same network is trained twice more, to
the same budget, with a constant in place of the condition. The photographs ship with scikit-image; those that judge are
not among those that teach, for patches of one photograph resemble each other.
"""

from __future__ import annotations

import argparse

import torch
from skimage import data
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import wye

TEACHING = ("astronaut", "coffee", "camera", "retina", "hubble_deep_field")
JUDGING = ("cat", "rocket", "immunohistochemistry")
SIZE = 32
DIM, BRIGHT = (0.004, 0.015), (0.7, 1.0)  # white in dim and in bright light, from and to
BLUR = 0.7  # the standard deviation of what the lens does to a point, in pixels
PHOTONS = 60_000  # what a pixel of value 1 counts
READ_NOISE = 40  # the standard deviation of what reading a pixel adds, in photons
BY_LIGHT = "mean(x[c, h, w]) > 0.1"
WAYS: dict[str, str | bool] = {"always sharpen": True, "never sharpen": False, "by its own light": BY_LIGHT}


def patches(name: str) -> Tensor:
    """A photograph cut into (N, 3, 32, 32), from 0 to 1; a grey one has three equal channels."""
    photo = torch.tensor(getattr(data, name)()).float() / 255
    photo = photo.permute(2, 0, 1) if photo.dim() == 3 else photo.expand(3, -1, -1)
    cut = photo.unfold(1, SIZE, SIZE).unfold(2, SIZE, SIZE)
    return cut.permute(1, 2, 0, 3, 4).reshape(-1, 3, SIZE, SIZE)


def lit(patch: Tensor) -> tuple[Tensor, Tensor]:
    """The patches in some light, dim or bright with even chances; and that light, the value of white (N, 1, 1, 1)."""
    bright = torch.rand(len(patch)) < 0.5
    low, high = (torch.where(bright, of_bright, of_dim) for of_dim, of_bright in zip(DIM, BRIGHT, strict=True))
    white = (low + (high - low) * torch.rand(len(patch)))[:, None, None, None]
    return patch * white, white


def lens(scene: Tensor) -> Tensor:
    """Blurs with a Gaussian."""
    bell = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / (2 * BLUR**2))
    kernel = (bell[:, None] * bell / bell.sum() ** 2).expand(3, 1, 7, 7).to(scene)
    return F.conv2d(F.pad(scene, (3, 3, 3, 3), mode="reflect"), kernel, groups=3)


def sensor(image: Tensor) -> Tensor:
    """Counts photons and reads them out: noise that grows with the light, and noise that does not."""
    return (torch.poisson(image * PHOTONS) + READ_NOISE * torch.randn_like(image)) / PHOTONS


def average(size: int) -> nn.AvgPool2d:
    return nn.AvgPool2d(size, stride=1, padding=size // 2, count_include_pad=False)


def detail(width: int = 8) -> nn.Sequential:
    """Two layers that decide how much of which detail to add; none to begin with."""
    layers = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(width, 3, 3, padding=1))
    nn.init.zeros_(layers[2].weight)
    nn.init.zeros_(layers[2].bias)
    return layers


def network(condition: str | bool = BY_LIGHT) -> wye.Chain:
    """Bright patches are sharpened, dim ones smoothed; with a constant for a condition, all go one way."""
    sharpen = wye.Join("x + detail(x - near(x))", detail=detail(), near=average(3))
    smooth = wye.Join("far(x) + detail(near(x) - far(x))", detail=detail(), near=average(5), far=average(7))
    return wye.Chain(light=wye.When(condition, sharpen, otherwise=smooth))


def objective() -> wye.Objective:
    """The mean over patches of the logarithm of their squared error: what PSNR measures, to be made small."""
    return wye.Objective("mean(log(mean((x[b, c, h, w] - scene[b, c, h, w]) ** 2, c, h, w) + 1e-9))")


def psnr(image: Tensor, scene: Tensor, white: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of each patch in decibels; the peak is what white is in its light."""
    return -10 * ((image - scene) / white).square().mean((1, 2, 3)).log10()


def train(condition: str | bool, steps: int, seed: int) -> wye.Chain:
    """A network that went by one condition for so many steps; photographs teach equally often, large or small."""
    torch.manual_seed(seed)  # the same first weights and the same patches in the same light, whatever the condition
    net, loss = network(condition), objective()
    photos = [patches(name) for name in TEACHING]
    optimizer = torch.optim.Adam(net.parameters())
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.006, total_steps=steps)
    for _ in range(steps):
        scene, _ = lit(torch.cat([photo[torch.randint(len(photo), (7,))] for photo in photos]))
        total, _ = loss(net(sensor(lens(scene))), scene)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        rate.step()
    return net


@torch.no_grad()
def judge(net: nn.Module, image: Tensor, scene: Tensor, white: Tensor) -> tuple[float, float, float]:
    """The mean PSNR of the dim patches, the bright ones, and all."""
    quality, dim = psnr(net(image), scene, white), white.flatten() < BRIGHT[0]
    return float(quality[dim].mean()), float(quality[~dim].mean()), float(quality.mean())


@torch.no_grad()
def operations(net: nn.Module, image: Tensor) -> int:
    """Multiplications and additions of all convolutions that truly ran, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        net(image)
    return counter.get_total_flops()


def show_costs(net: wye.Chain, image: Tensor) -> None:
    """How many patches went each way, and what that cost beside running both ways for all of them."""
    before = {way: count.samples for way, count in net.light.paths.items()}
    own = operations(net, image)
    ran = {way: count.samples - before[way] for way, count in net.light.paths.items()}
    both = operations(net.light.then, image) + operations(net.light.otherwise, image)
    print(f"\nOf {len(image)} patches {ran['then']} were sharpened and {ran['otherwise']} smoothed.")
    print(f"That took {own / 1e6:,.0f} million operations; running both for all and choosing takes {both / 1e6:,.0f}.")


def show_skipped(net: wye.Chain, dim: Tensor) -> None:
    """A training step on dim patches alone leaves the sharpener as it is."""
    sharpener, count = net.light.then, net.light.paths["then"]
    optimizer = torch.optim.AdamW(net.parameters())  # its decay moves whatever has a gradient, were it zero
    calls, before = count.calls, [weight.detach().clone() for weight in sharpener.parameters()]
    net.zero_grad()
    net(dim).square().mean().backward()
    optimizer.step()
    same = all(map(torch.equal, before, sharpener.parameters()))
    none = all(weight.grad is None for weight in sharpener.parameters())
    print(f"In a training step on the {len(dim)} dim ones alone the sharpener ran {count.calls - calls} times,")
    print(f"has {'no' if none else 'a'} gradient, and its weights {'are the same to the bit' if same else 'moved'}.")


def main(steps: int = 300, seed: int = 0) -> None:
    torch.set_num_threads(1)  # the images are small: one thread is as fast as two
    torch.manual_seed(seed)
    scene, white = lit(torch.cat([patches(name) for name in JUDGING]))
    image = sensor(lens(scene))

    print(f"PSNR in dB on {len(scene)} patches of photographs that taught no network ({', '.join(JUDGING)}):\n")
    print(f"{'':22}{'dim':>8}{'bright':>8}{'all':>8}")
    found = {"as the camera took it": judge(nn.Identity(), image, scene, white)}
    for way, condition in WAYS.items():
        net = train(condition, steps, seed)
        found[way] = judge(net, image, scene, white)
    for way, values in found.items():
        print(f"{way:22}" + "".join(f"{value:8.2f}" for value in values))

    spared = judge(net.light.then, image, scene, white)[0]
    came, smoothed = found["as the camera took it"][0], found["by its own light"][0]
    print(f"\nThe sharpener on the dim ones, which it was spared: {spared:.2f}; they came with {came:.2f},")
    print(f"and are smoothed to {smoothed:.2f}.")
    show_costs(net, image)
    show_skipped(net, image[white.flatten() < BRIGHT[0]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Each image's lighting decides which enhancement runs.")
    parser.add_argument("--steps", type=int, default=300, help="of training, for each of three networks")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    main(given.steps, given.seed)
