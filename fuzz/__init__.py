"""Everything that strangers write, tried with inputs nobody would: `make fuzz`, and the tests in tests/fuzz.

No part of the engine knows it.
"""
