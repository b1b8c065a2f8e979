"""What is said when an app does not fit together."""


class RegistrationRefused(Exception):
    """An app can not be started as it is; the text says what to change."""
