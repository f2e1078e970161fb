"""Products of matrices with sums in float32 at least, whatever the rows are kept in."""

from __future__ import annotations

import torch
from torch import Tensor


class Products:
    """Products in the floats of the rows.

    Args:
        rounded: whether both sides are rounded to bfloat16 before they are multiplied. An accelerator multiplies
            those faster, and sums them up in float32; a processor is given the rounded numbers in float32.
    """

    def __init__(self, rounded: bool) -> None:
        self.rounded = rounded

    def ready(self, x: Tensor) -> Tensor:
        """x as it goes into products, once for all of them."""
        if not self.rounded:
            return x
        small = x.to(torch.bfloat16)
        return small if x.is_cuda else small.to(x.dtype)

    def multiply(self, x: Tensor, y: Tensor, out: Tensor) -> Tensor:
        """x @ y.T, of rows made ready."""
        if x.dtype is out.dtype:
            return torch.mm(x, y.mT, out=out)
        return out.copy_(torch.mm(x, y.mT, out_dtype=torch.float32))

    def add(self, into: Tensor, x: Tensor, y: Tensor) -> None:
        """into += x @ y, of a tile and rows made ready, in either order."""
        if not self.rounded:
            into.addmm_(x, y)
        elif x.is_cuda:
            into += torch.mm(x.to(torch.bfloat16), y.to(torch.bfloat16), out_dtype=torch.float32)
        else:
            into.addmm_(x.to(torch.bfloat16).to(x.dtype), y.to(torch.bfloat16).to(y.dtype))
