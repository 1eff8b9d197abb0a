"""What others take for the same work. These scripts run in an environment of their own and import nothing of ours."""
