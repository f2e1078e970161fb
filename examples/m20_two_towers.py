"""Two networks of different kinds in one loss, trained together.

A convolutional image tower (64×64×3) and an embedding and LSTM text tower (10,000 words, 20 tokens) to 128 features,
one optimizer over both, compiled step.

The glyphs of DejaVu Sans are the pictures, their Unicode names the texts. `clip_loss` draws each picture to its name
and away from the others. Of glyphs that neither tower has seen, a picture is to find its name among all of theirs. No
picture, name or character is both trained and held out: whole families are, of glyphs that look alike to the pixel (A,
ALPHA and CYRILLIC A) or are one character in other forms (a, A, SUPERSCRIPT A).

By position each picture is pushed from the other names of its character; by label they belong together.
`python -m benchmarks towers` trains both ways, and the page on the language tells what they find.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.ft2font import FT2Font
from torch import Tensor, nn

import wye

SIZE, WORDS, TOKENS, FEATURES = 64, 10_000, 20, 128
HELD_OUT, BATCH, EPOCHS, RATE = 0.1, 256, 10, 4e-3


def drawn(font: FT2Font, code: int) -> np.ndarray | None:
    """A glyph in the middle of a square, from 0 to 1; None where it has no ink or does not fit."""
    font.clear()
    font.set_text(chr(code))
    font.draw_glyphs_to_bitmap(antialiased=True)
    ink = np.asarray(font.get_image(), dtype=np.float32) / 255
    rows, columns = ink.shape
    if not ink.any() or max(rows, columns) > SIZE:
        return None
    square = np.zeros((SIZE, SIZE), np.float32)
    top, left = (SIZE - rows) // 2, (SIZE - columns) // 2
    square[top : top + rows, left : left + columns] = ink
    return square


def tokens(name: str) -> list[int]:
    """The words and digits of a name as numbers, after zeros: the last step of a recurrent layer has read all of it."""
    words = [part for word in name.replace("-", " ").split() for part in (word if word.isdigit() else [word])][:TOKENS]
    return [0] * (TOKENS - len(words)) + [1 + zlib.crc32(word.encode()) % (WORDS - 1) for word in words]


def numbered(keys: Iterable[Hashable]) -> Tensor:
    """Equal keys as equal numbers, from 0."""
    known: dict[Hashable, int] = {}
    return torch.tensor([known.setdefault(key, len(known)) for key in keys])


def glyphs(every: int = 1) -> dict[str, Tensor]:
    """Pictures (N, 3, 64, 64), names (N, 20), and a label that all forms of one character share.

    The forms are those that Unicode takes for compatible, and both cases: a search that minds neither finds them all.

    Args:
        every: take only each so many-th glyph.
    """
    font = FT2Font(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")))
    font.set_size(34, 72)
    codes = [code for code in sorted(font.get_charmap()) if unicodedata.name(chr(code), "")][::every]
    found = [(square, chr(code)) for code in codes if (square := drawn(font, code)) is not None]
    image = torch.from_numpy(np.stack([square for square, _ in found]))
    return {
        "image": image[:, None].expand(-1, 3, -1, -1),
        "text": torch.tensor([tokens(unicodedata.name(character)) for _, character in found]),
        "label": numbered(unicodedata.normalize("NFKC", character).casefold() for _, character in found),
    }


def families(data: dict[str, Tensor]) -> Tensor:
    """A number for each glyph, one for all that are joined by a picture, a name or a label, over others or at once."""
    pictures = numbered(picture.numpy().tobytes() for picture in data["image"][:, 0])
    names = numbered(tuple(name) for name in data["text"].tolist())
    family = torch.arange(len(names))
    while True:
        before = family
        for one in (pictures, names, data["label"]):
            family = torch.full_like(family, len(family)).scatter_reduce(0, one, family, "amin")[one]
        if torch.equal(family, before):
            return family


def split(data: dict[str, Tensor], seed: int = 0) -> tuple[Tensor, Tensor]:
    """The rows to train on, and those of the families held out: about a tenth."""
    family = families(data)
    place = torch.randperm(len(family), generator=torch.Generator().manual_seed(seed))[family]
    held = place < place.sort().values[int(len(place) * HELD_OUT)]
    return torch.where(~held)[0], torch.where(held)[0]


def image_tower() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 24, 8, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 4 * 4, FEATURES),
    )  # fmt: skip


def text_tower() -> wye.Join:
    """The last state of an LSTM over the words."""
    lstm = nn.LSTM(48, 96, batch_first=True)
    return wye.Join("out(last(lstm(embed(text))[0], axis=1))", embed=nn.Embedding(WORDS, 48), lstm=lstm,
                    out=nn.Linear(96, FEATURES))  # fmt: skip


def two_towers(by: str) -> wye.Objective:
    """Both networks in one loss; its parameters are those of both, and the temperature.

    Args:
        by: `position`: each picture belongs to its own name; `label`: to all names of its character.
    """
    label = ", label=label" if by == "label" else ""
    return wye.Objective(
        f"clip_loss(see(image), read(text), exp(t){label})",
        see=image_tower(), read=text_tower(), t=nn.Parameter(torch.tensor(-2.5)),
    )  # fmt: skip


def batch_of(data: dict[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    return {name: value[rows] for name, value in data.items()}


def shuffled(rows: Tensor) -> Tensor:
    return rows[torch.randperm(len(rows))]


def train(
    loss: wye.Objective,
    data: dict[str, Tensor],
    rows: Tensor,
    epochs: int = EPOCHS,
    order: Callable[[Tensor], Tensor] = shuffled,
) -> list[float]:
    """One optimizer over both, and a compiled step; the mean loss of each epoch."""
    optimizer = torch.optim.AdamW(loss.parameters(), weight_decay=0.05)
    steps = len(rows) // BATCH
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps * epochs, pct_start=0.15)
    torch._dynamo.config.allow_rnn = True  # an LSTM is captured only for who asks
    # one graph of forward and backward; the compiler behind it would take as long as the training
    step: Any = torch.compile(loss, backend="aot_eager", fullgraph=True)
    means: list[float] = []
    for _ in range(epochs):
        totals: list[float] = []
        for batch in order(rows).split(BATCH)[:steps]:  # the last ones that do not fill a batch rest
            given = batch_of(data, batch)
            total, _ = step(**{name: given[name] for name in loss.inputs})
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            rate.step()
            totals.append(float(total.detach()))
        means.append(sum(totals) / len(totals))
    return means


def ranked(loss: wye.Objective, data: dict[str, Tensor], rows: Tensor) -> Tensor:
    """For each picture among the rows, the places of all their names, the nearest first."""
    given = batch_of(data, rows)
    with torch.no_grad():
        sides = [nn.functional.normalize(side, dim=1) for side in (loss.see(given["image"]), loss.read(given["text"]))]
        return (sides[0] @ sides[1].T).argsort(dim=1, descending=True)


def recall(nearest: Tensor, label: Tensor, k: int) -> float:
    """How often a name of the picture's label is among the first k; labels of their own ask for its own name.

    Args:
        nearest: from `ranked`.
        label: of each of the rows.
        k: how many names count.
    """
    return float((label[nearest[:, :k]] == label[:, None]).any(1).float().mean())


def main() -> None:
    data = glyphs()
    rows, held = split(data)
    label = data["label"][held]
    print(f"{len(data['label'])} glyphs of {int(data['label'].max()) + 1} characters; {len(held)} are held out.")
    torch.manual_seed(0)
    loss = two_towers("position")
    means = train(loss, data, rows)
    print(f"loss {means[0]:.2f} -> {means[-1]:.2f}")
    nearest = ranked(loss.eval(), data, held)
    for k in (1, 5):
        own, any_form = recall(nearest, torch.arange(len(held)), k), recall(nearest, label, k)
        print(f"recall@{k}: its name {own:.1%}, by chance {k / len(held):.1%}; a name of its character {any_form:.1%}")


if __name__ == "__main__":
    main()
