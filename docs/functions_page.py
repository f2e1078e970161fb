"""Writes `functions.md` from the registry of functions: `python docs/functions_page.py`."""

from __future__ import annotations

from pathlib import Path

from wye.formula import losses
from wye.formula.functions import FUNCTIONS

KINDS = {
    "elementwise": "Elementwise: several values meet by name",
    "reduction": "Reductions: over the named axes, over `axis=` of undeclared values, or over everything",
    "along": "Along one axis, which stays: the named one, or the last",
    "pair": "Of two values, along one axis, which goes",
    "structure": "Structure: of undeclared values",
    "random": "Dice: in conditions and times only",
    "loss": "Losses: of equal shapes where undeclared, by name where declared",
}

FORMULAS = """## The catalogue as formulas

By default, on values without names for their axes; `wye.losses.show(name)` tells the arguments too,
and the formulas with labels and with `target`."""


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
    policy = (losses.__doc__ or "").partition("\n\n")[2].strip()
    formulas = [
        f"`{loss.name}` ({loss.source}):\n\n```\n{loss.text()}\n```" for loss in losses.NAMED.values() if loss.lines
    ]
    return "\n\n".join([*blocks, f"## The catalogue\n\n{policy}", FORMULAS, *formulas]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("functions.md").write_text(page())
