"""The gateway beside what a shop would use instead, measured on one machine in one run.  See README.md."""
