"""The exception for mistakes a user can mend, a clear sentence that names the remedy; and the one for Ctrl-C."""


class UserError(ValueError):
    """Tells a user what was wrong with an input and what to do about it.

    The command line prints the sentence and exits with code 2, without a traceback.
    """


class Interrupted(KeyboardInterrupt):
    """Tells where a long piece of work stands that was asked to stop, and how to go on with it.

    The command line prints the sentence and exits with code 130.
    """
