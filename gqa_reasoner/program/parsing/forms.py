"""The table of question forms: (name, pattern, builder).

Written from the language of GQA's question engine (Hudson & Manning 2019) as its questions show it;
an alternative wording of a form is one more line. Patterns are explained in `clauses`.
"""

from __future__ import annotations

from gqa_reasoner.program.parsing import builders as b
from gqa_reasoner.program.parsing import checks as c
from gqa_reasoner.program.parsing import knowledge_builders as k
from gqa_reasoner.program.parsing.counting import COUNT_FORMS
from gqa_reasoner.program.parsing.open_forms import OPEN_FORMS, WEARS, Form

__all__ = ["FORMS"]

_SCENE_FORMS: list[Form] = [
    ("place?", "BE this|it|that a|an <place!> <img>", c.place_verify),
    ("place?", "BE this|it|that <place!>", c.place_verify),
    ("place?", "BE we|they in|at|on <place>", c.place_verify),
    ("place?", "BE this|it|that in|at|on <place>", c.place_verify),
    ("place?", "DO this|it|that LOOK like <place!>", c.place_verify),
    ("place?", "DO this|the IMAGE LOOK like <place>", c.place_verify),
    ("place?", "do you think this|it|that BE <place!>", c.place_verify),
    ("place?", "do you think this|the IMAGE BE|was taken? in|at|on <place>", c.place_verify),
    ("place-or", "BE this|it|that <place!> or <place!>", c.place_choose),
    ("place-or", "BE we in|at|on <place> or in|at|on? <place>", c.place_choose),
    ("place-or", "was|is DET IMAGE taken? in|at|on <place> or in|at|on? <place>", c.place_choose),
    ("where-scene", "where BE we|they <rest> <alts>", b.scene_query("place")),
    ("where-scene", "where do you think this|it BE <rest> <alts>", b.scene_query("place")),
    ("in/out?", "BE it|this|we <in/out> <img>", c.scene_verify),
    ("in/out?", "BE it|this <in/out> scene|picture|photo|image|shot", c.scene_verify),
    ("in/out?", "BE|was DET IMAGE taken? <in/out>", c.scene_verify),
    ("in/out-or", "BE it|this|we <in/out> or BE? it|this|we? <in/out> <img>", c.scene_choose),
    (
        "in/out-or",
        "BE it|this <in/out> or <in/out> scene|picture|photo|image|shot",
        c.scene_choose,
    ),
    ("in/out-or", "BE|was DET IMAGE taken? <in/out> or <in/out>", c.scene_choose),
    ("weather?", "BE it a|an? <attr> day|weather <img>", c.scene_verify),
    (
        "place",
        "what|which KIND? of? place|location|scene|setting|area <rest> <alts>",
        b.scene_query("place"),
    ),
    ("room", "what|which KIND? of? room <rest> <alts>", b.scene_query("room")),
    ("place-room", "what|which KIND? of? place|location <rest> <alts>", b.scene_query("room")),
    ("weather", "what|which KIND? of? weather|weathers <rest> <alts>", b.scene_query("weather")),
    ("weather", "how BE the weather <rest> <alts>", b.scene_query("weather")),
    ("weather", "what BE the weather like? <rest> <alts>", b.scene_query("weather")),
    ("taken", "where was|is DET? IMAGE <rest> <alts>", b.scene_query("place")),
    ("taken-at", "where was|is DET? IMAGE taken , at? <place> or at? <place>", c.place_choose),
    ("scene?", "BE we <attr>", c.scene_verify),
    ("scene?", "BE DET IMAGE taken? <attr>", c.scene_verify),
    ("scene-or", "BE DET IMAGE taken? <attr> or <attr>", c.scene_choose),
    ("weather?", "BE the weather <img> <attr>", c.scene_verify),
    ("weather?", "DO the weather LOOK <attr> <img>", c.scene_verify),
    ("weather-or", "BE the weather <img> <attr> or <attr>", c.scene_choose),
    ("place?", "was|is DET IMAGE taken at|in <place>", c.place_verify),
    ("where-scene", "where BE this|it <rest> <alts>", b.scene_query("place")),
    ("showing", "what BE the|this IMAGE showing|depicting <alts>", b.scene_query("place")),
    ("showing", "what DO the|this IMAGE show|depict <alts>", b.scene_query("place")),
    ("weather?", "BE the weather <attr> <img>", c.scene_verify),
    ("weather-or", "BE the weather <attr> or BE? it? <attr> <img>", c.scene_choose),
    ("scene?", "BE it|this <attr> <img>", c.scene_verify),
    ("scene?", "BE it|this a|an <attr> scene|picture|photo|image", c.scene_verify),
    ("scene-or", "BE it|this <attr> or BE? it? <attr> <img>", c.scene_choose),
    (
        "scene-or",
        "BE it|this a|an <attr> or a|an? <attr> scene|picture|photo|image",
        c.scene_choose,
    ),
    ("place?", "BE this|the IMAGE showing|depicting <place>", c.place_verify),
    ("place?", "DO this|the IMAGE show|depict <place>", c.place_verify),
    ("place?", "BE this|it a|an IMAGE of <place>", c.place_verify),
    ("place-or", "BE this|it a|an IMAGE of <place> or <place>", c.place_choose),
    ("place-or", "BE this|the IMAGE showing|depicting <place> or <place>", c.place_choose),
]

_SUBJECTS = (
    "BE <np>",
    "DO <np> LOOK",
    "DO <np> LOOK to be",
    "DO <np> LOOK like",
    "would you say that? <np> BE|LOOK",
    "do you think <np> BE|LOOK",
    "do you think that? <np> BE|LOOK",
    "do you think that? <np> LOOK to be",
    "would you call|consider|describe <np> as?",
)


def _yes_no_forms() -> list[Form]:
    found: list[Form] = []
    for place, start in enumerate(_SUBJECTS):
        mark = ("is", "look", "look", "look", "think", "think", "think", "think", "call")[place]
        found += [
            (f"{mark}?", f"{start} <attr> <img>", c.verify),
            (f"{mark}-and", f"{start} <attr> and <attr> <img>", c.verify_two),
            (f"{mark}-and-both", f"{start} both <attr> and <attr> <img>", c.verify_two),
            (f"{mark}-or", f"{start} either? <attr> or maybe? <attr> <img>", c.choose),
            (f"{mark}-or", f"{start} <attr> or is|are it|they|he|she <attr> <img>", c.choose),
            (f"{mark}-a-or", f"{start} a|an? <attr> or a|an? <attr> one|ones", c.choose),
            (f"{mark}-of", f"{start} of a|an? <attr> <type>", c.verify_typed),
            (f"{mark}-made", f"{start} <made>", c.verify),
            (f"{mark}-made-or", f"{start} <made> or of? <mat>", c.choose),
            (f"{mark}-pos", f"{start} <pos>", c.verify),
            (f"{mark}-pos-or", f"{start} <pos> or <pos2>", c.choose),
            (f"{mark}-rel", f"{start} <rel> <np>", c.verify_relation),
            (f"{mark}-rel-or", f"{start} <relpair> <np>", c.choose_relation),
            (f"{mark}-rel-name", f"{start} <rel> <option> or <option>", c.choose_object),
            (f"{mark}-in-color", f"{start} <attr> in <type>", c.verify_typed),
        ]
    return found


_YES_NO_FORMS: list[Form] = [
    *_yes_no_forms(),
    ("have?", "DO <np> have a|an? <attr> <type>", c.verify_typed),
    ("have-rel", "DO <np> have <np>", c.verify_having),
    ("have-and", "DO <np> have a|an? <attr> <type> and a|an? <attr> <type>", c.verify_two_typed),
    ("have-or", "DO <np> have a|an? <attr> or <attr> <type>", lambda v: c.choose(v[:3])),
    ("do-rel", "DO <np> <relb> <np>", c.verify_relation),
    ("do-rel", "DO you think <np> <rel> <np>", c.verify_relation),
    ("type-of?", "BE the <type> of <np> <attr>", lambda v: c.verify_typed((v[1], v[2], v[0]))),
    ("type-of-or", "BE the <type> of <np> <attr> or <attr>", lambda v: c.choose(v[1:])),
    ("used?", "BE <mat> used to make <np>", lambda v: c.verify((v[1], v[0]))),
    ("this?", "BE this|that|it|these|those a|an? <described> <img>", c.verify_this),
    ("this-or", "BE this|that|it|these|those either? <option> or <option>", c.choose_this),
    ("kind-or", "BE this|that|it a|an? <attr> or <attr> <cat>", c.choose_kind_this),
    ("both?", "BE both? <np> and <np> both? <attr>", c.verify_both),
    ("both-look?", "DO both? <np> and <np> both? LOOK <attr>", c.verify_both),
    ("both-have?", "DO both? <np> and <np> both? have <attr> <type>", c.verify_both_typed),
]

_YES_NO_FORMS += [
    ("name-or", "BE <np> either? <option> or <option>", c.choose_named),
    ("owned?", "BE <np> 's <type> <attr>", lambda v: c.verify_typed((v[0], v[2], v[1]))),
    ("owned-or", "BE <np> 's <type> <attr> or <attr>", lambda v: c.choose((v[0], *v[2:]))),
    ("type-is?", "BE <attr> the <type> of <np>", lambda v: c.verify_typed((v[2], v[0], v[1]))),
    ("made-is-or", "BE <mat> or <mat> the material of <np>", lambda v: c.choose((v[2], *v[:2]))),
    ("have-part", "DO <np> have a|an? <described>", c.verify_part),
    ("have-part-or", "DO <np> have a|an? <attr> or <attr> <cat>", c.choose_part),
    ("have-on", "DO <np> have <np> on", lambda v: c.verify_relation((v[0], WEARS, v[1]))),
    ("side-or", "BE <np> <rel> <np> or <side2>", c.choose_side),
    ("rel-see?", "do you think <np> BE? <rel> <np>", c.verify_relation),
]

_EXIST_FORMS: list[Form] = [
    ("exist-in", "BE <npx> in|on|inside DET? IMAGE", c.exist),
    ("exist", "can <npx> be seen|spotted|found? <img>", c.exist),
    ("exist", "DO DET IMAGE contain|show|have|include|depict|feature <npx> <img>", c.exist),
    ("exist-two", "DO DET IMAGE contain|show|have|include|depict|feature <pair>", c.exist_two),
    ("exist", "BE there <npx> <img>", c.exist),
    ("exist", "do|can you see <npx> <img>", c.exist),
    ("exist", "do you think there BE <npx> <img>", c.exist),
    ("exist-two", "does the|this IMAGE contain|show|have <pair>", c.exist_two),
    ("exist", "does the|this IMAGE contain|show|have <npx>", c.exist),
    ("exist-visible", "BE <npx> visible|shown|present|pictured <img>", c.exist),
    ("this-is", "BE this|that|it|these|those <npx> <img>", c.exist),
    ("exist-two", "BE there <pair> <img>", c.exist_two),
    ("exist-two", "do|can you see <pair> <img>", c.exist_two),
    ("exist-two", "do you think there BE <pair> <img>", c.exist_two),
]

_SAME, _DIFFERENT = c.compare_two("same"), c.compare_two("different")
_TWO_FORMS: list[Form] = [
    ("same", "BE the <type> of <np> the same as that|those of <np>", _SAME),
    ("same", "BE the <type> of <np> the same as <np>", _SAME),
    (
        "same",
        "BE the <type> of <np> the same as the <type> of <np>",
        lambda v: _SAME((v[0], v[1], v[3])),
    ),
    ("same", "BE <np> <same> <np>", _SAME),
    ("same", "DO <np> have <same> <np>", _SAME),
    ("same", "DO both? <np> and <np> have the same <type>", _SAME),
    ("same", "BE both? <np> and <np> of? the same <type>", _SAME),
    ("same", "BE both? <np> and <np> both? made of the same <type>", _SAME),
    ("same", "BE both? <np> and <np> the same in <type>", _SAME),
    ("different", "BE the <type> of <np> different than|from that|those of <np>", _DIFFERENT),
    ("different", "BE the <type> of <np> different than|from <np>", _DIFFERENT),
    (
        "different",
        "BE the <type> of <np> different than|from the <type> of <np>",
        lambda v: _DIFFERENT((v[0], v[1], v[3])),
    ),
    ("different", "BE <np> different in <type> than|from <np>", _DIFFERENT),
    ("different", "BE both? <np> and <np> different in <type>", _DIFFERENT),
    ("different", "BE both? <np> and <np> of? a? different <type>", _DIFFERENT),
    ("different", "DO <np> have a? different <type> than|from <np>", _DIFFERENT),
    ("different", "DO both? <np> and <np> have a? different <type>", _DIFFERENT),
    ("same", "BE <np> and <np> all? made of the same <type>", _SAME),
    ("same", "DO both? <np> and <np> share the|a? same? <type>", _SAME),
    ("same", "BE both? <np> and <np> of? one <type>", _SAME),
    ("same", "DO <np> 's <type> match that? of? <np> 's?", _SAME),
    ("same", "DO <np> match <np> in <type>", _SAME),
    ("same", "BE <np> 's <type> the same as <np> 's?", _SAME),
    ("same", "BE <np> as <type> as <np>", _SAME),
    ("different", "DO both? <np> and <np> differ in <type>", _DIFFERENT),
    ("different", "BE <np> of? a? different <type> than|from|to <np>", _DIFFERENT),
    ("different", "BE <np> 's <type> different from|than|to <np> 's?", _DIFFERENT),
    ("common", "what DO both? <np> and <np> share", c.common),
    ("common", "what <think!> both? <np> and <np> have in common", c.common),
    ("common", "what DO <np> have in common with <np>", c.common),
    ("common", "what DO <np> share with <np>", c.common),
    ("compare", "between <np> and <np> , who|which|what <think> BE|LOOK <comp>", c.compare_last),
    ("compare", "who|which|what of <np> and|or <np> <think> BE|LOOK <comp>", c.compare_last),
    ("compare", "who|which|what BE|LOOK <comp> between <np> and <np>", c.compare),
    ("compare", "who|which|what BE|LOOK <comp> of <np> and|or <np>", c.compare),
    ("compare-or", "BE <np> or <np> <comp>", c.compare_last),
    ("common", "what DO both? <np> and <np> have in common", c.common),
    ("common", "what BE common to both? <np> and <np>", c.common),
    ("common", "what attribute|property DO both? <np> and <np> share", c.common),
    ("compare", "which|who|what <think> BE|LOOK <comp> , <np> or <np>", c.compare),
    ("compare", "which|who|what LOOK to be <comp> , <np> or <np>", c.compare),
    ("compare", "which|what one|thing|object BE|LOOK <comp> , <np> or <np>", c.compare),
    ("compare", "which|who|what <think> BE <comp> , <np> or <np>", c.compare),
    ("compare", "which|who|what of the two BE <comp> , <np> or <np>", c.compare),
    ("alike-same", "BE all|both? <npx> all|both? of? the? same <type>", c.all_alike("same")),
    ("alike-same", "DO all|both? <npx> all|both? have the? same <type>", c.all_alike("same")),
    ("alike-different", "BE all|both? <npx> of|in? a? different <type>", c.all_alike("different")),
    ("alike-different", "BE all|both? <npx> different in <type>", c.all_alike("different")),
    ("alike-different", "DO all|both? <npx> have a? different <type>", c.all_alike("different")),
    ("alike-made", "BE all|both? <npx> all? made of the same <type>", c.all_alike("same")),
    ("alike-are", "BE both|all <npx> <option>", c.all_are("type")),
    (
        "alike-gender",
        "BE both|all? <npx> both|all? <attr>",
        lambda v: c.all_are("gender")(v) if v[1][0] == "gender" else iter(()),
    ),
]

_KNOWLEDGE_FORMS: list[Form] = [
    ("knows", "what|which <cat> <img> <knows> <alts>", k.knowledge_name),
    ("knows", "what|which <thing> <img> <knows> <alts>", k.knowledge_name),
    ("knows-what", "what <img> <knows> <alts>", lambda v: k.knowledge_name(("object", *v))),
    ("knows-of", "which of the <cat> <img> <knows> <alts>", k.knowledge_name),
    ("knows-of", "which of the <thing> <img> <knows> <alts>", k.knowledge_name),
    ("knows-np", "what|which <np> <knows> <alts>", k.knowledge_phrase),
    ("knows-is", "what|which BE the <thing> <img> that <knows> <alts>", k.knowledge_name),
    ("knows-is", "what BE the name of the <thing> <img> that <knows> <alts>", k.knowledge_name),
    ("knows-exist", "BE there <thing> <img> that <knows>", k.knowledge_exist),
    ("knows-exist", "do|can you see <thing> <img> that <knows>", k.knowledge_exist),
    ("knows-exist", "does the|this IMAGE show <thing> that <knows>", k.knowledge_exist),
    ("knows-type", "what|which <type> BE the <thing> <img> that <knows>", k.knowledge_attribute),
    ("knows-type", "what BE the <type> of the <thing> <img> that <knows>", k.knowledge_attribute),
    ("knows-type", "what <type> DO the <thing> <img> that <knows> have", k.knowledge_attribute),
    ("used-for?", "can <np> be used for <tail>", k.knowledge_verify("UsedFor")),
    ("used-for?", "BE <np> USUALLY? used for <tail>", k.knowledge_verify("UsedFor")),
    ("can-be?", "can <np> be <tail>", k.knowledge_verify("ReceivesAction")),
    ("can?", "can <np> <tail>", k.knowledge_verify("CapableOf")),
    ("can?", "BE <np> able to <tail>", k.knowledge_verify("CapableOf")),
    ("has?", "DO <np> USUALLY have a|an? <tail>", k.knowledge_verify("HasA")),
    ("made-usually?", "BE <np> USUALLY made of <tail>", k.knowledge_verify("MadeOf")),
    ("found?", "BE <np> USUALLY found in|on|at <tail>", k.knowledge_verify("AtLocation")),
    ("usually?", "BE <np> USUALLY <tail>", k.knowledge_verify("HasProperty")),
]

_KNOWLEDGE_FORMS += [
    ("use", "what|which <cat> <img> BE? <use> <alts>", k.knowledge_name),
    ("use", "what|which <thing> <img> BE? <use> <alts>", k.knowledge_name),
    ("use", "what <img> BE? <use> <img> <alts>", lambda v: k.knowledge_name(("object", *v))),
    ("use-there", "what BE there <use> <img>", lambda v: k.knowledge_name(("object", *v, None))),
    ("use-of", "which of the <thing> <img> BE? <use> <alts>", k.knowledge_name),
    ("use-of", "which of the <cat> <img> BE? <use> <alts>", k.knowledge_name),
    ("use-exist", "BE there <thing> <img> <use> <img>", k.knowledge_exist),
    ("use-exist", "do|can you see <thing> <img> <use> <img>", k.knowledge_exist),
]

FORMS: tuple[Form, ...] = (
    *OPEN_FORMS,
    *_SCENE_FORMS,
    *_YES_NO_FORMS,
    *_EXIST_FORMS,
    *_TWO_FORMS,
    *_KNOWLEDGE_FORMS,
    *COUNT_FORMS,
)
