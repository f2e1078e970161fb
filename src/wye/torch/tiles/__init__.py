"""Contrastive losses tile by tile: logits of every pair of rows are computed, used and forgotten, a tile at a time."""
