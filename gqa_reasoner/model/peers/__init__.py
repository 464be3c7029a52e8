"""Other models on the reasoner's own data: what does not execute programs, to compare with."""
