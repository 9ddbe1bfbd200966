"""The page's server, on 127.0.0.1 only: guard.py says what is refused, page_server.py serves the rest."""
