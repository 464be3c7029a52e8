"""Learning an ontology from gold programs and scene graphs (Hudson & Manning 2019)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from knowledge.ontology_files import OntologyTables

if TYPE_CHECKING:
    from knowledge.ontology import Evidence, Ontology

__all__ = ["collect_evidence", "extend_tables"]

_POINTER = re.compile(r"^(?P<text>.*?)\s*\((?P<ids>[^()]*)\)\s*$")
_NEGATION = re.compile(r"^not\((.*)\)$")
_TYPED_FAMILIES = frozenset({"filter", "verify", "choose"})
_UNTYPED = frozenset({"", "rel", "name", "type"})
_OLDER = """older younger larger smaller bigger higher lower taller shorter longer healthier heavier
lighter"""
_COMPARATIVES = frozenset(_OLDER.split()) | {"less healthy"}
_NOT_NAMES = frozenset({"_", "", "scene", "this", "that", "it", "he", "she", "they", "who", "what"})


def collect_evidence(
    questions: Iterable[Any], scene_graphs: Mapping[str, Any] | Iterable[Any]
) -> Evidence:
    """Count what the programs teach; keys are raw lower-case names, the ontology folds forms.

    Args:
        questions: records with `semantic`, `image_id`, `answer`, `groups` (attributes or GQA keys).
        scene_graphs: `Scene`s, or image id to `Scene`.
    """
    from knowledge.ontology import Evidence

    scenes: Iterable[Any] = (
        scene_graphs.values() if isinstance(scene_graphs, Mapping) else scene_graphs
    )
    names = {scene.image_id: {item.id: item.name for item in scene.objects} for scene in scenes}
    memberships: Counter[tuple[str, str]] = Counter()
    types: Counter[tuple[str, str]] = Counter()
    for question in questions:
        program = _get(question, "semantic", "semantic") or []
        objects = names.get(str(_get(question, "image_id", "imageId")), {})
        for step in program:
            operation, argument = step["operation"], step["argument"]
            if operation in ("select", "relate"):
                _count_memberships(argument, objects, memberships)
            else:
                _count_types(operation, argument, types)
        _count_answer(question, program, memberships, types)
    return Evidence(dict(memberships), dict(types))


def _get(question: Any, attribute: str, key: str) -> Any:
    if isinstance(question, Mapping):
        return question.get(key)
    return getattr(question, attribute, None)


def _count_memberships(
    argument: str, objects: Mapping[str, str], counts: Counter[tuple[str, str]]
) -> None:
    match = _POINTER.match(argument)
    if match is None:
        return
    word = match["text"].split(",")[0].strip().lower()
    if word in _NOT_NAMES:
        return
    for object_id in match["ids"].split(","):
        name = objects.get(object_id.strip())
        if name is not None and name.lower() != word:
            counts[name.lower(), word] += 1


def _count_types(operation: str, argument: str, counts: Counter[tuple[str, str]]) -> None:
    family, _, attribute_type = operation.partition(" ")
    if family not in _TYPED_FAMILIES or attribute_type in _UNTYPED | _COMPARATIVES:
        return
    for value in argument.split("|"):
        text = value.strip().lower()
        negated = _NEGATION.match(text)
        text = negated[1].strip() if negated else text
        if text:
            counts[text, attribute_type] += 1


def _count_answer(
    question: Any,
    program: list[dict[str, Any]],
    memberships: Counter[tuple[str, str]],
    types: Counter[tuple[str, str]],
) -> None:
    """Learn from the last step: `query: color` answered "white" teaches white -> color."""
    answer = _get(question, "answer", "answer")
    if not program or not isinstance(answer, str) or program[-1]["operation"] != "query":
        return
    queried, answer = program[-1]["argument"].strip(), answer.strip().lower()
    if queried == "name":
        group = (_get(question, "groups", "groups") or {}).get("global")
        if isinstance(group, str) and group.lower() not in (answer, "object", "thing", ""):
            memberships[answer, group.lower()] += 1
    elif queried and queried not in _UNTYPED:
        types[answer, queried] += 1


def extend_tables(base: Ontology, evidence: Evidence, *, min_count: int = 1) -> OntologyTables:
    """The base's tables with the taught facts added, the most often taught first."""
    old = base.tables
    parents = {name: dict.fromkeys(above) for name, above in old.parents.items()}
    known = Counter(
        {pair: count for pair, count in evidence.memberships.items() if count >= min_count}
    )
    categories = {category for _, category in known}
    for (name, category), _ in sorted(known.items(), key=lambda fact: (-fact[1], fact[0])):
        child, parent = base.canonical(name), base.canonical(category)
        if child != parent and not base.is_a(child, parent):
            parents.setdefault(child, {})[parent] = None
    for category in sorted(categories):
        parents.setdefault(base.canonical(category), {})
    types = {name: dict.fromkeys(found) for name, found in old.attribute_types.items()}
    taught = sorted(evidence.attribute_types.items(), key=lambda fact: (-fact[1], fact[0]))
    for (attribute, attribute_type), count in taught:
        if count >= min_count:
            types.setdefault(base.canonical_attribute(attribute), {})[attribute_type] = None
    return OntologyTables(
        parents={name: tuple(above) for name, above in parents.items()},
        synonyms={form: name for form, name in old.synonyms.items() if form not in parents},
        attribute_types={name: tuple(found) for name, found in types.items()},
        attribute_synonyms=dict(old.attribute_synonyms),
        plurals=old.plurals,
        pronouns=dict(old.pronouns),
    )
