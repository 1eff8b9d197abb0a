"""HOW each step is done: the handlers and the logic they share."""
