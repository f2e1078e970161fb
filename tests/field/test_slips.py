"""A slip of the pen in an axis name is noticed, but for a short committed list."""

from tests.field.gallery import GALLERY
from tests.field.slips import FRESH, SILENT, axis_places, silent_slips, slips


def test_the_places_are_the_axis_names() -> None:
    entry = next(entry for entry in GALLERY if entry.name == "causal_attention")
    lines = entry.text.split("\n")
    found = [lines[row][start:end] for row, start, end in axis_places(entry)]
    assert "".join(found) == "bijbidbjddd" + "jji" + "biebjej"
    assert [slip.text.count(FRESH) for slip in slips(entry)] == [1] * len(found)


def test_few_slips_are_silent_and_all_of_them_are_known() -> None:
    silent, places = silent_slips()
    print(f"{len(silent)} of {places} slips go unnoticed: {len(silent) / places:.4f}")
    assert places > 1000
    assert [str(slip) for slip in silent] == SILENT.read_text().splitlines()
    assert len(silent) / places <= 0.07
