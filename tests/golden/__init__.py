"""Files of past formats, which every later version reads: written once, never again."""
