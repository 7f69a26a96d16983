"""The torture bench: the chain is broken in every way that can be arranged, and must lose nothing and do nothing twice.

Each test has a short form, which `make test` runs, and a long one, marked `torture`, which `make torture` runs. What
was tried is counted and printed at the end (`tally`).
"""
