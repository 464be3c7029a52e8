"""Searching pictures by text, text by pictures, and both by kind."""
