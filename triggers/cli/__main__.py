"""`python -m triggers.cli`."""

from triggers.cli.main import run

run()
