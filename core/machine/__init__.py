"""CoreMachine: how jobs are accepted, run, advanced and finished."""
