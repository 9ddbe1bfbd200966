"""What operators do to a running stack: redrive."""
