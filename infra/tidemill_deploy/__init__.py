"""The stack on AWS: its template, its functions' packages, making and taking it down, and what its stream takes."""
