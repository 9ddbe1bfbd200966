"""What launcher.py fits into the emulator: where AWS does otherwise, and what the emulator does not do at all."""
