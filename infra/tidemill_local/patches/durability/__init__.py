"""The emulator's state on disk."""
