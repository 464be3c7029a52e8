"""Question → program: a typed phrase grammar whose readings a log-linear model ranks.

`tokens` → `phrases` (noun phrases, attributes, relations: a chart over spans) → `clauses` (question
forms) → `decoding` (ranked programs). `lexicon` and `weights` hold what was learned from records.
"""
