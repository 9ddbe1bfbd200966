"""The functions' packages: zips of this project, of what it needs, and of the rules."""
