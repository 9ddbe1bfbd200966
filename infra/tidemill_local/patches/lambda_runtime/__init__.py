"""Lambda's function runtime and event source mappings in the emulator."""
