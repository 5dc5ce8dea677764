"""What is true and what to do. Pure: no clock, no I/O, no asyncio."""
