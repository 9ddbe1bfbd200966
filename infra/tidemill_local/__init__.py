"""The local platform: the template's resources on this machine, and what the emulator lacks."""
