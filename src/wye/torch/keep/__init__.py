"""Models of torch in files: what they are made of, written and built again."""
