"""The torture bench: the chain is killed in place of any change that it is about to make, and run again.

It takes an hour: its tests are marked `torture`, and `make torture` runs them.
"""
