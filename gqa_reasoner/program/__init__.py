"""GQA programs: operations, steps, parser, executor and trace."""

from __future__ import annotations

from gqa_reasoner.program.operations import OPERATIONS, Operation
from gqa_reasoner.program.steps import Program, Step, validate

__all__ = ["OPERATIONS", "Operation", "Program", "Step", "validate"]
