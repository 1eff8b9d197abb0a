"""`python -m triggers.worker`: one runner, started by the parent."""

from triggers.worker.runner import main

main()
