"""What operators do to databases: looking into ours, preparing those of others."""
