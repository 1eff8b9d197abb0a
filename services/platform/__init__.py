"""The partner's contract: what a submit request means in terms of jobs."""
