"""The keywords of ssh_config(5) that are read, and those that are not and may matter."""

from __future__ import annotations

READ = (
    "CanonicalDomains",
    "CanonicalizeHostname",
    "ConnectTimeout",
    "GlobalKnownHostsFile",
    "Host",
    "HostKeyAlias",
    "HostName",
    "IdentitiesOnly",
    "IdentityAgent",
    "IdentityFile",
    "Include",
    "Match",
    "Port",
    "ProxyCommand",
    "ProxyJump",
    "User",
    "UserKnownHostsFile",
)
"""Keywords of ssh_config(5) that are read."""
UNREAD: dict[str, tuple[str, ...]] = {
    "AddressFamily": ("any",),
    "BindAddress": (),
    "BindInterface": (),
    "CertificateFile": ("none",),
    "Ciphers": (),
    "ControlPath": ("none",),
    "HostbasedAuthentication": ("no", "false"),
    "HostKeyAlgorithms": (),
    "KexAlgorithms": (),
    "KnownHostsCommand": ("none",),
    "MACs": (),
    "PKCS11Provider": ("none",),
    "PreferredAuthentications": ("publickey",),
    "ProxyUseFdpass": ("no", "false"),
    "PubkeyAcceptedAlgorithms": (),
    "PubkeyAuthentication": ("yes", "true"),
    "RevokedHostKeys": ("none",),
    "SecurityKeyProvider": ("internal",),
    "StrictHostKeyChecking": ("yes", "true", "ask"),
    "VerifyHostKeyDNS": ("no", "false"),
}
"""Those that may decide whether a login succeeds and are not read, with the values at which edgeq
does what `ssh` would."""
