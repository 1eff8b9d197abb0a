"""What the parts promise each other: job declarations, task types, contexts, outcomes and ports."""
