"""Captions of pictures.

`words.py` prepares captions; `teaching.py` trains on all captions of a picture at once.
`rules.py`, `steps.py`, `beam.py` and `sampling.py` decode over any model that takes steps;
`beam_steps.py` takes them fast. `regions.py` looks at boxes, `captioner.py` and `pictures.py` go
from pictures to captions, `evaluation.py` scores caption files, `sheet.py` shows captions.
"""
