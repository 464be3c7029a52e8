"""One module a command, each with `HELP`, `add_arguments(parser)` and `run(arguments) -> int`.

Modules here import nothing heavy at the top: `gqa-reasoner --help` must start at once.
"""
