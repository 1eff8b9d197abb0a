"""What lies in a container, whoever put it there."""
