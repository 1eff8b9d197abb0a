"""Map services of others: recognised, and checked by the clock."""
