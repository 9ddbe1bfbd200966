"""What the emulator's Kinesis lacks."""
