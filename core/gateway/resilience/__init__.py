"""The router's control logic: state machines that are told the time and are given their chance, and do no I/O.

Nothing here imports time, random or asyncio: ``now`` is in seconds on any clock that does not jump back, ``rng`` gives
numbers from 0 to 1. So a simulation can run days of weather in a second, and replay a failure from its seed.
"""
