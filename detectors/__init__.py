"""Pixels to scenes: the region detector, adapters to other detectors, region-feature files."""
