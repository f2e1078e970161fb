"""The account of a run as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..torch.flow.node import Node
from .account import Path, Weight
from .attribute import title, within


def table(nodes: Mapping[str, Node], paths: Mapping[str, Path], weights: Mapping[str, Weight], steps: int) -> str:
    """Three blocks: paths, weights, and why weights had no gradient."""
    blocks = [_paths(nodes, paths), _weights(weights, steps), _reasons(weights)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns: the first to the left, the others to the right."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in (head, *rows)
    ]


def _paths(nodes: Mapping[str, Node], paths: Mapping[str, Path]) -> list[str]:
    rows: list[tuple[str, str, str, str]] = []
    for name, node in nodes.items():
        if not node.paths:
            continue
        rows.append((f"{name or 'model'}: {title(node)}", "", "", ""))
        for path in sorted(node.paths, key=lambda path: (len(path), path)):
            seen = paths.get(within(name, path))
            if seen is not None:
                share = _share(node, name, path, paths)
                rows.append((f"  {path}", str(seen.calls), str(seen.samples), share))
    return _rows(("path", "runs", "samples", "share"), rows) if rows else []


def _share(node: Node, name: str, path: str, paths: Mapping[str, Path]) -> str:
    """Of the samples that came to a node, those that went this way."""
    ways = node.ways_apart()
    if path not in ways:
        return ""
    total = sum(paths[within(name, way)].samples for way in ways if within(name, way) in paths)
    return f"{paths[within(name, path)].samples / total:.0%}" if total else ""


def _weights(weights: Mapping[str, Weight], steps: int) -> list[str]:
    rows = [
        (key, str(weight.steps), str(weight.nonzero), str(weight.zero), str(weight.none))
        for key, weight in weights.items()
        if weight.steps
    ]
    return _rows((f"weight, gradient on {steps} steps", "steps", "non-zero", "zero", "none"), rows) if rows else []


def _reasons(weights: Mapping[str, Weight]) -> list[str]:
    """One line for all weights that share a story."""
    stories: dict[str, list[str]] = {}
    for key, weight in weights.items():
        for why, count in weight.reasons.most_common():
            stories.setdefault(f"no gradient on {count} of {weight.steps} steps: {why}", []).append(key)
    left = [key for key, weight in weights.items() if not weight.steps]
    if left and len(left) < len(weights):
        stories["in no optimizer that stepped"] = left
    return [f"{', '.join(keys)}: {story}" for story, keys in stories.items()]
