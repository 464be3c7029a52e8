"""The question families and how often each is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gqa_reasoner.questions import (
    choosing,
    comparisons,
    counting,
    existence,
    existence_pairs,
    queries,
    relation_checks,
    relations,
    verifications,
    whole,
)
from gqa_reasoner.questions.bench import Bench
from gqa_reasoner.questions.draft import Draft

__all__ = ["COUNTING", "FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """A maker of drafts: returns `None` where the scene has nothing to ask."""

    name: str
    make: Callable[[Bench], Draft | None]
    weight: float
    """Share of attempts over scenes; near GQA's balanced mix, rare families raised."""
    training_weight: float
    """Share of attempts for question-program pairs: flatter, so that rare forms are learned."""


FAMILIES: tuple[Family, ...] = (
    Family("ask attribute", queries.ask_attribute, 20, 14),
    Family("ask activity", queries.ask_activity, 5, 2.5),
    Family("ask position", queries.ask_position, 2.5, 2.5),
    Family("ask category", queries.ask_category, 5, 3.5),
    Family("ask category by attribute", queries.ask_category_by_attribute, 9, 6),
    Family("ask who", queries.ask_who, 2, 1.5),
    Family("ask subject", relations.ask_subject, 18, 16),
    Family("ask object", relations.ask_object, 15, 13),
    Family("ask same", relations.ask_same, 2, 1.5),
    Family("ask scene", whole.ask_scene, 2, 2),
    Family("verify attribute", verifications.verify_attribute, 8, 8),
    Family("verify position", verifications.verify_position, 2, 2),
    Family("verify scene", whole.verify_scene, 1.5, 1),
    Family("exist", existence.exist, 2, 2),
    Family("exist attribute", existence.exist_attribute, 4, 4),
    Family("exist relation", existence.exist_relation, 6, 6),
    Family("verify relation", relation_checks.verify_relation, 8, 10),
    Family("choose attribute", choosing.choose_attribute, 8, 7),
    Family("choose position", choosing.choose_position, 2, 2.5),
    Family("choose scene", whole.choose_scene, 1, 1),
    Family("choose name", choosing.choose_name, 3, 2.5),
    Family("choose name by attribute", choosing.choose_name_by_attribute, 2, 2),
    Family("choose name by relation", choosing.choose_name_by_relation, 3, 3),
    Family("choose relation", relation_checks.choose_relation, 8, 7),
    Family("both attributes", verifications.verify_both, 11, 9),
    Family("attribute of both", verifications.verify_two, 3, 2.5),
    Family("exist both", existence_pairs.exist_both, 1.5, 2),
    Family("exist either", existence_pairs.exist_either, 2, 2.5),
    Family("exist attribute either", existence_pairs.exist_attribute_either, 3, 3),
    Family("compare two", comparisons.compare_two, 6, 4),
    Family("compare group", comparisons.compare_group, 4, 2),
    Family("compare degree", comparisons.compare_degree, 6, 1.5),
    Family("common", comparisons.common, 3, 1),
)

COUNTING = Family("count", counting.ask_count, 2, 2)
"""Not of GQA: asked only where counting is wanted, always in the training pairs."""
