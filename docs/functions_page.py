"""Writes `functions.md` from the registry of functions: `python docs/functions_page.py`."""

from __future__ import annotations

from pathlib import Path

from wye.formula.functions import FUNCTIONS
from wye.formula.losses import CATALOGUE

KINDS = {
    "elementwise": "Elementwise: several values meet by name",
    "reduction": "Reductions: over the named axes, over `axis=` of undeclared values, or over everything",
    "along": "Along one axis, which stays: the named one, or the last",
    "pair": "Of two values, along one axis, which goes",
    "structure": "Structure: of undeclared values",
    "random": "Dice: in conditions and times only",
    "loss": "Losses: of equal shapes where undeclared, by name where declared",
}


def page() -> str:
    """The whole page."""
    blocks = ["# Functions\n\nWritten from the registry by `python docs/functions_page.py`."]
    for kind, title in KINDS.items():
        rows = [
            f"| `{function.signature}` | {function.mathematics} |".replace("|x|", r"\|x\|")
            for function in FUNCTIONS.values()
            if function.kind == kind
        ]
        blocks.append("\n".join([f"## {title}\n", "| function | mathematics |", "|---|---|", *rows]))
    formulas = "\n\n".join(
        f"`{name}`, by default:\n\n```\n{texts['mean'].strip()}\n```" for name, texts in CATALOGUE.items()
    )
    return "\n\n".join([*blocks, f"## The catalogue as formulas\n\n{formulas}"]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("functions.md").write_text(page())
