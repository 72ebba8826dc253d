"""The error that a user can cause and mend."""


class UserError(Exception):
    """One clear line: what is wrong, the valid choices, what to do.

    The command line prints it without a traceback and exits with code 2.
    """
