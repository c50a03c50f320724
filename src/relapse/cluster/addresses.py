"""Addresses of schedulers and workers: whether others than this machine reach them."""


def host_of(address: str) -> str:
    """The host of ``tcp://host:8786``."""
    return address.partition("://")[2].rpartition(":")[0].strip("[]")


def own(host: str) -> bool:
    """Whether a host is this machine, as it calls itself."""
    return host in ("localhost", "::1") or host.startswith("127.")
