"""The template's alarms, evaluated here: the emulator ignores dimensions and missing data, and has no expressions."""
