"""Events of a network, from the socket to the decision, and against an oracle."""
