"""M11: lighting decides which enhancement runs, held against a loop over images and the physics of a camera."""

from __future__ import annotations

import copy
import socket

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor, nn

from examples import m11_adaptive_image_processing as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_gradients, assert_same_weights, step

PHOTOS = (*example.TEACHING, *example.JUDGING)


def plain(net: nn.Module, image: Tensor) -> Tensor:
    """Image by image, as one would write it."""
    rows = []
    for one in image.split(1):
        if one.mean() > 0.1:
            sharpen = net.light.then
            rows.append(one + sharpen.detail(one - sharpen.near(one)))
        else:
            smooth = net.light.otherwise
            rows.append(smooth.far(one) + smooth.detail(smooth.near(one) - smooth.far(one)))
    return torch.cat(rows)


def plain_loss(image: Tensor, scene: Tensor) -> Tensor:
    errors = [(one - other).square().mean() for one, other in zip(image, scene, strict=True)]
    return sum((error + 1e-9).log() for error in errors) / len(errors)


def awake(net: nn.Module) -> nn.Module:
    """In float64, with weights where training begins from zeros."""
    for weight in net.double().parameters():
        nn.init.normal_(weight, std=0.2)
    return net


def batch(size: int = 8) -> tuple[Tensor, Tensor]:
    """Scenes of 12×12, every second one dim, and what the camera makes of them."""
    light = torch.tensor([0.02, 0.9], dtype=torch.float64).repeat(size // 2)[:, None, None, None]
    scene = (0.5 + 0.5 * torch.rand(size, 3, 12, 12, dtype=torch.float64)) * light
    return scene, example.sensor(example.lens(scene))


def test_photographs_ship_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a photograph was asked for over the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert not set(example.TEACHING) & set(example.JUDGING)
    sizes = {name: getattr(data, name)().shape for name in PHOTOS}
    cut = {name: example.patches(name) for name in PHOTOS}
    assert {name: len(patch) for name, patch in cut.items()} == {
        name: (height // 32) * (width // 32) for name, (height, width, *_) in sizes.items()
    }
    assert sum(map(len, cut.values())) == 4143
    cat = data.cat()[32:64, 64:96].transpose(2, 0, 1) / 255
    np.testing.assert_allclose(cut["cat"][451 // 32 + 2].numpy(), cat, rtol=1e-6)


def test_the_lens_blurs_with_a_gaussian() -> None:
    scene = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    wanted = gaussian_filter(scene.numpy(), example.BLUR, axes=(2, 3), mode="mirror", radius=3)
    np.testing.assert_allclose(example.lens(scene).numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("light", [0.002, 0.01, 0.8])
def test_the_sensor_counts_photons(light: float) -> None:
    read = example.sensor(torch.full((200_000,), light, dtype=torch.float64))
    photons = light * 60_000  # a Poisson count has its mean as variance
    assert float(read.mean()) == pytest.approx(light, rel=0.01)
    assert float((read * 60_000).var()) == pytest.approx(photons + 40**2, rel=0.02)


def test_light_darkens_half_of_the_scenes() -> None:
    patch = torch.rand(4000, 3, 2, 2)
    scene, white = example.lit(patch)
    torch.testing.assert_close(scene, patch * white)
    dim = white.flatten() < 0.1
    assert 0.45 < float(dim.float().mean()) < 0.55
    assert 0.004 <= float(white.flatten()[dim].min()) < float(white.flatten()[dim].max()) <= 0.015
    assert 0.7 <= float(white.flatten()[~dim].min()) < float(white.flatten()[~dim].max()) <= 1.0


def test_quality_is_what_scikit_image_measures() -> None:
    scene, image = batch()
    white = torch.linspace(0.1, 1, 8, dtype=torch.float64)[:, None, None, None]
    wanted = [
        peak_signal_noise_ratio(one.numpy(), other.numpy(), data_range=float(peak))
        for one, other, peak in zip(scene, image, white, strict=True)
    ]
    np.testing.assert_allclose(example.psnr(image, scene, white).numpy(), wanted, rtol=1e-10)


def test_values_and_gradients() -> None:
    net, (scene, image) = awake(example.network()), batch()
    twin = copy.deepcopy(net)
    got, wanted = net(image), plain(twin, image)
    assert_close(got, wanted)
    total, _ = example.objective()(got, scene)
    assert_close(total, plain_loss(wanted, scene))
    total.backward()
    plain_loss(wanted, scene).backward()
    assert_same_gradients(net.parameters(), twin.parameters())
    assert [count.samples for count in net.light.paths.values()] == [4, 4]


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_after_training(kind: str) -> None:
    net, loss = awake(example.network()), example.objective()
    twin = copy.deepcopy(net)
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    for place in range(6):
        scene, image = batch()
        only = slice(None) if place % 2 else slice(0, None, 2)  # all, or the dim ones alone
        step(ours, loss(net(image[only]), scene[only])[0] / 50)
        step(theirs, plain_loss(plain(twin, image[only]), scene[only]) / 50)
    assert_same_weights(net.parameters(), twin.parameters())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_dim_images_skip_the_sharpener_and_it_stays_as_it_is(kind: str) -> None:
    net, (scene, image) = awake(example.network()), batch()
    optimizer, seen = OPTIMIZERS[kind](net.parameters()), list[Tensor]()
    net.light.then.detail.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    step(optimizer, example.objective()(net(image), scene)[0])  # momentum and moments are there
    assert_close(seen[0], (image - net.light.then.near(image))[1::2])
    before = copy.deepcopy(net.light.state_dict())
    step(optimizer, example.objective()(net(image[::2]), scene[::2])[0])
    assert len(seen) == 1
    for name, weight in net.light.named_parameters():
        assert (weight.grad is None) == name.startswith("then")
        assert torch.equal(weight, before[name]) == name.startswith("then")


def test_operations_are_those_of_the_samples_taken() -> None:
    net, (_, image) = awake(example.network()), batch()
    layer = 2 * 9 * 3 * 8 * 12 * 12  # a multiplication and an addition for each pair of channels, place and pixel
    assert example.operations(net, image) == 8 * 2 * layer
    assert example.operations(net, image[1::2]) == 4 * 2 * layer


def test_a_short_run_tells(capsys: pytest.CaptureFixture[str]) -> None:
    example.main(steps=12)
    told = capsys.readouterr().out
    assert "the sharpener ran 0 times" in told
    assert "has no gradient, and its weights are the same to the bit" in told
    assert "Of 642 patches" in told
    assert "That took 568 million operations; running both for all and choosing takes 1,136." in told


@pytest.mark.long
def test_going_by_the_light_beats_both_constants(capsys: pytest.CaptureFixture[str]) -> None:
    example.main(steps=150)
    told = capsys.readouterr().out
    table = {line[:22].strip(): list(map(float, line[22:].split())) for line in told.splitlines()[3:7]}
    raw, always, never, own = (table[name] for name in ("as the camera took it", *example.WAYS))
    assert own[2] > max(raw[2], always[2], never[2]) + 2  # decibels
    assert own[0] > always[0] + 3
    assert own[1] > never[1] + 3
    spared = float(told.split("was spared: ")[1].split(";")[0])
    assert spared < raw[0]  # sharpening amplifies the noise of dim images
