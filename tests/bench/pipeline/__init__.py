"""One message end to end: what it costs, against a floor and against one arq job per message."""
