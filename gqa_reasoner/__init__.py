"""Visual question answering with reasons: a picture and a question in, an answer out."""

from __future__ import annotations

from typing import Any

__all__ = ["Answer", "Reasoner", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the heavy public classes on first use, so that the package itself imports fast."""
    if name == "Reasoner":
        from gqa_reasoner.pipeline import Reasoner

        return Reasoner
    if name == "Answer":
        from gqa_reasoner.answer import Answer

        return Answer
    raise AttributeError(f"module 'gqa_reasoner' has no attribute {name!r}")
