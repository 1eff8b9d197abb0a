"""What follows a decision."""
