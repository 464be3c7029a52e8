"""Forms of the questions for a name or an attribute; see `forms`."""

from __future__ import annotations

from gqa_reasoner.program.parsing import builders as b
from gqa_reasoner.program.parsing.builders import Builder

__all__ = ["OPEN_FORMS", "WEARS", "Form"]

Form = tuple[str, str, Builder]
WEARS = "wearing"

_NAME_FORMS: list[Form] = [
    ("who-rel", "<who> <img> <think> BE? <rel> <np> <alts>", b.who_relates),
    ("who-obj", "<who> <think> BE <np> <rel> <alts>", b.who_related),
    ("who-obj", "<who> <think!> <np> BE <rel> <alts>", b.who_related),
    ("who-obj-do", "<who> DO <np> <relb> <alts>", b.who_related),
    ("who-obj-do", "<who> <think!> <np> <rel> <alts>", b.who_related),
    ("who-is", "who <img> <think> BE <pred> <img> <alts>", b.person_doing),
    ("prep-what", "<prep> <who> BE <np> <verb> <alts>", b.what_related_front),
    ("rel-what", "<rel> <who> BE <np> <alts>", b.related_what),
    ("rel-cat", "<rel> what|which <cat> BE <np> <alts>", b.related_category),
    ("cat-rel", "what|which <cat> <img> <think> BE? <rel> <np> <alts>", b.category_relates),
    ("cat-same", "what|which <cat> BE|HAVE <same> <np> <alts>", b.category_same),
    ("cat-obj", "what|which <cat> <think> BE <np> <rel> <alts>", b.category_related),
    ("cat-obj", "what|which <cat> <think!> <np> BE <rel> <alts>", b.category_related),
    ("cat-obj-do", "what|which <cat> DO <np> <relb> <alts>", b.category_related),
    ("cat-is", "what|which <cat> <img> <think> BE|LOOK <pred> <img> <alts>", b.category_filtered),
    (
        "cat-this",
        "what|which <cat> BE this|it|that|these|they|those <img> <alts>",
        b.category_alone,
    ),
    (
        "cat-shown",
        "what|which <cat> BE? shown|pictured|depicted|seen|presented|displayed <img> <alts>",
        b.category_alone,
    ),
    ("cat-shown", "what|which <cat> BE in|on DET? IMAGE <alts>", b.category_alone),
    ("cat-shown", "what|which <cat> BE there <img> <alts>", b.category_alone),
    ("cat-shown", "what|which <cat> do|can you see <img> <alts>", b.category_alone),
    ("cat-kind", "what|which KIND BE <np> <alts>", b.phrase_name),
    ("this", "what|who BE this|that|it|these|those <alts>", b.thing_alone),
    ("np-name", "what|who <think> BE <np> <alts>", b.phrase_name),
    ("np-called", "what|how <think> BE <np> called <img> <alts>", b.phrase_name),
    ("np-named", "what <think> BE the name|names of <np> <alts>", b.phrase_name),
    ("np-called", "what <np> BE called <alts>", b.phrase_name),
    ("np-called", "what do you call <np> <alts>", b.phrase_name),
    ("np-which-kind", "what|which KIND of thing BE <np> <alts>", b.phrase_name),
    ("np-rel-what", "<np> BE? <rel> <who>", b.phrase_relates_what),
    ("np-rel-cat", "<np> BE? <rel> what|which <cat>", b.phrase_relates_category),
    ("where", "where <think> BE <np> <alts>", lambda v: b.place_of((v[0], None, v[1]))),
    ("where-rel", "where <think> BE <np> <rel> <alts>", b.place_of),
    ("where-rel", "where <think!> <np> BE <rel> <alts>", b.place_of),
    ("where", "where <think!> <np> BE <alts>", lambda v: b.place_of((v[0], None, v[1]))),
    ("where-do", "where DO <np> <relb> <alts>", b.place_of),
    ("np-where", "<np> BE where", lambda v: b.place_of((v[0], None, None))),
    ("np-rel-where", "<np> BE? <rel> where", lambda v: b.place_of((v[0], v[1], None))),
]

_NAME_FORMS += [
    ("who-see", "<who> there? do|can you see <rel> <np> <alts>", b.who_relates),
    ("who-see", "<who> can be seen|found? <rel> <np> <alts>", b.who_relates),
    ("who-there", "<who> BE there <rel> <np> <alts>", b.who_relates),
    ("who-by", "by who|whom BE <np> <passive>", b.done_by),
    ("who-by-cat", "by what|which <cat> BE <np> <passive>", b.done_by_category),
    ("who-on", "<who> <think> HAVE <np> on", lambda v: b.who_relates((v[0], WEARS, v[1], None))),
    ("what-on", "what DO <np> have on", lambda v: b.who_related(("what", v[0], WEARS, None))),
    (
        "what-hands",
        "<who> DO <np> have in his|her|their|its hand|hands <alts>",
        lambda v: b.who_related((v[0], v[1], "holding", v[2])),
    ),
    ("cat-see", "what|which <cat> do|can you see <rel> <np> <alts>", b.category_relates),
    ("cat-see", "what|which <cat> can be seen|found? <rel> <np> <alts>", b.category_relates),
    ("cat-see", "what|which <cat> BE there <rel> <np> <alts>", b.category_relates),
    ("cat-seen", "what|which <cat> can be seen <img> <alts>", b.category_alone),
    ("cat-type", "what|which <cat> HAVE the|a|an? <type> <attr> <alts>", b.category_typed),
    ("cat-type", "what|which <cat> HAVE a|an? <attr> <type> <alts>", b.category_typed),
    ("cat-one", "what|which <cat> BE the <attr> one|ones <alts>", b.category_one),
    ("cat-of-the", "which of the <cat> BE|LOOK <pred> <img> <alts>", b.category_filtered),
    ("cat-of-the", "which of the <cat> BE? <rel> <np> <alts>", b.category_relates),
]

_ATTRIBUTE_FORMS: list[Form] = [
    ("type", "of? what|which <type> <think> BE <np> <alts>", b.attribute_of),
    ("type", "of? what|which <type> <think> <np> BE|LOOK|HAVE <alts>", b.attribute_of),
    ("type", "of? what|which <type> DO <np> have <alts>", b.attribute_of),
    ("type-of", "what <think> BE the <type> of <np> <alts>", b.attribute_of),
    ("type-of", "what BE the <type> <np> HAVE <alts>", b.attribute_of),
    ("type-gap", "of what|which <type> <np> <alts>", b.attribute_of),
    (
        "type-last",
        "<np> BE of? what|which <type> <img> <alts>",
        lambda v: b.attribute_of((v[1], v[0], v[2])),
    ),
    (
        "type-last",
        "<np> HAVE what|which <type> <img> <alts>",
        lambda v: b.attribute_of((v[1], v[0], v[2])),
    ),
    ("how", "how <degree> <think> BE <np> <alts>", b.attribute_of),
    ("how", "how <degree> DO <np> LOOK <alts>", b.attribute_of),
    ("how", "how <degree> <think> <np> BE <alts>", b.attribute_of),
    ("made-of", "what <think> BE <np> made|formed of|from <alts>", b.material_of),
    (
        "made-of",
        "what|which <type> <think> BE <np> made|formed of|from <alts>",
        lambda v: b.material_of(v[1:]) if v[0] == "material" else iter(()),
    ),
    (
        "made-of",
        "what|which <type> BE used to make <np> <alts>",
        lambda v: b.material_of(v[1:]) if v[0] == "material" else iter(()),
    ),
    ("made-of", "what BE used to make <np> <alts>", b.material_of),
    ("made-of", "what BE <np> made out of <alts>", b.material_of),
    ("made-of", "<np> BE made of what|which material <alts>", b.material_of),
    ("made-of", "of what|which material BE <np> made <alts>", b.material_of),
    ("state", "in what|which state BE <np> <alts>", b.looks_like),
    ("makes-up", "what makes|make up <np> <alts>", b.material_of),
    (
        "makes-up",
        "what|which <type> makes|make up <np> <alts>",
        lambda v: b.material_of(v[1:]) if v[0] == "material" else iter(()),
    ),
    ("doing", "what <think> BE <np> doing <img> <alts>", b.doing),
    ("doing", "what <think!> <np> BE doing <img> <alts>", b.doing),
    ("doing", "<np> BE doing what", lambda v: b.doing((v[0], None))),
    ("doing", "what DO <np> do|doing <img> <alts>", b.doing),
    ("look-like", "how DO <np> look like? <alts>", b.looks_like),
    ("look-like", "what DO <np> look like <alts>", b.looks_like),
    ("look-like", "how <think> BE <np> <alts>", b.looks_like),
    ("side", "on? which|what side <img> <think> BE <np> on? <alts>", b.side_of),
    ("side", "in? which|what part <img> <think> BE <np> in? <alts>", b.side_of),
    (
        "side",
        "where <img> <think> BE <np> <alts>",
        lambda v: b.side_of(v) if v[1] is not None else iter(()),
    ),
]

_ATTRIBUTE_FORMS += [
    ("type-part", "what|which <type> <cat> DO <np> have <alts>", b.attribute_of_part),
    ("type-bare", "what|which <type> <np>", lambda v: b.attribute_of((*v, None))),
    ("type-bare", "the? <type> of <np>", lambda v: b.attribute_of((*v, None))),
    ("type-owned", "what|which <think> BE <np> 's <type> <alts>", b.attribute_owned),
    ("type-has", "what|which <type> HAVE <np> <alts>", b.attribute_of),
    ("type-painted", "in? what|which <type> BE <np> painted|colored <alts>", b.attribute_of),
    ("type-one", "what|which <type> of <np> <think> BE it|they <alts>", b.attribute_of),
    ("doing", "what|which activity|action <img> <think> BE <np> doing|performing <alts>", b.doing),
    ("doing", "what|which activity|action DO <np> do <alts>", b.doing),
    ("side-of", "on|at|to? what|which side of <np> <think> BE <np> <alts>", b.side_of_thing),
    ("side", "on? what|which side <img> do|can you see <np> <alts>", b.side_of),
    ("side", "in|on what|which half|part|area <img> <think> BE <np> <alts>", b.side_of),
]

OPEN_FORMS: list[Form] = [*_NAME_FORMS, *_ATTRIBUTE_FORMS]
