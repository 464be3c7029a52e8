"""Captions of pictures: decoding, the captioner that trains and runs, contact sheets."""
