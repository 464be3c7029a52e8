"""The models: `embed -> Trunk(plan) -> losses`, and the reasoner over the expanded graph."""
