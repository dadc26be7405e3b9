"""The process side: one parent that holds the listening socket, and workers that serve on it."""
