"""The orchestration domain: what a job, stage and task are, and the rules that move them."""
