"""Ways of asking that add nothing to the question, taken off before it is read.

`Can you tell me whether the cup is red, please?` asks what `Do you think the cup is red?` asks;
`The cup is red, isn't it?` as well. Only fixed phrases are rewritten, by rules written for this
project; everything that has content is left to the grammar.
"""

from __future__ import annotations

from gqa_reasoner.program.parsing import words
from gqa_reasoner.program.parsing.words import listed

__all__ = ["plain_wording"]

_SAY = ("do", "you", "think")
_OPENERS = frozenset(listed("please hey hello hi so well ok okay now and"))
_CLOSERS = frozenset(listed("please thanks right correct then huh eh"))
_WRAPPERS = tuple(
    tuple(text.split())
    for text in listed(
        "can you tell me|could you tell me|would you tell me|can you please tell me"
        "|could you please tell me|will you tell me|can you say|could you say|can you see"
        "|could you see|can you describe|do you see|do you know|do you have any idea|any idea"
        "|have you any idea|i wonder|i am wondering|i would like to know|i want to know"
        "|tell me|please tell me|let me know|may i ask|can i ask|guess|tell us|show me"
        "|can you name|could you name|name|identify|can you identify|say",
        "|",
    )
)
_WRAPPERS_BY_WORD = {
    first: [one for one in sorted(_WRAPPERS, key=len, reverse=True) if one[0] == first]
    for first in dict.fromkeys(wrapper[0] for wrapper in _WRAPPERS)
}
"""Longest first."""
_BELIEFS = tuple(
    tuple(text.split())
    for text in listed(
        "would you say|do you think|do you believe|do you suppose|do you reckon|do you feel"
        "|do you guess|would you agree|do you agree|would you think|is it true|is it correct"
        "|is it the case|is it right|can you confirm|could it be|does it look like|does it seem"
        "|does it seem like|does it appear|does it look as if|whether|if|can one say",
        "|",
    )
)
_ABOUT = frozenset(listed("about approximately roughly exactly"))
_SEE = frozenset(listed("see spot find notice observe detect view locate"))
_REPLACED: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("not", "only"), ()),
    (("but", "also"), ("and",)),
    (("and", "also"), ("and",)),
    (("as", "well", "as"), ("and",)),
    (("and", "is", "also"), ("and",)),
    ((",", "or"), ("or",)),
    (("or", "rather"), ("or",)),
    (("or", "else"), ("or",)),
)
_AUXILIARY = words.BE | words.DO | frozenset(listed("can could would will has have do"))


def plain_wording(tokens: list[str]) -> tuple[list[str], bool]:
    """The tokens without what adds nothing, and whether the question was asked indirectly.

    In an indirect question (`tell me what color the cup is`) the verb may follow the noun.
    """
    tokens = _trimmed(list(tokens))
    tokens = _tagged(tokens)
    tokens, indirect = _unwrapped(tokens)
    tokens = _opened(tokens)
    tokens = _uncleft(tokens)
    tokens = _ordered(tokens)
    for old, new in _REPLACED:
        tokens = _replaced(tokens, old, new)
    return tokens, indirect


def _starts(tokens: list[str], phrase: tuple[str, ...], at: int = 0) -> bool:
    return tuple(tokens[at : at + len(phrase)]) == phrase


def _trimmed(tokens: list[str]) -> list[str]:
    """Without openers, closers and a picture named in front (`in this photo, is there …`)."""
    while len(tokens) > 2 and tokens[0] in _OPENERS:
        tokens = tokens[1:]
        if tokens[0] == ",":
            tokens = tokens[1:]
    while len(tokens) > 2 and tokens[-1] in _CLOSERS and tokens[-2] not in ("the", "or", "a"):
        if tokens[-1] in ("right", "then") and tokens[-2] != ",":
            break
        tagged = tokens[-1] in ("right", "correct")
        tokens = tokens[:-1]
        if tokens[-1] == ",":
            tokens = tokens[:-1]
        if tagged and tokens[0] not in _AUXILIARY | words.WH:
            tokens = [*_SAY, *tokens]
    if (
        len(tokens) > 4
        and tokens[0] in ("in", "on")
        and tokens[1] in words.DETERMINERS
        and tokens[2] in words.IMAGE_NOUNS
    ):
        rest = tokens[3 + (tokens[3] == ",") :]
        if rest and (rest[0] in _AUXILIARY or rest[0] in words.WH):
            tokens = rest
    return tokens


def _tagged(tokens: list[str]) -> list[str]:
    """`the cup is red , is not it` → `do you think the cup is red`; `… or not` dropped."""
    if len(tokens) > 4 and tokens[-2:] == ["or", "not"]:
        return tokens[:-2]
    for length in (4, 3):
        tag = tokens[-length:]
        if (
            len(tokens) > length + 2
            and tag[0] == ","
            and tag[1] in _AUXILIARY
            and tag[-1] in ("it", "they", "he", "she", "there")
            and (length == 3 or tag[2] == "not")
        ):
            body = tokens[:-length]
            if body[0] in _AUXILIARY or body[0] in words.WH:
                return body
            if body[0] == "there" and body[1] in words.BE:
                return [body[1], "there", *body[2:]]
            return [*_SAY, *body]
    return tokens


def _unwrapped(tokens: list[str]) -> tuple[list[str], bool]:
    """Without `can you tell me`; a noun phrase left alone is asked for by `what is`."""
    indirect = False
    for _ in range(2):
        for wrapper in _WRAPPERS_BY_WORD.get(tokens[0], ()) if tokens else ():
            if not _starts(tokens, wrapper) or len(tokens) <= len(wrapper) + 1:
                continue
            rest = tokens[len(wrapper) :]
            if rest[0] == "," and len(rest) > 2:
                return rest[1:], False
            sees = wrapper[-1] == "see"
            fronted = not sees and rest[0] in words.PREPOSITION_STARTS and rest[1] in words.WH
            if fronted or rest[0] in words.WH or rest[0] in ("whether", "if"):
                tokens, indirect = rest, True
            elif not sees and rest[0] in ("the", "this", "that", "these", "his", "her"):
                tokens, indirect = ["what", "is", *rest], True
            break
        else:
            break
    for belief in _BELIEFS:
        if _starts(tokens, belief):
            rest = tokens[len(belief) :]
            if rest and rest[0] == "that" and len(rest) > 2 and rest[1] in words.DETERMINERS:
                rest = rest[1:]
            if len(rest) > 1:
                tokens = [*_SAY, *rest]
            break
    return tokens, indirect


def _opened(tokens: list[str]) -> list[str]:
    """`is not the cup red` → `is the cup red`; `any dogs` → `are there any dogs`; one verb of
    seeing; `has … got` → `does … have`."""
    if len(tokens) > 3 and tokens[0] in _AUXILIARY and tokens[1] == "not" and tokens[2] != "only":
        tokens = [tokens[0], *tokens[2:]]
    if len(tokens) > 2 and tokens[0] in _ABOUT and tokens[1] == "how":
        tokens = tokens[1:]
    if len(tokens) > 1 and tokens[0] == "any":
        tokens = ["are", "there", *tokens]
    if len(tokens) > 3 and tokens[0] in ("do", "can", "could", "did") and tokens[1] == "you":
        if tokens[2] in _SEE:
            tokens = ["do", "you", "see", *tokens[3:]]
        elif tokens[2:4] == ["make", "out"]:
            tokens = ["do", "you", "see", *tokens[4:]]
    if tokens and tokens[0] in words.BE and "all" in tokens[2:-1]:
        at = tokens.index("all", 2)
        if tokens[at + 1].endswith("ing"):
            tokens = [*tokens[:at], *tokens[at + 1 :]]
    place = 1 if tokens and tokens[0] in words.WH else 0
    if len(tokens) > place + 3 and tokens[place] in ("has", "have") and "got" in tokens:
        at = tokens.index("got")
        helper = "does" if tokens[place] == "has" else "do"
        tokens = [*tokens[:place], helper, *tokens[place + 1 : at], "have", *tokens[at + 1 :]]
    return tokens


def _uncleft(tokens: list[str]) -> list[str]:
    """`what is it that the man holds` → `what do you think the man holds`; `who is the one
    wearing it` → `who is wearing it`."""
    for place in range(1, len(tokens) - 3):
        if tokens[place] not in words.BE:
            continue
        following = tokens[place + 1 : place + 3]
        if following[0] == "it" and following[1] in words.RELATIVE and tokens[0] in words.WH:
            return [*tokens[:place], *_SAY, *tokens[place + 3 :]]
        if following == ["the", "one"]:
            rest = tokens[place + 3 :]
            if rest and rest[0] in words.RELATIVE:
                return [*tokens[:place], *rest[1:]]
            if rest and rest[0].endswith("ing"):
                return [*tokens[: place + 1], *rest]
    return tokens


def _ordered(tokens: list[str]) -> list[str]:
    """`on the sofa , is there a dog` → `is there a dog on the sofa`."""
    if "," in tokens and tokens[0] in words.PREPOSITION_STARTS:
        at = tokens.index(",")
        rest = tokens[at + 1 :]
        asks = len(rest) > 1 and (rest[0] in words.WH or rest[0] in _AUXILIARY)
        if asks and not set(tokens[:at]) & words.WH and "or" not in rest:
            return [*rest, *tokens[:at]]
    return tokens


def _replaced(tokens: list[str], old: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    if old[0] not in tokens:
        return tokens
    for place in range(1, len(tokens) - len(old)):
        if _starts(tokens, old, place):
            return [*tokens[:place], *new, *tokens[place + len(old) :]]
    return tokens
