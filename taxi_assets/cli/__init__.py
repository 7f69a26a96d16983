"""The `taxi-assets` command: `main` is the click group, and each command has a module of its own.

Exit statuses: all that is published has landed; something failed; the arguments or a setting cannot be used; none of
the months is published. A command that a signal ends exits with 128 and the signal's number, as a shell reports it.
"""

LANDED, FAILED, BAD_ARGUMENTS, NOT_PUBLISHED = range(4)
