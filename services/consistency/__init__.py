"""Self-healing: comparing the catalogue with itself, and mending what disagrees."""
