"""Contrastive losses stripe by stripe: logits of every pair of rows are computed, used and forgotten."""
