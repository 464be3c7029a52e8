"""Training of the stages: `detector`, `parser`, `reasoner`."""
