"""The contrastive losses as functions of Python, beside the others of the catalogue."""

from __future__ import annotations

from typing import Any

from .callable_losses import Losses


class Contrasts(Losses):
    """The named losses, with those that compare every row with every other.

    All logits of a contrastive loss are N×M numbers. They are computed tile by tile and forgotten, in the forward
    and its gradient alike: memory grows with the rows, not with their pairs. Few rows, second derivatives and captured
    graphs take the plain form, which writes all logits out; so do weights `target` that have a gradient.

    What all have in common:

    - Rows are divided by their norms, for cosines (`normalize=False` leaves them). A row of zeros stays one, and has
      no gradient.
    - `temperature` divides the products, at any scale: a number, or a tensor of one element, which learns.
    - `multiply="bfloat16"` rounds to bfloat16 what is multiplied. Sums are in float32 at least, also of values in 16
      bits and under autocast; the loss is returned in the dtype of the rows.
    - Nothing to compare is a loss of 0 with a gradient of 0.
    """

    def info_nce(
        self,
        query: Any,
        key: Any,
        temperature: Any,
        label: Any = None,
        key_label: Any = None,
        target: Any = None,
        normalize: bool = True,
        multiply: str | None = None,
        reduction: str = "mean",
    ) -> Any:
        """Each query is to choose its key among all keys (van den Oord et al. 2018, equation 4).

        With s_ij = query_i · key_j / temperature, query i has the loss logsumexp_j(s_ij) - Σ_j P_ij s_ij. P_ij is 1
        for j = i, the keys behind the last query belonging to nobody. With labels P_ij is 1 over the number of keys
        of the query's label, and queries without such a key are left out.

        Args:
            query: floats of shape (N, d).
            key: floats of shape (M, d); without labels and target M is N or more.
            temperature: a number or a tensor of one element, above 0.
            label: whole numbers, one for each query.
            key_label: whole numbers, one for each key.
            target: P itself, floats of shape (N, M); with rows that do not sum to 1, m_i = Σ_j P_ij multiplies the
                logsumexp.
            normalize: whether rows are divided by their norms.
            multiply: "bfloat16" rounds what is multiplied.
            reduction: "mean" over the queries that are not left out, "sum", or "none": one loss for each query.

        Raises:
            ShapeError: the shapes do not fit, or labels are no whole numbers.
            FormulaError: labels of one side alone, or both labels and a target.

        Example:
            >>> import numpy, wye
            >>> query, key = numpy.eye(2), numpy.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
            >>> wye.losses.info_nce(query, key, 0.5, reduction="none").round(4)
            array([0.1429, 0.2395])
        """
        values = {"query": query, "key": key, "temperature": temperature}
        values |= {"label": label, "key_label": key_label, "target": target}
        return self._value("info_nce", values, reduction=reduction, normalize=normalize, multiply=multiply)

    def clip_loss(
        self,
        a: Any,
        b: Any,
        temperature: Any,
        label: Any = None,
        target: Any = None,
        normalize: bool = True,
        multiply: str | None = None,
        reduction: str = "mean",
    ) -> Any:
        """Each row of a is to choose its row of b, and the other way round (Radford et al. 2021, figure 3).

        ½ (info_nce(a, b) + info_nce(b, a)), both from one product.

        Args:
            a: floats of shape (N, d).
            b: floats of that shape; row i belongs to row i of a.
            temperature: a number or a tensor of one element, above 0.
            label: whole numbers, one for each pair: all rows of one label belong together, with equal weights.
            target: P itself, floats of shape (N, N): how much row i of a belongs to row j of b. Its columns serve
                the other direction as they are.
            normalize: whether rows are divided by their norms.
            multiply: "bfloat16" rounds what is multiplied.
            reduction: "mean" over the pairs, "sum", or "none": the mean of both directions for each pair.

        Raises:
            ShapeError: the shapes do not fit, or labels are no whole numbers.
            FormulaError: both labels and a target.

        Example:
            >>> import numpy, wye
            >>> image, text = numpy.eye(2), numpy.array([[2.0, 0.0], [1.0, 1.0]])
            >>> round(float(wye.losses.clip_loss(image, text, 0.5)), 4)
            0.3701
        """
        values = {"a": a, "b": b, "temperature": temperature, "label": label, "target": target}
        return self._value("clip_loss", values, reduction=reduction, normalize=normalize, multiply=multiply)

    def siglip_loss(
        self,
        a: Any,
        b: Any,
        temperature: Any,
        bias: Any,
        label: Any = None,
        target: Any = None,
        normalize: bool = True,
        multiply: str | None = None,
        reduction: str = "mean",
    ) -> Any:
        """Each pair of rows is to be told right or wrong by itself (Zhai et al. 2023, section 3.2).

        With s_ij = a_i · b_j / temperature + bias, row i has the loss Σ_j (softplus(s_ij) - P_ij s_ij), which is
        -Σ_j log σ(± s_ij). P_ij is 1 for j = i, or for rows of one label.

        Args:
            a: floats of shape (N, d).
            b: floats of that shape; row i belongs to row i of a.
            temperature: a number or a tensor of one element, above 0; 0.1 is where the paper starts.
            bias: a number or a tensor of one element; -10 is where the paper starts.
            label: whole numbers, one for each pair: all rows of one label belong together.
            target: P itself, floats of shape (N, N) from 0 to 1.
            normalize: whether rows are divided by their norms.
            multiply: "bfloat16" rounds what is multiplied.
            reduction: "mean" over the N rows of a, "sum", or "none": one loss for each row of a.

        Raises:
            ShapeError: the shapes do not fit, or labels are no whole numbers.
            FormulaError: both labels and a target.

        Example:
            >>> import numpy, wye
            >>> round(float(wye.losses.siglip_loss(numpy.eye(2), numpy.eye(2), 0.1, -10.0)), 4)
            0.6932
        """
        values = {"a": a, "b": b, "temperature": temperature, "bias": bias, "label": label, "target": target}
        return self._value("siglip_loss", values, reduction=reduction, normalize=normalize, multiply=multiply)

    def nt_xent(
        self,
        a: Any,
        b: Any,
        temperature: Any,
        normalize: bool = True,
        multiply: str | None = None,
        reduction: str = "mean",
    ) -> Any:
        """Each view of a sample is to choose the other one among all other views (Chen et al. 2020, equation 1).

        Of the 2N rows of both, row i has the loss logsumexp_{j≠i}(s_ij) - s_ip, p being the other view of its sample.
        Views in one tensor, in whatever order, are `sup_con` with the number of the sample as the label.

        Args:
            a: floats of shape (N, d), one view of each sample.
            b: floats of that shape, the other view.
            temperature: a number or a tensor of one element, above 0.
            normalize: whether rows are divided by their norms.
            multiply: "bfloat16" rounds what is multiplied.
            reduction: "mean" over the samples, "sum", or "none": the mean of both views for each sample.

        Raises:
            ShapeError: the shapes do not fit.

        Example:
            >>> import numpy, wye
            >>> first, second = numpy.eye(2), numpy.array([[1.0, 0.0], [1.0, 1.0]])
            >>> wye.losses.nt_xent(first, second, 0.5, reduction="none").round(4)
            array([0.5259, 0.7474])
        """
        values = {"a": a, "b": b, "temperature": temperature}
        return self._value("nt_xent", values, reduction=reduction, normalize=normalize, multiply=multiply)

    def sup_con(
        self,
        x: Any,
        label: Any,
        temperature: Any,
        normalize: bool = True,
        multiply: str | None = None,
        reduction: str = "mean",
    ) -> Any:
        """Each row is to choose those of its label among all others (Khosla et al. 2020, equation 2, L_out).

        Row i has the loss -1/|P(i)| Σ_{p ∈ P(i)} log(exp(s_ip) / Σ_{j≠i} exp(s_ij)), P(i) being the other rows of its
        label. Rows that have no other are left out; they remain among those to choose from.

        Args:
            x: floats of shape (N, d), all views of all samples.
            label: whole numbers, one for each row.
            temperature: a number or a tensor of one element, above 0.
            normalize: whether rows are divided by their norms.
            multiply: "bfloat16" rounds what is multiplied.
            reduction: "mean" over the rows that are not left out, "sum", or "none": one loss for each row, 0 where it
                is left out.

        Raises:
            ShapeError: the shapes do not fit, or labels are no whole numbers.

        Example:
            >>> import numpy, wye
            >>> x, label = numpy.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), numpy.array([0, 0, 1])
            >>> wye.losses.sup_con(x, label, 0.5, reduction="none").round(4)
            array([0.2176, 0.6931, 0.    ])
        """
        values = {"x": x, "label": label, "temperature": temperature}
        return self._value("sup_con", values, reduction=reduction, normalize=normalize, multiply=multiply)
