"""Rules that loop, raise or end the process: time limits, a process of their own, and how far a batch was done."""
