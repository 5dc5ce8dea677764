"""WAP push: a link with words, brought to a telephone in binary short messages or by a gateway."""
