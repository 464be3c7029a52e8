"""Region-feature files of every common layout behind one reader, never loaded whole."""
