"""Every formula of the gallery equals its plain-torch twin: in value, in gradient, and on NumPy arrays."""

from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import wye
from tests.field.entry import Value, as_tuple
from tests.field.gallery import GALLERY, Entry

CLOSE = 1e-10  # relative and absolute, in float64

every_entry = pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry.name)


def learned_names(inputs: dict[str, Value]) -> list[str]:
    return [name for name, value in inputs.items() if isinstance(value, Tensor) and value.requires_grad]


def gradients(result: Tensor | tuple[Tensor, ...], inputs: dict[str, Value]) -> dict[str, Tensor]:
    """The gradient of every learned input, from a fixed slope on each element of the result."""
    outputs = as_tuple(result)
    slopes = [torch.linspace(0.5, 1.5, out.numel(), dtype=out.dtype).reshape(out.shape) for out in outputs]
    names = learned_names(inputs)
    found = torch.autograd.grad(outputs, [cast(Tensor, inputs[name]) for name in names], slopes)
    return dict(zip(names, found, strict=True))


def test_the_gallery_is_large_and_its_names_are_unique() -> None:
    assert len(GALLERY) >= 48
    assert len({entry.name for entry in GALLERY}) == len(GALLERY)
    assert len({entry.text for entry in GALLERY}) == len(GALLERY)


@every_entry
def test_the_plain_function_depends_on_what_it_reads(entry: Entry) -> None:
    inputs = entry.inputs()
    result = entry.plain(**inputs)
    assert learned_names(inputs)
    for out in as_tuple(result):
        assert out.dtype == torch.float64
        assert out.isfinite().all()
    for name, gradient in gradients(result, inputs).items():
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 1e-6, name


@every_entry
def test_the_formula_equals_the_plain_function(entry: Entry) -> None:
    inputs, again = entry.inputs(), entry.inputs()
    result, expected = wye.evaluate(entry.text, **inputs), entry.plain(**again)
    for out, wanted in zip(as_tuple(result), as_tuple(expected), strict=True):
        assert out.shape == wanted.shape
        assert_close(out, wanted, rtol=CLOSE, atol=CLOSE)
    found, wanted_gradients = gradients(result, inputs), gradients(expected, again)
    for name, wanted in wanted_gradients.items():
        np.testing.assert_allclose(found[name], wanted, rtol=CLOSE, atol=CLOSE, err_msg=f"gradient of {name}")


@every_entry
def test_numpy_arrays_give_the_same_value(entry: Entry) -> None:
    inputs = entry.inputs()
    arrays = {name: value.detach().numpy() if isinstance(value, Tensor) else value for name, value in inputs.items()}
    result = wye.evaluate(entry.text, **arrays)
    for out, wanted in zip(as_tuple(result), as_tuple(entry.plain(**inputs)), strict=True):
        assert np.shape(out) == tuple(wanted.shape)
        np.testing.assert_allclose(np.asarray(out), wanted.detach().numpy(), rtol=CLOSE, atol=CLOSE)
