"""Threads, forks, event loops and the end of the process: what any library inside a foreign program needs."""
