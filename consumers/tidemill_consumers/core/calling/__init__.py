"""Finding the rule of a request, asking it, and finding out which one ended the process. Pure."""
