"""What is fitted into the emulator: where AWS does otherwise, and what the emulator does not do at all. The table of
all patches is registry.py's."""
