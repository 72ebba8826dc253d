"""Parse `user@host:/path/to/logs`; reject anything that OpenSSH or a shell could interpret differently."""

from __future__ import annotations

from typing import NamedTuple

from mnist_depth.errors import UserError

# Characters that OpenSSH rejects in names since 9.6: a user's ProxyCommand or Match exec may pass them to a shell.
_FORBIDDEN = set("'`\"$\\;&<>|(){}")
_FORM = UserError("give user@host:/path/to/logs, with the host as you would name it to ssh")


class Address(NamedTuple):
    """`host` is what `ssh` gets, user name included; `path` is the folder there, "" when none was given."""

    host: str
    path: str


def parse_address(text: str) -> Address:
    """Split at the first colon outside brackets (`[::1]:/logs` names an IPv6 host). Raises UserError."""
    if "://" in text:
        raise UserError(
            "the remote address {text!r} is an address of the web or of a cloud; {form}", text=text, form=_FORM
        )
    if text.startswith("[") or "@[" in text:
        host, bracket, rest = text.replace("[", "", 1).partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise UserError("cannot read the remote address {text!r}; {form}", text=text, form=_FORM)
        path = rest[1:]
    else:
        host, _, path = text.partition(":")
    user, at, name = host.rpartition("@")
    if not name or (at and not user):
        raise UserError("the remote address {text!r} names no host; {form}", text=text, form=_FORM)
    if user.startswith("-") or name.startswith("-") or not host.isprintable() or _FORBIDDEN & set(host) or " " in host:
        raise UserError("the remote host {host!r} is refused: it is not a host's name; {form}", host=host, form=_FORM)
    if any(character in path for character in "\n\r\0"):
        raise UserError(
            "the remote path {path!r} is refused: it holds a line break or a zero byte; rename the folder", path=path
        )
    return Address(host, path)
