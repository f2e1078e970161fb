"""The whole gallery: importing it hangs every theme."""

from tests.field import (
    attention,
    classification,
    contrastive,
    generative,
    graph,
    joins,
    metric,
    ranking,
    regression,
    reinforcement,
    segmentation,
    self_supervised,
    soft_targets,
)
from tests.field.entry import GALLERY, Entry

THEMES = (
    regression,
    segmentation,
    classification,
    soft_targets,
    contrastive,
    self_supervised,
    metric,
    generative,
    reinforcement,
    ranking,
    attention,
    joins,
    graph,
)

__all__ = ["GALLERY", "THEMES", "Entry"]
