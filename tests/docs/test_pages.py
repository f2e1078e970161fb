"""Every example of the pages runs and shows what it says; their links lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"flow.md": 20, "losses.md": 20, "watch.md": 10, "keep.md": 20, "balance.md": 10}
"""The pages with examples in order, and how many there are at least."""


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_run_one_after_the_other(page: str) -> None:
    torch.manual_seed(0)
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page, str(DOCS / page), 0)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples)
    assert result.attempted == len(examples.examples) > PAGES[page]
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", (DOCS / page).read_text())
    assert targets
    assert [target for target in targets if not DOCS.joinpath(target).exists()] == []
