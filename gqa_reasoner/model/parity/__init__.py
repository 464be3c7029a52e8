"""Checkpoints of `transformers` in the trunk, and back: one key map per family."""
