"""The `geomachine` command."""
