"""What goes wrong, on purpose: `python -m tests.faults`."""
