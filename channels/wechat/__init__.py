"""WeChat: an official account, by its callbacks and its customer-service messages."""
