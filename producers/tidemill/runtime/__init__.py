"""Threads, forks, event loops and the end of the process: general needs of a library inside an application."""
