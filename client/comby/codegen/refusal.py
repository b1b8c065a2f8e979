"""What the generator says about a contract that breaks a rule of comby."""


class Refused(Exception):
    """One or more rules are broken; the text has a line `file:line: what is wrong; what to do` for each."""
