"""The deterministic core: values in, decisions out. No I/O, no clock, no chance, no asyncio, no logging."""
