"""Exit codes: what a run of the command line tells whoever started it."""

OK, PARTLY, REFUSED, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141
"""All done; a part could not be done; a mistake of the user's; Ctrl-C; whoever read the output has closed it."""
