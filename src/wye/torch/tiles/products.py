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

    def rows(self, x: Tensor) -> Tensor:
        """x as it counts in products, in its own dtype."""
        return x.to(torch.bfloat16).to(x.dtype) if self.rounded else x

    def ready(self, x: Tensor) -> Tensor:
        """Such rows as they go into products, once for all of them."""
        return x.to(torch.bfloat16) if self._small(x) else x

    def _small(self, x: Tensor) -> bool:
        return self.rounded and x.is_cuda and x.dtype is not torch.float64

    def multiply(self, x: Tensor, y: Tensor, out: Tensor, unit: float = 1.0) -> Tensor:
        """x @ y.T times the unit, of rows made ready."""
        if x.dtype is out.dtype:
            return torch.addmm(out, x, y.mT, beta=0, alpha=unit, out=out)
        return torch.mul(torch.mm(x, y.mT, out_dtype=out.dtype), unit, out=out)

    def add(self, into: Tensor, x: Tensor, y: Tensor) -> None:
        """into += x @ y, of a tile and rows made ready, in either order."""
        if self._small(into):
            into += torch.mm(x.to(torch.bfloat16), y.to(torch.bfloat16), out_dtype=into.dtype)
        else:
            into.addmm_(self.rows(x), self.rows(y))
