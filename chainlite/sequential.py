from chainlite.link import Sequential  # noqa: F401
