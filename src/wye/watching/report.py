"""The account of a run for people: tables for a terminal, and the same for a notebook."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from .account import Account, Path
from .names import within
from .stories import sentences

WIDE = 10_000
"""Columns of a text that nobody wraps."""
ROWS = 40
"""The most weights that have a row each; what is left out stands in `weights` and in the JSON."""
NAMES = 8
"""The most names before a sentence, and in a way."""
WAYS = 16
"""The most ways that have a row each: those that were gone most often."""


class Block(NamedTuple):
    """One table: a heading for each column, and its rows."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def blocks(seen: Account) -> Iterator[Block]:
    """The tables that have something to say."""
    tables = (_paths(seen), _ways(seen), _weights(seen), _movement(seen), _terms(seen), _contexts(seen))
    return (one for one in tables if one.rows)


def table(seen: Account) -> str:
    """Tables as plain text, then a sentence for each weight that did not learn as the others."""
    texts = [_text(block) for block in blocks(seen)]
    said = "\n".join(sentences(seen))
    return "\n\n".join([*texts, said] if said else texts)


def renderables(seen: Account) -> Iterator[RichTable | Text]:
    """The same for a console of rich."""
    for block in blocks(seen):
        yield _rich(block)
        yield Text()
    yield from (Text(one) for one in sentences(seen))


def html(seen: Account) -> str:
    """The same for a notebook."""
    parts: list[str] = []
    for head, rows in blocks(seen):
        lines = [_html_row("th", head), *(_html_row("td", row) for row in rows)]
        parts.append(f"<table>{''.join(lines)}</table>")
    said = "".join(f"<li>{escape(one)}</li>" for one in sentences(seen))
    return f"<div>{''.join(parts)}{f'<ul>{said}</ul>' if said else ''}</div>"


def _html_row(cell: str, row: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{cell}>{escape(one)}</{cell}>' for one in row)}</tr>"


def _rich(block: Block) -> RichTable:
    """The first column to the left, numbers to the right."""
    made = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(block.head):
        made.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in block.rows:
        made.add_row(*(one.replace("[", "\\[") for one in row))
    return made


def _text(block: Block) -> str:
    file = io.StringIO()
    Console(file=file, width=WIDE, color_system=None, force_terminal=False, legacy_windows=False).print(_rich(block))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines() if line.strip())


# what is in them


def _paths(seen: Account) -> Block:
    rows: list[tuple[str, ...]] = []
    paths = seen.paths
    for name, junction in seen.junctions.items():
        rows.append((f"{name or 'model'}: {junction.title}", "", "", ""))
        apart = [within(name, way) for way in junction.apart]
        total = sum(paths[way].samples for way in apart if way in paths)
        for path in sorted(junction.paths, key=lambda path: (len(path), path)):
            key = within(name, path)
            if key in paths:
                share = f"{paths[key].samples / total:.0%}" if total and key in apart else ""
                rows.append((f"  {path}", *_counts(paths[key]), share))
    return Block(("path", "runs", "samples", "share"), rows)


def _counts(path: Path) -> tuple[str, str]:
    return str(path.calls), str(path.samples)


def _ways(seen: Account) -> Block:
    """Where the modules that run differ from call to call: each way, without what is the same on all of them."""
    ways = seen.ways
    if len(ways) < 2 or seen.junctions:
        return Block((), ())
    total = sum(path.calls for path in ways.values())
    rows = [
        (shown(way, ways), *_counts(path), f"{path.calls / total:.0%}")
        for way, path in sorted(ways.items(), key=lambda item: (-item[1].calls, item[0]))
    ]
    if len(rows) > WAYS:
        rows = [*rows[:WAYS], (f"… {len(rows) - WAYS} ways more, none of them gone more often", "", "", "")]
    return Block((f"way through the model, {total} calls", "runs", "samples", "share"), rows)


def shown(way: Sequence[str], ways: Iterable[Sequence[str]]) -> str:
    """A way by the modules that are not on all of them, as often as they ran: `first > mids.0 x 3 > last`."""
    groups = [(name, len(list(same))) for name, same in groupby(way)]
    everywhere = set.intersection(*(set(one) for one in ways if tuple(one) != ("…",)), set(way))
    if len(groups) > NAMES:
        shorter = [(("…", 1) if name in everywhere else (name, count)) for name, count in groups]
        groups = [group for group, _ in groupby(shorter)]
    told = [name if count == 1 else f"{name} x {count}" for name, count in groups] or ["no module"]
    return " > ".join(told if len(told) <= 2 * NAMES else [*told[:NAMES], f"… {len(way)} in all … > {told[-1]}"])


def _weights(seen: Account) -> Block:
    rows = [
        (key, *map(str, (weight.steps, weight.nonzero, weight.zero, weight.none)))
        for key, weight in seen.weights.items()
        if weight.steps
    ]
    head = f"weight, gradient on {seen.steps} step{'s' * (seen.steps != 1)}", "steps", "non-zero", "zero", "none"
    if len(rows) > ROWS:  # neighbours that fared alike share a row
        groups = [(numbers, list(same)) for numbers, same in groupby(rows, key=lambda row: row[1:])]
        rows = [(_from_to([row[0] for row in same]), *numbers) for numbers, same in groups]
    return Block(head, rows if len(rows) <= ROWS else [*rows[:ROWS], (f"… {len(rows) - ROWS} rows more", *[""] * 4)])


def _from_to(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}, {len(names)} weights"


def _movement(seen: Account) -> Block:
    told = {key: weight for key, weight in seen.weights.items() if weight.looked}
    exact = all(weight.exact for weight in told.values())
    farthest = sorted(told, key=lambda key: -(told[key].moved or 0.0))[:ROWS]
    rows = [
        (key, *(_number(part) for part in (weight.moved, weight.by_gradient, weight.by_momentum, weight.by_decay)))
        for key, weight in told.items()
        if key in farthest
    ]
    if len(told) > ROWS:
        rows.append((f"… {len(told) - ROWS} that moved less", *[""] * 4))
    head = f"how far weights moved, {'exact' if exact else 'estimated'}"
    return Block((head, "moved", "by gradient", "by momentum", "by decay"), rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _terms(seen: Account) -> Block:
    rows = [
        (name, *(_number(number) for number in (term.value.last, term.value.mean, term.weight.last, term.share.mean)))
        for name, term in seen.terms.items()
    ]
    return Block(("term of the objective", "value", "mean", "weight", "share of the gradient"), rows)


def _contexts(seen: Account) -> Block:
    """What the objective holds beside the batch, in bytes."""
    rows = [
        (one.name, str(one.shape), one.dtype, str(one.bytes), f"{one.bytes / seen.batch.bytes:.3g} x")
        for one in seen.contexts.values()
        if seen.batch.bytes
    ]
    return Block(("context of the objective", "shape", "dtype", "bytes", "the batch's bytes"), rows)
