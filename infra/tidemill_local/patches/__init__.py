"""Patches of the emulator, where AWS behaves differently or the emulator lacks a feature. registry.py has the table of
all patches."""
