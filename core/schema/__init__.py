"""How models declare their tables, and the tables those declarations make."""
