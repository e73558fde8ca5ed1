"""The one exception for mistakes a user can mend: a clear sentence that names the remedy."""


class UserError(ValueError):
    """Tells a user what was wrong with an input and what to do about it.

    The command line prints the sentence and exits with code 2, without a traceback.
    """
