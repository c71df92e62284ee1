"""The subcommands of `dicmor`, one per file; `dicmor_lib.cli.COMMANDS` lists them.

A module offers `add_parser(subparsers)`, which describes its options and sets its default `run`, and
`run(args) -> int | None`, the exit status. Heavy imports belong inside `run`, so that `dicmor --help` is
quick.
"""
