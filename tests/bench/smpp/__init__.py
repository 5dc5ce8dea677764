"""What one SMS costs an SMPP client: ours, two from PyPI, and the least there can be."""
