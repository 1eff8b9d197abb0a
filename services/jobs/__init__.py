"""Jobs as people see and operate them."""
