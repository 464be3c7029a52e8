"""Other ways to ask a question: rewritings that keep its program.

Each rule looks at the wording and at the program, and rewords only where the program says that the
meaning stays: where the question ends with the value that is verified, the subject before it is
known, so `Is the cup red?` may become `The cup is red, isn't it?`. Rules were written for this
project; nothing is learned. What a rule gives is English as people type it, some of it careless
(no article, no question mark), never another question.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from gqa_reasoner.questions.paraphrase_words import (
    BASE_OF,
    IMAGE_TAIL,
    base_form,
    finite_form,
    is_plural_be,
    participle_of,
)

if TYPE_CHECKING:
    from gqa_reasoner.program.steps import Program

__all__ = ["RULES", "drawn", "paraphrases"]


class _Asked(NamedTuple):
    """A question without its mark, and the last steps of its program."""

    text: str
    operation: str
    argument: str
    before: str
    """Argument of the step before the last, "" if there is none."""
    steps: int
    relates: frozenset[str]
    """Arguments of the relate steps."""


_PEOPLE = frozenset(("man", "woman", "boy", "girl", "person", "lady", "child", "guy", "player"))
Rule = Callable[[_Asked], Iterator[str]]
_POLAR = r"(Is|Are)"
_WH = r"(What|Which|Who|Where|How|On what|On which|Of what|Of which)"


def _indirect(asked: _Asked) -> Iterator[str]:
    """Any question for something, asked politely."""
    if re.match(_WH + r"\b", asked.text):
        low = asked.text[0].lower() + asked.text[1:]
        yield f"Can you tell me {low}?"
        yield f"Tell me {low}."
        yield f"Could you please tell me {low}?"
        yield f"Do you know {low}?"
        yield f"{asked.text}, please?"


def _careless(asked: _Asked) -> Iterator[str]:
    """Typed in haste: no capital, no mark, no article."""
    yield asked.text.lower()
    bare = re.sub(r"\bthe (?!same\b|left\b|right\b)", "", asked.text.lower())
    if bare != asked.text.lower() and asked.steps <= 3:
        yield bare


def _british(asked: _Asked) -> Iterator[str]:
    """British spelling."""
    text = re.sub(r"\bcolor(s|ed|ful)?\b", r"colour\1", asked.text)
    text = re.sub(r"\bgray\b", "grey", text)
    if text != asked.text:
        yield f"{text}?"


def _relative(asked: _Asked) -> Iterator[str]:
    """`that is holding` ↔ `holding`, `that is to the left of` → `to the left of`; who, which."""
    shorter = re.sub(r" that (?:is|are) (\w+ing (?:\w+ )?(?:the|a|an)\b)", r" \1", asked.text)
    shorter = re.sub(
        r" that (?:is|are) ((?:to the (?:left|right) of|in front of|behind|near|next to|on top of)"
        r" (?:the|a|an)\b)",
        r" \1",
        shorter,
    )
    if shorter != asked.text:
        yield f"{shorter}?"
    for argument in sorted(asked.relates):
        name, predicate, direction = (part.strip() for part in argument.split(","))
        if direction == "s" and name in _PEOPLE and predicate.endswith("ing"):
            longer = asked.text.replace(f" {name} {predicate} ", f" {name} who is {predicate} ")
            if longer != asked.text:
                yield f"{longer}?"
    other = re.sub(
        r"\b(man|woman|boy|girl|person|lady|child) that (is|\w+s) ", r"\1 who \2 ", asked.text
    )
    if other != asked.text:
        yield f"{other}?"
    which = re.sub(r" that (is|are) ", r" which \1 ", asked.text)
    if which != asked.text and " that " in asked.text:
        yield f"{which}?"


def _existence(asked: _Asked) -> Iterator[str]:
    """`Is there a cup?` ↔ `Do you see a cup?` ↔ `Can a cup be seen?`."""
    if asked.operation not in ("exist", "or", "and"):
        return
    found = re.match(r"(Is|Are) there (.+)$", asked.text) or re.match(
        r"(Do|Can) you see (.+)$", asked.text
    )
    if not found:
        return
    rest = found[2]
    bare = IMAGE_TAIL.sub("", rest)
    yield f"Do you see {rest}?"
    yield f"Can you spot {rest}?"
    if asked.operation == "exist":
        yield f"In this picture, {'are' if found[1] == 'Are' else 'is'} there {bare}?"
        yield f"Does the picture show {bare}?"
        yield f"Do you think there {'are' if found[1] == 'Are' else 'is'} {rest}?"
        yield f"Does the image contain {bare}?"
        yield f"Can you tell me if there {'are' if found[1] == 'Are' else 'is'} {rest}?"
        if asked.steps <= 3 and not re.search(r"\bthat\b|\bwhich\b", bare):
            yield f"Can {bare} be seen?"
            yield f"{'Are' if found[1] == 'Are' else 'Is'} {bare} in the picture?"
            if bare.startswith("any "):
                yield f"{bare[0].upper()}{bare[1:]} here?"


def _verified(asked: _Asked) -> Iterator[str]:
    """`Is the cup red?` → `The cup is red, isn't it?`, where the question ends with the value."""
    kind = asked.operation.partition(" ")[2]
    if not asked.operation.startswith("verify") or kind == "rel" or not asked.argument:
        return
    found = re.match(rf"{_POLAR} (the .+) ({re.escape(asked.argument)})$", asked.text)
    if not found:
        return
    be, subject, value = found[1].lower(), found[2], found[3]
    does, it = ("do", "they") if be == "are" else ("does", "it")
    yield f"{subject[0].upper()}{subject[1:]} {be} {value}, {be}n't {it}?"
    yield f"{subject[0].upper()}{subject[1:]} {be} {value}, right?"
    yield f"{be.capitalize()}n't {subject} {value}?"
    yield f"Can you tell me whether {subject} {be} {value}?"
    yield f"Is it true that {subject} {be} {value}?"
    yield f"Would you say that {subject} {be} {value}?"
    yield f"{does.capitalize()} {subject} look {value} to you?"
    if kind == "color":
        yield f"Is {value} the color of {subject}?"
        yield f"{be.capitalize()} {subject} {value} in color?"
    if kind in ("color", "size", "cleanliness", "age"):
        yield f"Would you call {subject} {value}?"


def _two_values(asked: _Asked) -> Iterator[str]:
    """`Is the cup red and large?` → `not only red but also large`."""
    if asked.operation != "and":
        return
    found = re.match(r"(Is|Are|Does|Do) (the .+) (\w+) and (\w+)$", asked.text)
    if found and asked.before in (found[3], found[4]):
        yield f"{found[1]} {found[2]} both {found[3]} and {found[4]}?"
        yield f"{found[1]} {found[2]} not only {found[3]} but also {found[4]}?"
        yield f"{found[1]} {found[2]} {found[3]} and also {found[4]}?"


def _attribute(asked: _Asked) -> Iterator[str]:
    """`What color is the cup?` ↔ `What is the color of the cup?` ↔ `The cup has what color?`."""
    if asked.operation != "query" or asked.argument not in ("color", "material", "size", "shape"):
        return
    kind = asked.argument
    found = re.match(rf"(?:What|Which) {kind} (is|are) (the .+)$", asked.text) or re.match(
        rf"What (is|are) the {kind} of (the .+)$", asked.text
    )
    if not found or found[2].endswith(" made of"):
        return
    subject = found[2]
    if asked.text.startswith(f"What is the {kind}"):
        yield f"Tell me the {kind} of {subject}."
        yield f"Can you tell me the {kind} of {subject}?"
        if asked.steps == 2:
            yield f"What is {subject}'s {kind}?"
        return
    be = found[1]
    yield f"What is the {kind} of {subject}?"
    yield f"Which {kind} {'have' if be == 'are' else 'has'} {subject}?"
    yield f"{subject[0].upper()}{subject[1:]} {be} what {kind}?"
    yield f"Tell me what {kind} {subject} {be}."
    yield f"Can you tell me what {kind} {subject} {be}?"
    yield f"What {kind} would you say {subject} {be}?"
    yield f"What {kind} do you think {subject} {be}?"
    if asked.steps == 2:
        yield f"what {kind} {subject.removeprefix('the ')}"


def _chosen(asked: _Asked) -> Iterator[str]:
    """`Is the cup red or blue?` → `Is the cup red or is it blue?`."""
    if not asked.operation.startswith("choose") or asked.argument.count("|") != 1:
        return
    one, two = asked.argument.split("|")
    for first, second in ((one, two), (two, one)):
        pair = rf"({re.escape(first)}) or ({re.escape(second)})$"
        found = re.match(rf"{_POLAR} (the .+) {pair}", asked.text)
        if found and "rel" not in asked.operation and " made of" not in asked.text:
            be, subject = found[1].lower(), found[2]
            it = "they" if be == "are" else "it"
            if subject.endswith((" on", " of", " the", " a", " in")):
                continue
            yield f"{found[1]} {subject} {first} or {be} {it} {second}?"
            yield f"Would you say {subject} {be} {first} or {second}?"
            yield f"Tell me whether {subject} {be} {first} or {second}."
            yield (
                f"Does {subject} look {first} or rather {second}?"
                if be == "is"
                else (f"Do {subject} look {first} or rather {second}?")
            )
        listed = re.match(rf"(What|Which) (\w+) (is|are) (the .+), {pair}", asked.text)
        if listed and asked.operation.endswith(f" {listed[2]}"):
            kind, be, subject = listed[2], listed[3], listed[4]
            yield f"What {kind} do you think {subject} {be}, {first} or {second}?"
            yield f"{be.capitalize()} {subject} {first} or {second} in {kind}?"
            yield f"{be.capitalize()} {subject} {first} or {second}?"


def _related(asked: _Asked) -> Iterator[str]:
    """`Who is holding the cup?`, `What is the man holding?`: verb forms, cleft, passive."""
    if asked.operation != "query" or asked.argument != "name" or asked.before.count(",") != 2:
        return
    name, predicate, direction = (part.strip() for part in asked.before.split(","))
    verb, _, rest = predicate.partition(" ")
    known = verb in BASE_OF
    if direction == "s":
        found = re.match(
            rf"(Who|What|Which [\w ]+|What [\w ]+) is {re.escape(predicate)} (.+)$", asked.text
        )
        if not found:
            return
        who, thing = found[1], found[2]
        yield f"Can you tell me {who[0].lower()}{who[1:]} is {predicate} {thing}?"
        yield f"{who} is it that is {predicate} {thing}?"
        if known:
            yield f"{who} {finite_form(verb)}{' ' + rest if rest else ''} {thing}?"
        if who == "Who":
            yield f"Who's the one {predicate} {thing}?" if known else f"Who's {predicate} {thing}?"
            if known and not rest and asked.steps <= 3:
                yield f"By whom is {thing} {participle_of(verb)}?"
                if predicate == "wearing":
                    yield f"Who has {thing} on?"
        elif who in ("What", "Which") or name != "_":
            yield f"{who} do you see {predicate} {thing}?"
            yield f"{who} can be seen {predicate} {thing}?"
        if who == "What":
            yield f"What is there {predicate} {thing}?"
    elif direction == "o":
        found = re.match(rf"(What|Who) (is|are) (the .+) {re.escape(predicate)}$", asked.text)
        if not found:
            return
        who, be, subject = found[1], found[2], found[3]
        yield f"{who} do you think {subject} {be} {predicate}?"
        yield f"{who} is it that {subject} {be} {predicate}?"
        yield f"Can you tell me {who.lower()} {subject} {be} {predicate}?"
        yield f"{subject[0].upper()}{subject[1:]} {be} {predicate} {who.lower()}?"
        if known:
            does = "do" if is_plural_be(be) else "does"
            yield f"{who} {does} {subject} {base_form(verb)}{' ' + rest if rest else ''}?"
            if not rest and name == "_":
                yield f"What is being {participle_of(verb)} by {subject}?"


def _two_things(asked: _Asked) -> Iterator[str]:
    """Comparisons and likenesses of two things, the other way round and with other words."""
    found = re.match(r"(Who|Which|What) (?:is|are) (\w+), (the .+) or (the .+)$", asked.text)
    if found and asked.operation.startswith("choose"):
        who, comparison, one, two = found.groups()
        yield f"{who} of the two is {comparison}, {one} or {two}?"
        yield f"Between {one} and {two}, {who.lower()} is {comparison}?"
        yield f"Is {one} or {two} {comparison}?"
        yield f"{who} looks {comparison}, {one} or {two}?"
    found = re.match(r"(Is|Are) (the .+) the same (\w+) as (the .+)$", asked.text)
    if found and asked.operation == f"same {found[3]}":
        _, one, kind, two = found.groups()
        yield f"Do {one} and {two} share the same {kind}?"
        yield f"Are {one} and {two} of the same {kind}?"
        yield f"Do {one} and {two} have the same {kind}?"
    if asked.operation == "common":
        found = re.match(r"What do (?:both )?(the .+) and (the .+) have in common$", asked.text)
        if found:
            yield f"What does {found[1]} have in common with {found[2]}?"
            yield f"What is it that {found[1]} and {found[2]} have in common?"
            yield f"What does {found[1]} share with {found[2]}?"


def _knowledge(asked: _Asked) -> Iterator[str]:
    """`… that can be eaten` → `… you can eat`, `… to eat`."""
    relation, _, tail = (asked.before if asked.operation in ("exist", "query") else "").partition(
        ","
    )
    if relation != "ReceivesAction" or not asked.text.endswith(f"can be {tail}"):
        return
    verb = next((base for doing, base in BASE_OF.items() if participle_of(doing) == tail), None)
    if verb is None:
        return
    head = asked.text.removesuffix(f"can be {tail}")
    if head.endswith("that "):
        yield f"{head.removesuffix('that ')}you can {verb}?"
        yield f"{head}you can {verb}?"
        yield f"{head.removesuffix('that ')}to {verb}?"
        if tail == "eaten":
            yield f"{head}is edible?"
    elif re.match(r"(What|Which) [\w ]+$", head):
        yield f"{head}can you {verb}?"
        if tail == "eaten":
            yield f"{head}is edible?"


RULES: tuple[Rule, ...] = (
    _indirect, _careless, _british, _relative, _existence, _verified, _two_values, _attribute,
    _chosen, _related, _two_things, _knowledge,
)  # fmt: skip


def paraphrases(question: str, program: Program) -> list[str]:
    """Every rewording that the rules give, each once, without the question itself.

    Args:
        question: English, with its mark.
        program: its program; object ids are ignored.
    """
    found = (other for _, others in _by_rule(question, program) for other in others)
    return list(dict.fromkeys(found))


def drawn(question: str, program: Program, count: int, rng: random.Random) -> list[str]:
    """At most `count` rewordings by different rules, drawn at random; every rule is as likely."""
    groups = _by_rule(question, program)
    rng.shuffle(groups)
    found = [rng.choice(others) for _, others in groups[:count]]
    return list(dict.fromkeys(found))


def _by_rule(question: str, program: Program) -> list[tuple[str, list[str]]]:
    """(rule, its rewordings) of the rules that have any."""
    steps = program.without_object_ids().steps
    if not steps:
        return []
    asked = _Asked(
        question.strip().rstrip("?.! "),
        steps[-1].operation,
        steps[-1].argument.strip(),
        steps[-2].argument.strip() if len(steps) > 1 else "",
        len(steps),
        frozenset(step.argument for step in steps if step.operation == "relate"),
    )
    groups = []
    for rule in RULES:
        others = [other for other in dict.fromkeys(rule(asked)) if other != question]
        if others:
            groups.append((rule.__name__, others))
    return groups
