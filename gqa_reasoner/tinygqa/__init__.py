"""The embedded synthetic world: everyday scenes of emoji glyphs with exact scene graphs."""
