"""Questions made from scene graphs: patterns, references, programs, balance and choices."""
