"""Patches of the emulator's Kinesis."""
