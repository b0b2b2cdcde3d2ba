from chainlite.functions._family import modules_of

__getattr__ = modules_of(__name__)
