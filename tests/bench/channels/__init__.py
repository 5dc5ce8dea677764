"""What a message costs a channel of each kind."""
