"""What the analytics stage takes from the functions, and what it brings: pure."""
